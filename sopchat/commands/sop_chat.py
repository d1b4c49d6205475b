"""`sop-chat PORT KEY`: the room (docs/frame-protocol.md, "The command line")."""

import argparse
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from sopchat.arguments import Parser, UsageError, at_least, port_number, read_key, system_words
from sopchat.commands.running import console_on_stdout, run_until_signal
from sopchat.console import Console
from sopchat.doors import Door
from sopchat.doors.frame import FrameDoor
from sopchat.doors.line import LineDoor
from sopchat.doors.talk import TalkDoor
from sopchat.doors.tcp import open_listeners
from sopchat.limits import Limits
from sopchat.server import Server
from sopchat.stages import stage1, stage2, stage3
from sopchat.tls import Identity, identity, own_identity

_DESCRIPTION = """\
A private chat room: listens on a TCP port, lets in who knows the key, shows every
message and relays it to all other members."""

_EPILOG = """\
example:
  sop-chat 9000 key                          the room
  sop-chat-client localhost 9000 ann key     joins it, in another terminal
  sop-chat 9000 key --tls auto               encrypted; sop-chat-client --tls joins it

A key that begins with - stands behind --.

Ctrl-C ends the room with status 0. Wrong use, an unreadable key file and a port
that is taken or forbidden end with status 1. Colours are used on a terminal only,
and not where NO_COLOR is set."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and give its exit status."""
    parser = _parser()
    options = parser.parse(arguments)
    try:
        key = read_key(options.key, options.key_file)
    except UsageError as error:
        parser.error(str(error))
    if options.stage < 4 and (options.line or options.talk):
        parser.error("--line and --talk are doors of the whole room, not of a stage")
    if options.stage < 4 and (options.tls or options.tls_cert or options.tls_key):
        parser.error("TLS is of the whole room, not of a stage")
    try:
        shown = _identity(options)
    except UsageError as error:
        parser.error(str(error))
    listeners: dict[int, list[socket.socket]] = {}
    for port in filter(None, (options.port, options.line, options.talk)):
        try:
            listeners[port] = open_listeners(port, options.host)
        except (OSError, UnicodeError) as error:
            where = f"port {port}" + (f" of {options.host}" if options.host else "")
            print(f"sop-chat: cannot listen on {where}: {system_words(error)}", file=sys.stderr)
            return 1
    limits = Limits(
        max_clients=options.max_clients,
        max_pending=options.max_pending,
        auth_timeout=options.auth_timeout,
    )
    console = console_on_stdout(show_messages=not options.quiet, show_keys=not options.hide_keys)
    if shown is not None:
        console.encrypted(shown.fingerprint)
    program = _program(options, listeners, key, console, limits, shown)
    return run_until_signal(console, program)


def _parser() -> Parser:
    parser = Parser("sop-chat", "port key", _DESCRIPTION, _EPILOG)
    default = Limits()
    parser.add_argument("port", type=port_number, help="the TCP port, 1 to 65535")
    parser.add_key()
    parser.add_argument(
        "--host", metavar="ADDRESS", help="listen on this name or address only (default: all)"
    )
    parser.add_argument(
        "--line", type=port_number, metavar="PORT", help="let in telnet and nc users there"
    )
    parser.add_argument(
        "--talk", type=port_number, metavar="PORT", help="let in clients of the talk protocol there"
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
    tls = parser.add_argument_group("encrypted, by every door (docs/tls.md)")
    tls.add_argument(
        "--tls",
        choices=("auto",),
        help="with a certificate of our own, made at first use; its fingerprint is shown",
    )
    tls.add_argument(
        "--tls-cert", type=Path, metavar="FILE", help="with this certificate (PEM, the chain)"
    )
    tls.add_argument(
        "--tls-key",
        type=Path,
        metavar="FILE",
        help="its key, where it is not in the same file",
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


def _identity(options: argparse.Namespace) -> Identity | None:
    """What an encrypted room shows of itself, if it is to be one. Raises UsageError."""
    if options.tls_cert is not None:
        if options.tls is not None:
            raise UsageError("the certificate is given twice: with --tls auto and --tls-cert")
        return identity(options.tls_cert, options.tls_key)
    if options.tls_key is not None:
        raise UsageError("--tls-key is the key of a certificate, which --tls-cert says")
    return None if options.tls is None else own_identity()


def _program(
    options: argparse.Namespace,
    listeners: Mapping[int, Sequence[socket.socket]],
    key: bytes,
    console: Console,
    limits: Limits,
    shown: Identity | None,
) -> Callable[[], Awaitable[None]]:
    """What the options ask for, by the listeners of each port."""
    main_listeners = listeners[options.port]
    if options.stage == 1:
        return partial(stage1.serve, main_listeners, console)
    if options.stage == 2:
        return partial(stage2.serve, main_listeners, key, console)
    if options.stage == 3:
        return partial(stage3.serve, main_listeners, key, console, limits)
    server = Server(key, console, limits, None if shown is None else shown.context)
    doors: dict[Door, Sequence[socket.socket]] = {FrameDoor(): main_listeners}
    if options.line:
        doors[LineDoor()] = listeners[options.line]
    if options.talk:
        doors[TalkDoor(server.roster)] = listeners[options.talk]
    return partial(server.serve, doors)
