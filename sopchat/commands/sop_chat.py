"""`sop-chat PORT KEY`: the room (docs/frame-protocol.md, "The command line")."""

import argparse
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from sopchat.arguments import (
    Parser,
    UsageError,
    at_least,
    byte_size,
    port_number,
    read_key,
    system_words,
)
from sopchat.commands.running import console_on_stdout, run_until_signal
from sopchat.console import Console
from sopchat.doors import Door
from sopchat.doors.frame import FrameDoor
from sopchat.doors.line import LineDoor
from sopchat.doors.talk import TalkDoor
from sopchat.doors.tcp import open_listeners
from sopchat.limits import Limits
from sopchat.log.errors import LogError
from sopchat.log.page import PAGE_SIZE
from sopchat.log.room_log import RoomLog, Sync
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
    if options.stage < 4 and options.log:
        parser.error("--log is the log of the whole room, not of a stage")
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
    try:
        log = _open_log(options, console) if options.log else None
    except (OSError, LogError) as error:
        words = system_words(error) if isinstance(error, OSError) else str(error)
        print(f"sop-chat: cannot keep the room log {options.log}: {words}", file=sys.stderr)
        return 1
    program = _program(options, listeners, key, console, limits, log)
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
    parser.add_argument(
        "--log", type=Path, metavar="FILE", help="append every message to FILE; see sop-chat-log"
    )
    parser.add_argument(
        "--sync",
        choices=[sync.value for sync in Sync],
        default=Sync.SECOND.value,
        help="when the log is on disk: after every batch, within a second, or when the system"
        " likes (default: %(default)s)",
    )
    parser.add_argument(
        "--log-size",
        type=byte_size(PAGE_SIZE),
        default=0,
        metavar="SIZE",
        help="begin another file when the log has so many bytes, as 64M (default: never)",
    )
    parser.add_argument(
        "--log-keep",
        type=at_least(1, int),
        default=0,
        metavar="N",
        help="remove all but the N youngest files that the log has grown out of (default: none)",
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


def _open_log(options: argparse.Namespace, console: Console) -> RoomLog:
    sync = Sync(options.sync)
    return RoomLog.open(options.log, console, sync, options.log_size, options.log_keep)


async def _logged(log: RoomLog, program: Callable[[], Awaitable[None]]) -> None:
    async with log.running():
        await program()


def _program(
    options: argparse.Namespace,
    listeners: Mapping[int, Sequence[socket.socket]],
    key: bytes,
    console: Console,
    limits: Limits,
    log: RoomLog | None,
) -> Callable[[], Awaitable[None]]:
    """What the options ask for, by the listeners of each port."""
    main_listeners = listeners[options.port]
    if options.stage == 1:
        return partial(stage1.serve, main_listeners, console)
    if options.stage == 2:
        return partial(stage2.serve, main_listeners, key, console)
    if options.stage == 3:
        return partial(stage3.serve, main_listeners, key, console, limits)
    server = Server(key, console, limits)
    doors: dict[Door, Sequence[socket.socket]] = {FrameDoor(): main_listeners}
    if options.line:
        doors[LineDoor()] = listeners[options.line]
    if options.talk:
        doors[TalkDoor(server.roster)] = listeners[options.talk]
    serve = partial(server.serve, doors)
    if log is None:
        return serve
    server.room.watchers = [*server.room.watchers, log]
    return partial(_logged, log, serve)
