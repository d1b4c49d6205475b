"""`sop-chat PORT KEY`: the room (docs/frame-protocol.md, "The command line")."""

import argparse
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import trio

from sopchat.arguments import Parser, UsageError, at_least, port_number, read_key, system_words
from sopchat.console import Console
from sopchat.doors.tcp import open_listeners
from sopchat.limits import Limits
from sopchat.server import Server
from sopchat.stages import stage1, stage2, stage3

_DESCRIPTION = """\
A private chat room: listens on a TCP port, lets in who knows the key, shows every
message and relays it to all other members."""

_EPILOG = """\
example:
  sop-chat 9000 key                          the room
  sop-chat-client localhost 9000 ann key     joins it, in another terminal

Ctrl-C ends the room with status 0. Wrong use, an unreadable key file and a port
that is taken or forbidden end with status 1. Colours are used on a terminal only,
and not where NO_COLOR is set."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and give its exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        key = read_key(options.key, options.key_file)
    except UsageError as error:
        parser.error(str(error))
    try:
        listeners = open_listeners(options.port, options.host)
    except OSError as error:
        where = f"port {options.port}" + (f" of {options.host}" if options.host else "")
        print(f"sop-chat: cannot listen on {where}: {system_words(error)}", file=sys.stderr)
        return 1
    limits = Limits(
        max_clients=options.max_clients,
        max_pending=options.max_pending,
        auth_timeout=options.auth_timeout,
    )
    console = _console(options)
    try:
        trio.run(_run, _program(options.stage, listeners, key, console, limits), console)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left to be interrupted
    except* KeyboardInterrupt:
        pass  # it came just before or after the time of the signal receiver
    return 0


def _parser() -> Parser:
    parser = Parser("sop-chat", "port key", _DESCRIPTION, _EPILOG)
    default = Limits()
    parser.add_argument("port", type=port_number, help="the TCP port, 1 to 65535")
    parser.add_key()
    parser.add_argument(
        "--host", metavar="ADDRESS", help="listen on this name or address only (default: all)"
    )
    parser.add_argument(
        "--max-clients",
        type=at_least(1, int),
        default=default.max_clients,
        metavar="N",
        help="members at most (default: %(default)s)",
    )
    parser.add_argument(
        "--max-pending",
        type=at_least(1, int),
        default=default.max_pending,
        metavar="N",
        help="connections without authentication at most; one more pushes out the oldest"
        " (default: %(default)s)",
    )
    parser.add_argument(
        "--auth-timeout",
        type=at_least(0.001, float),
        default=default.auth_timeout,
        metavar="SECONDS",
        help="time to authenticate (default: %(default)g)",
    )
    parser.add_argument("--quiet", action="store_true", help="show no messages")
    parser.add_argument("--hide-keys", action="store_true", help="show no keys")
    parser.add_argument(
        "--stage",
        type=int,
        choices=(1, 2, 3, 4),
        default=4,
        help="be the server of this stage of the exercise (default: %(default)s, the whole)",
    )
    return parser


def _console(options: argparse.Namespace) -> Console:
    """The console on standard output, if there is one."""
    if sys.stdout is None:
        return Console(None)
    output = sys.stdout.fileno()
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return Console(
        output,
        encoding=sys.stdout.encoding,
        colour=os.isatty(output) and not plain,
        show_messages=not options.quiet,
        show_keys=not options.hide_keys,
    )


def _program(
    stage: int, listeners: Sequence[socket.socket], key: bytes, console: Console, limits: Limits
) -> Callable[[], Awaitable[None]]:
    if stage == 1:
        return partial(stage1.serve, listeners, console)
    if stage == 2:
        return partial(stage2.serve, listeners, key, console)
    if stage == 3:
        return partial(stage3.serve, listeners, key, console, limits)
    return partial(Server(key, console, limits).serve, listeners)


async def _run(program: Callable[[], Awaitable[None]], console: Console) -> None:
    """Run the program until it ends or a signal asks it to."""
    async with console.running(), trio.open_nursery() as nursery:
        await nursery.start(_stop_on_signal, nursery.cancel_scope)
        await program()
        nursery.cancel_scope.cancel()


async def _stop_on_signal(
    scope: trio.CancelScope, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel()
