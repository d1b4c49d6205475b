"""`sop-chat PORT KEY`: the room (docs/frame-protocol.md, "The command line")."""

import argparse
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import attrs

from sopchat.arguments import Parser, UsageError, at_least, port_number, read_key, system_words
from sopchat.commands import descriptors
from sopchat.commands.limit_options import add_limits, read_limits
from sopchat.commands.running import console_on_stdout, run_until_signal
from sopchat.console import Console
from sopchat.doors import Door
from sopchat.doors.frame import FrameDoor
from sopchat.doors.line import LineDoor
from sopchat.doors.talk import TalkDoor
from sopchat.doors.tcp import open_listeners
from sopchat.limits import MOST_HISTORY, Limits
from sopchat.server import Server
from sopchat.stages import stage1, stage2, stage3

_DESCRIPTION = """\
A private chat room: listens on a TCP port, lets in who knows the key, shows every
message and relays it to all other members."""

_EPILOG = """\
example:
  sop-chat 9000 key                          the room
  sop-chat-client localhost 9000 ann key     joins it, in another terminal

A key that begins with - stands behind --.

Ctrl-C or SIGTERM ends the room with status 0, once what is queued has been sent; twice, at
once. SIGHUP reads the key file and the limits again. Wrong use, an unreadable key file and a port
that is taken or forbidden end with status 1. Colours are used on a terminal only,
and not where NO_COLOR is set."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and give its exit status."""
    parser = _parser()
    options = parser.parse(arguments)
    try:
        settings = _read_settings(options)
    except UsageError as error:
        parser.error(str(error))
    if options.stage < 4 and (options.line or options.talk or options.history):
        parser.error("--line, --talk and --history belong to the whole room, not to a stage")
    listeners: dict[int, list[socket.socket]] = {}
    for port in filter(None, (options.port, options.line, options.talk)):
        try:
            listeners[port] = open_listeners(port, options.host)
        except (OSError, UnicodeError) as error:
            where = f"port {port}" + (f" of {options.host}" if options.host else "")
            print(f"sop-chat: cannot listen on {where}: {system_words(error)}", file=sys.stderr)
            return 1
    console = console_on_stdout(show_messages=not options.quiet, show_keys=not options.hide_keys)
    if options.stage < 4:
        return run_until_signal(
            console, _stage(options, listeners[options.port], settings, console)
        )
    return _run_room(options, listeners, settings, console)


def _parser() -> Parser:
    parser = Parser("sop-chat", "port key", _DESCRIPTION, _EPILOG)
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
        "--history",
        type=_history,
        default=0,
        metavar="N",
        help="who joins gets the last N messages first (default: none)",
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
    add_limits(parser)
    return parser


def _history(text: str) -> int:
    """How many frames a newcomer gets. Raises ArgumentTypeError."""
    number = at_least(0, int)(text)
    if number > MOST_HISTORY:
        raise argparse.ArgumentTypeError(f"'{text}' is too much: {MOST_HISTORY} at most")
    return number


@attrs.frozen
class _Settings:
    """What is read anew on SIGHUP."""

    key: bytes
    limits: Limits


def _read_settings(options: argparse.Namespace) -> _Settings:
    """What the options and the files they name ask for. Raises UsageError."""
    return _Settings(read_key(options.key, options.key_file), read_limits(options))


def _stage(
    options: argparse.Namespace,
    listeners: Sequence[socket.socket],
    settings: _Settings,
    console: Console,
) -> Callable[[], Awaitable[None]]:
    """The server of one of the first three stages."""
    if options.stage == 1:
        return partial(stage1.serve, listeners, console)
    if options.stage == 2:
        return partial(stage2.serve, listeners, settings.key, console)
    return partial(stage3.serve, listeners, settings.key, console, settings.limits)


def _run_room(
    options: argparse.Namespace,
    listeners: Mapping[int, Sequence[socket.socket]],
    settings: _Settings,
    console: Console,
) -> int:
    """The whole room, by the listeners of each port; the exit status."""
    server = Server(settings.key, console, settings.limits, history=options.history)
    doors: dict[Door, Sequence[socket.socket]] = {FrameDoor(): listeners[options.port]}
    if options.line:
        doors[LineDoor()] = listeners[options.line]
    if options.talk:
        doors[TalkDoor(server.roster)] = listeners[options.talk]

    def make_room(limits: Limits) -> None:
        if trouble := descriptors.make_room(limits):
            console.show(trouble)

    def reload() -> None:
        try:
            changed = _read_settings(options)
        except UsageError as error:
            console.show(f"not reloaded, and all goes on as it was: {error}")
            return
        server.change(changed.key, changed.limits, None)
        make_room(changed.limits)
        console.show("reloaded: the key and the limits")

    make_room(settings.limits)
    return run_until_signal(console, partial(server.serve, doors), stop=server.stop, reload=reload)
