"""What is kept of what is said: the room log, and the history that newcomers get."""

import argparse
import contextlib
from argparse import ArgumentTypeError
from collections.abc import Iterator
from pathlib import Path

from sopchat.arguments import Parser, UsageError, at_least, byte_size, system_words
from sopchat.console import Console
from sopchat.limits import MOST_HISTORY
from sopchat.log.errors import LogError
from sopchat.log.page import PAGE_SIZE
from sopchat.log.reader import last_frames
from sopchat.log.room_log import RoomLog, Sync


class CannotLog(Exception):
    """The room log cannot be kept there. The message says why."""


def add_log(parser: Parser) -> None:
    """Add --history, --log and what belongs to it."""
    group = parser.add_argument_group("what is kept (docs/room-log.md)")
    group.add_argument(
        "--history",
        type=_history,
        default=0,
        metavar="N",
        help="who joins gets the last N messages first (default: none)",
    )
    group.add_argument(
        "--log", type=Path, metavar="FILE", help="append every message to FILE; see sop-chat-log"
    )
    group.add_argument(
        "--sync",
        choices=[sync.value for sync in Sync],
        help="when the log is on disk: after every batch, within a second, or when the system"
        f" likes (default: {Sync.SECOND.value})",
    )
    group.add_argument(
        "--log-size",
        type=byte_size(PAGE_SIZE),
        metavar="SIZE",
        help="begin another file when the log has so many bytes, as 64M (default: never)",
    )
    group.add_argument(
        "--log-keep",
        type=at_least(1, int),
        metavar="N",
        help="remove all but the N youngest files that the log has grown out of (default: none)",
    )


def _history(text: str) -> int:
    """How many frames a newcomer gets. Raises ArgumentTypeError."""
    number = at_least(0, int)(text)
    if number > MOST_HISTORY:
        raise ArgumentTypeError(f"'{text}' is too much: {MOST_HISTORY} at most")
    return number


def check_log(options: argparse.Namespace) -> None:
    """Raises UsageError: options of a log that there is not."""
    for name in ("sync", "log_size", "log_keep"):
        if options.log is None and getattr(options, name) is not None:
            raise UsageError(f"--{name.replace('_', '-')} is of a log, which --log says")


def open_log(options: argparse.Namespace, console: Console) -> RoomLog | None:
    """The room log, if there is to be one. Raises CannotLog."""
    if options.log is None:
        return None
    sync = Sync(options.sync or Sync.SECOND.value)
    with _told(options.log):
        size, keep = options.log_size or 0, options.log_keep or 0
        return RoomLog.open(options.log, console, sync, size, keep)


def last_said(options: argparse.Namespace) -> bytes:
    """The frames of the log that newcomers get. Raises CannotLog."""
    with _told(options.log):
        return last_frames(options.log, options.history)[1]


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, LogError) as error:
        words = system_words(error) if isinstance(error, OSError) else str(error)
        raise CannotLog(f"cannot keep the room log {path}: {words}") from None
