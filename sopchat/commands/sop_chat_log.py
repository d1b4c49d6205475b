"""`sop-chat-log FILE`: reads, checks and repairs a room log (docs/room-log.md)."""

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

import attrs

from sopchat.arguments import Parser, at_least, system_words
from sopchat.log.errors import LogError
from sopchat.log.export import CSV_HEADING, Record, Render, as_csv, as_json, as_line, records
from sopchat.log.files import foreign_files
from sopchat.log.page import Damage, Gap, Group
from sopchat.log.reader import Begin, follow, last_groups, page_at, page_of, scan
from sopchat.log.repair import repair
from sopchat.log.tail import torn_bytes
from sopchat.log.writer import is_locked

_DESCRIPTION = """\
Prints the messages of a room log, also while the server writes it."""

_EPILOG = """\
examples:
  sop-chat-log room.log --last 20 --follow      what was said, and what is being said
  sop-chat-log room.log --since 2026-11-21T17:00 --search '(?i)lunch'
  sop-chat-log room.log --json | jq .text
  sop-chat-log room.log --verify

The files that FILE grew out of (FILE.000000000001, ...) are read before it, as one log.
Status 1: wrong use, or the log cannot be read. Status 2: --verify found damage."""

_DAMAGED = 2

# Text that is written with one call (characters).
_BATCH = 64 * 1024
# How often --follow looks whether the log has grown (seconds).
_LOOK = 0.1

_STDOUT = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and give its exit status."""
    parser = _parser()
    options = parser.parse(arguments)
    _check_together(parser, options)
    task = _verify if options.verify else _repair if options.repair else _print
    try:
        return task(options)
    except BrokenPipeError:
        return 0  # nobody reads any more, as `head` does: that is all they wanted
    except LogError as error:
        words = str(error)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        words = f"{where}{system_words(error)}"
    print(f"sop-chat-log: {words}", file=sys.stderr)
    return 1


def _parser() -> Parser:
    parser = Parser("sop-chat-log", "file", _DESCRIPTION, _EPILOG)
    parser.add_argument("file", type=Path, metavar="FILE", help="what --log of sop-chat names")
    begin = parser.add_mutually_exclusive_group()
    begin.add_argument(
        "--last", type=at_least(0, int), metavar="N", help="begin with the last N messages"
    )
    begin.add_argument(
        "--since",
        type=_since,
        metavar="WHEN",
        help="begin with a sequence number (123 or #123), or with a time (ISO 8601, local unless"
        " it says a zone)",
    )
    parser.add_argument(
        "--search", metavar="REGEX", help="only messages whose `name: text` has a match"
    )
    parser.add_argument("--fixed", action="store_true", help="--search is a text, no expression")
    parser.add_argument(
        "--follow", action="store_true", help="go on as the log grows, until Ctrl-C"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_const", dest="render", const=as_json, default=as_line)
    form.add_argument("--csv", action="store_const", dest="render", const=as_csv)
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--verify", action="store_true", help="check every record, print none")
    other.add_argument(
        "--repair", action="store_true", help="cut off a torn end, give up damaged messages"
    )
    return parser


def _check_together(parser: Parser, options: argparse.Namespace) -> None:
    """End the command if options are given that do not go together."""
    given = {
        "--last": options.last is not None,
        "--since": options.since is not None,
        "--search": options.search is not None,
        "--fixed": options.fixed,
        "--follow": options.follow,
        "--json": options.render is as_json,
        "--csv": options.render is as_csv,
    }
    asked = "--verify" if options.verify else "--repair" if options.repair else ""
    for option in given:
        if asked and given[option]:
            parser.error(f"{asked} goes with FILE alone, not with {option}: it prints no messages")
    if options.fixed and options.search is None:
        parser.error("--fixed goes with --search: it says how that is meant")


def _since(text: str) -> tuple[int, int]:
    """A sequence number and 0, or 0 and a time in microseconds since 1970."""
    digits = text.removeprefix("#")
    if digits.isascii() and digits.isdigit() and len(digits) <= 18:
        return int(digits), 0
    try:
        return 0, int(datetime.fromisoformat(text).timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        raise argparse.ArgumentTypeError(
            f"'{text}' is neither a sequence number nor a time: 123 and 2026-11-21T17:00 are"
        ) from None


def _print(options: argparse.Namespace) -> int:
    try:
        pattern = re.escape(options.search or "") if options.fixed else options.search or ""
        search = re.compile(pattern).search
    except (re.error, OverflowError, RecursionError) as error:
        _parser().error(f"--search {options.search}: {error}; --fixed searches for a text")
    printer = _Printer(options.render, lambda record: search(f"{record.name}: {record.text}"))
    if options.render is as_csv:
        printer.write(CSV_HEADING)
    reached = printer.parts(*_asked_for(options))
    printer.flush()
    if options.follow:
        for group in follow(options.file, reached):
            if group is not None:
                printer.followed(group, reached)
                reached = group.end
            else:
                printer.flush()
                time.sleep(_LOOK)
    return 0


def _asked_for(options: argparse.Namespace) -> tuple[Iterator[Group | Damage | Gap], int, int]:
    """What to print: parts of the log, the first sequence number, the first time."""
    sequence, moment = options.since or (0, 0)
    begin: Begin | None = page_of(sequence) if sequence else page_at(moment) if moment else None
    if options.last is not None:
        following, groups = last_groups(options.file, options.last)
        frames = [group.end - group.sequence for group in groups]
        over = sum(frames) - options.last
        if not options.last:
            return iter([]), following, 0
        return iter(groups), groups[0].sequence + over if groups else following, 0
    return scan(options.file, begin), sequence, moment


@attrs.define
class _Printer:
    """Writes records to standard output, many with one call."""

    _render: Render
    _wanted: Callable[[Record], object]
    _lines: list[str] = attrs.field(factory=list, init=False)
    _size: int = attrs.field(default=0, init=False)

    def parts(self, parts: Iterator[Group | Damage | Gap], sequence: int, moment: int) -> int:
        """Print what is from that number and that time on; give the number after the last.

        Damage is told when something follows it: at the end it may be a record on its way.
        """
        reached = max(sequence, 1)
        untold: list[Damage | Gap] = []
        for part in parts:
            if not isinstance(part, Group):
                untold.append(part)
                continue
            if part.end > sequence and part.time >= moment:
                self._tell(untold)
                self.group(part, sequence)
            untold.clear()
            reached = max(reached, part.end)
        return reached

    def group(self, group: Group, sequence: int) -> None:
        """Print the records of a group from that number on."""
        if group.lost:
            self._tell([Damage(group.sequence, group.end - group.sequence, "lost")])
            return
        for record in records(group):
            if record.sequence >= sequence and self._wanted(record):
                self.write(self._render(record))

    def followed(self, group: Group, reached: int) -> None:
        """Print a group that was followed to, and tell what is not there before it."""
        if group.sequence > reached:
            self._tell([Damage(reached, group.sequence - reached, "damaged or missing")])
        self.group(group, reached)

    def _tell(self, parts: list[Damage | Gap]) -> None:
        for part in parts:
            print(f"sop-chat-log: {_told(part)}", file=sys.stderr)
        parts.clear()

    def write(self, text: str) -> None:
        """Write a piece, now or with others."""
        self._lines.append(text)
        self._size += len(text)
        if self._size > _BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what waits. Raises OSError."""
        if sys.stdout is None:  # its number may be the log's by now
            raise LogError("standard output is closed")
        data = "".join(self._lines).encode(sys.stdout.encoding, "backslashreplace")
        self._lines.clear()
        self._size = 0
        rest = memoryview(data)
        # By the descriptor: what Python's own buffer cannot get rid of spoils the exit status.
        while rest:
            rest = rest[os.write(_STDOUT, rest) :]


def _told(part: Damage | Gap) -> str:
    numbers = _numbers(part.sequence, part.frames)
    if isinstance(part, Gap):
        return f"{numbers} {part.words}"
    return f"{numbers}: {part.words}"


def _numbers(sequence: int, frames: int) -> str:
    if frames == 1:
        return f"message {sequence}"
    return f"messages {sequence} to {sequence + frames - 1}" if frames else f"before {sequence}"


def _verify(options: argparse.Namespace) -> int:
    """Print what is wrong, then what there is. A record on its way is no damage."""
    printer = _Printer(as_line, lambda record: True)
    counts = {"messages": 0, "given up": 0, "missing": 0}
    written = is_locked(options.file)
    torn = 0 if written else torn_bytes(options.file)
    damage: Damage | None = None
    damaged = torn > 0
    for part in scan(options.file):
        if damage is not None:
            printer.write(_told(damage) + "\n")
            damaged, damage = True, None
        if isinstance(part, Damage):
            damage = part
        elif isinstance(part, Gap):
            printer.write(_told(part) + "\n")
            counts["missing"] += part.frames
        else:
            counts["given up" if part.lost else "messages"] += part.end - part.sequence
    if damage is not None and not written:
        printer.write(_told(damage) + "\n")
        damaged = True
    for file in foreign_files(options.file):
        printer.write(f"{file} is no file of this log, and left alone\n")
    if torn:
        printer.write(f"{torn} bytes at the end are torn: the server or --repair cuts them off\n")
    found = [f"{count} {what}" for what, count in counts.items() if count or what == "messages"]
    printer.write(", ".join([*found, "DAMAGED" if damaged else "no damage"]) + "\n")
    printer.flush()
    return _DAMAGED if damaged else 0


def _repair(options: argparse.Namespace) -> int:
    printer = _Printer(as_line, lambda record: True)
    nothing = True
    for done in repair(options.file):
        nothing = False
        printer.write(done + "\n")
    if nothing:
        printer.write("nothing to repair\n")
    printer.flush()
    return 0
