"""What happened during a check, with times: the evidence of a lost point."""

import re
from collections.abc import Sequence
from typing import Literal

import attrs
import trio

from sopchat_grader.failure import Difference
from sopchat_grader.printable import printable

# A flood is told by its beginning and its end.
_HEAD = 40
_TAIL = 20

# Characters of one event that are shown.
_SHOWN = 60

# What fills a field up, shown as one dot.
_PADDING = re.compile(rb"\0+")
_NUL = "\\x00"

# Bytes to a line of a hex dump, and lines before and after the first difference.
_ROW = 16
_ROWS_AROUND = 2

Direction = Literal["->", "<-", "--"]


@attrs.frozen
class Event:
    """One thing that happened: `seconds` after the check began, to or from whom."""

    seconds: float
    who: str
    direction: Direction
    """`->` to the solution, `<-` from it, `--` neither."""
    text: str

    def __str__(self) -> str:
        return f"{self.seconds:8.3f}  {self.who:<8} {self.direction} {self.text}"


@attrs.define
class _Run:
    """Pieces that came to one client with nothing between them."""

    who: str
    first: str
    size: int
    pieces: int


class Transcript:
    """The events of one check in their order; long runs lose their middle, and say so."""

    def __init__(self) -> None:
        self._start = trio.current_time()
        self._head: list[Event] = []
        self._tail: list[Event] = []
        self._left_out = 0
        self._run: _Run | None = None

    def note(self, who: str, text: str, direction: Direction = "--") -> None:
        """Something that is not bytes: connected, closed, started, a signal."""
        self._run = None
        self._add(who, text, direction)

    def _add(self, who: str, text: str, direction: Direction) -> None:
        event = Event(round(trio.current_time() - self._start, 4), who, direction, printable(text))
        if len(self._head) < _HEAD:
            self._head.append(event)
            return
        self._tail.append(event)
        if len(self._tail) > _TAIL:
            del self._tail[0]
            self._left_out += 1

    def sent(self, who: str, data: bytes) -> None:
        """Bytes that went to the solution."""
        self.note(who, summary(data), "->")

    def received(self, who: str, data: bytes) -> None:
        """Bytes that came from the solution; what one client gets in a run is one event."""
        if self._run is None or self._run.who != who:
            self.note(who, summary(data), "<-")
            self._run = _Run(who, summary(data), len(data), 1)
            return
        self._run.size += len(data)
        self._run.pieces += 1
        events = self._tail or self._head
        text = f"{self._run.size} bytes in {self._run.pieces} pieces: {self._run.first} ..."
        events[-1] = attrs.evolve(events[-1], text=text)

    def lines(self) -> list[str]:
        """One line an event."""
        middle = [f"          ... {self._left_out} events left out ..."] if self._left_out else []
        return [*map(str, self._head), *middle, *map(str, self._tail)]


def summary(data: bytes) -> str:
    """A run of bytes in one line: how many, and how they begin; runs of NUL are shortened."""
    shown = printable(_PADDING.sub(b"\0", data[: 16 * _SHOWN].rstrip(b"\0")))
    more = " ..." if len(shown) > _SHOWN or len(data) > 16 * _SHOWN else ""
    return f"{len(data)} bytes '{shown[:_SHOWN].replace(_NUL, '·')}'{more}"


def hex_dump(difference: Difference) -> list[str]:
    """Both sides around the first byte that differs, its row marked."""
    at = difference.position
    first = max(0, at // _ROW - _ROWS_AROUND) * _ROW
    return [
        f"first difference at byte {at} (0x{at:x})",
        *_rows("expected", difference.wanted, first, at),
        *_rows("seen", difference.got, first, at),
    ]


def _rows(title: str, data: bytes, first: int, at: int) -> Sequence[str]:
    rows = [f"{title}, {len(data)} bytes:"]
    for start in range(first, min(len(data), first + (2 * _ROWS_AROUND + 1) * _ROW), _ROW):
        row = data[start : start + _ROW]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        mark = ">" if start <= at < min(start + _ROW, len(data)) else " "
        rows.append(f"{mark} {start:06x}  {row.hex(' '):<{3 * _ROW}} {text}")
    if at >= len(data):
        rows.append(f"> {len(data):06x}  (ends here)")
    return rows
