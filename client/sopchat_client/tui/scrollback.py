"""What was said and what happened, as entries that know how many rows they take.

No terminal here: the view asks which entry stands at which row.
"""

import enum
import re
from bisect import bisect_right
from collections.abc import Iterator

import attrs
from rich.cells import cell_len

from sopchat_client.link import Saying
from sopchat_client.tui.wrap import wrap

# So many entries are kept at least, and a tenth more before the oldest are dropped together.
KEPT = 10_000
_SLACK = KEPT // 10

# Left of a row: a mark, then the time, then a space; the rows that follow begin below the name.
MARK_CELLS = 2
TIME_CELLS = 6
INDENT = MARK_CELLS + TIME_CELLS
# No message can then look like another's head.
_NARROW_INDENT = MARK_CELLS + 2

# Below so many columns rows begin further left, and at least so many are for the text.
_NARROW = 50
_LEAST_TEXT = 8


class Kind(enum.Enum):
    """What an entry is."""

    MESSAGE = enum.auto()
    OWN = enum.auto()
    NOTICE = enum.auto()
    # A rule across: a new day, or what is unread from here on.
    DAY = enum.auto()
    UNREAD = enum.auto()


@attrs.define(eq=False)
class Entry:
    """One message, notice or rule. All text in it is printable."""

    kind: Kind
    # Local time, HH:MM.
    time: str
    text: str
    name: str = ""
    # Whether it speaks to the reader.
    mention: bool = False
    # What was said oneself, on its way.
    saying: Saying | None = None


@attrs.define(eq=False)
class Scrollback:
    """The entries, wrapped to a width in cells."""

    width: int = 80
    entries: list[Entry] = attrs.field(factory=list, init=False)
    # The row where each entry begins, counted from the first entry ever.
    _tops: list[int] = attrs.field(factory=list, init=False)
    _bottom: int = attrs.field(default=0, init=False)

    @property
    def height(self) -> int:
        """How many rows all entries take."""
        return self._bottom - self._top

    @property
    def _top(self) -> int:
        return self._tops[0] if self._tops else self._bottom

    def append(self, entry: Entry) -> None:
        """Put an entry at the end; the oldest may be dropped for it."""
        self.entries.append(entry)
        self._tops.append(self._bottom)
        self._bottom += len(self.rows(entry))
        if len(self.entries) > KEPT + _SLACK:
            del self.entries[:_SLACK]
            del self._tops[:_SLACK]

    def remove(self, entry: Entry) -> None:
        """Take an entry out; none if it has been dropped."""
        if entry in self.entries:
            place = self.entries.index(entry)
            rows = len(self.rows(entry))
            del self.entries[place], self._tops[place]
            self._tops[place:] = [top - rows for top in self._tops[place:]]
            self._bottom -= rows

    def resize(self, width: int) -> None:
        """Wrap to another width."""
        self.width = width
        self._tops.clear()
        self._bottom = 0
        for entry in self.entries:
            self._tops.append(self._bottom)
            self._bottom += len(self.rows(entry))

    def at(self, row: int) -> tuple[int, int]:
        """The number of the entry at a row from the top, and which of its rows it is."""
        place = bisect_right(self._tops, row + self._top) - 1
        return place, row + self._top - self._tops[place]

    def row_of(self, entry: Entry) -> int:
        """The row from the top where an entry begins; 0 if it has been dropped."""
        return self._tops[self.entries.index(entry)] - self._top if entry in self.entries else 0

    @property
    def indent(self) -> int:
        """Where the rows that follow an entry's first begin (cells)."""
        return INDENT if self.width >= _NARROW else _NARROW_INDENT

    def name(self, entry: Entry) -> str:
        """The name as it is shown, with a colon; shortened where it would leave no text."""
        if not entry.name:
            return ""
        most = max(self.width - INDENT - _LEAST_TEXT, _LEAST_TEXT)
        if cell_len(entry.name) + 2 <= most:
            return f"{entry.name}: "
        (_, end), *_ = wrap(entry.name, most - 3, most - 3)
        return f"{entry.name[:end].rstrip()}…: "

    def rows(self, entry: Entry) -> list[tuple[int, int]]:
        """The rows of an entry, each as beginning and end in its text."""
        if entry.kind in (Kind.DAY, Kind.UNREAD):
            return [(0, len(entry.text))]
        first = self.width - INDENT - cell_len(self.name(entry))
        return wrap(entry.text, max(first, 2), max(self.width - self.indent, 2))

    def find(self, wanted: re.Pattern[str]) -> Iterator[Entry]:
        """The entries with what is wanted in text or name, the newest first."""
        for entry in reversed(self.entries):
            if wanted.search(entry.text) or wanted.search(entry.name):
                yield entry
