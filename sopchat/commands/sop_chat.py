"""`sop-chat PORT KEY`: the room (docs/frame-protocol.md, "The command line")."""

import argparse
import contextlib
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import attrs
import trio

from sopchat.arguments import Parser, UsageError, at_least, byte_size, read_key, system_words
from sopchat.commands import descriptors
from sopchat.commands.entrances import (
    CannotListen,
    add_entrances,
    entrances_handed_over,
    open_entrances,
)
from sopchat.commands.limit_options import add_limits, read_limits
from sopchat.commands.running import console_on_stdout, run_until_signal
from sopchat.console import Console
from sopchat.doors import Door
from sopchat.doors.frame import FrameDoor
from sopchat.doors.line import LineDoor
from sopchat.doors.talk import TalkDoor
from sopchat.limits import MOST_HISTORY, Limits
from sopchat.log.errors import LogError
from sopchat.log.page import PAGE_SIZE
from sopchat.log.reader import last_frames
from sopchat.log.room_log import RoomLog, Sync
from sopchat.server import Server
from sopchat.service import Notifier
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


# Options that the first three stages do not know.
_WHOLE = ("line", "talk", "unix", "history", "log")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and give its exit status."""
    parser = _parser()
    options = parser.parse(arguments)
    try:
        entrances = entrances_handed_over(options)
        settings = _read_settings(options)
    except UsageError as error:
        parser.error(str(error))
    if options.stage < 4 and any(getattr(options, name) for name in _WHOLE):
        parser.error(f"{', '.join(f'--{name}' for name in _WHOLE)} belong to the whole room")
    try:
        entrances = open_entrances(options, entrances)
    except CannotListen as error:
        print(f"sop-chat: {error}", file=sys.stderr)
        return 1
    console = console_on_stdout(show_messages=not options.quiet, show_keys=not options.hide_keys)
    if options.stage < 4:
        stage = _stage(options, entrances["frame"], settings, console)
        return run_until_signal(console, stage)
    try:
        log = _open_log(options, console) if options.log else None
    except (OSError, LogError) as error:
        words = system_words(error) if isinstance(error, OSError) else str(error)
        print(f"sop-chat: cannot keep the room log {options.log}: {words}", file=sys.stderr)
        return 1
    return _run_room(options, entrances, settings, console, log)


def _parser() -> Parser:
    parser = Parser("sop-chat", "port key", _DESCRIPTION, _EPILOG)
    add_entrances(parser)
    parser.add_argument(
        "--history",
        type=_history,
        default=0,
        metavar="N",
        help="who joins gets the last N messages first (default: none)",
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


def _open_log(options: argparse.Namespace, console: Console) -> RoomLog:
    sync = Sync(options.sync)
    return RoomLog.open(options.log, console, sync, options.log_size, options.log_keep)


def _run_room(
    options: argparse.Namespace,
    entrances: Mapping[str, Sequence[socket.socket]],
    settings: _Settings,
    console: Console,
    log: RoomLog | None,
) -> int:
    """The whole room, by the listeners of each door; the exit status."""
    server = Server(settings.key, console, settings.limits, history=options.history)
    room = server.room
    if log is not None:
        room.watchers = [*room.watchers, log]
        room.sequence = log.next - 1
        room.history.add(last_frames(options.log, options.history)[1])
    makers: dict[str, Callable[[], Door]] = {
        "frame": FrameDoor,
        "line": LineDoor,
        "talk": partial(TalkDoor, server.roster),
    }
    doors = {makers[name](): listeners for name, listeners in entrances.items()}
    notifier = Notifier.from_environment()

    def make_room(limits: Limits) -> None:
        if trouble := descriptors.make_room(limits):
            console.show(trouble)

    async def serve() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(notifier.watchdog)
            notifier.ready()  # the sockets listen already
            async with log.running() if log else contextlib.nullcontext():
                await server.serve(doors)
            nursery.cancel_scope.cancel()

    def reload() -> None:
        notifier.reloading()
        try:
            changed = _read_settings(options)
        except UsageError as error:
            console.show(f"not reloaded, and all goes on as it was: {error}")
        else:
            server.change(changed.key, changed.limits, None)
            make_room(changed.limits)
            console.show("reloaded: the key and the limits")
        notifier.ready()

    def stop() -> None:
        notifier.stopping()
        server.stop()

    make_room(settings.limits)
    return run_until_signal(console, serve, stop=stop, reload=reload)
