"""Cuts a text into rows of cells: between words, and never inside what is read as one character."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from itertools import accumulate

from rich.cells import split_graphemes

# Letters of Latin, Greek and Cyrillic, none of which joins others or takes two cells: for texts of
# these alone a place is a cell.
_PLAIN = re.compile("[ -~\xa0-\u02ff\u0370-\u0482\u048a-\u052f\u2010-\u2027]*")


def wrap(text: str, first: int, others: int) -> list[tuple[int, int]]:
    """The rows of a printable `text`, each as its beginning and end in it; at least one.

    The first row has `first` cells, the others have `others`, all at least 2. The space behind a
    row's last word may stand out.
    """
    rows = []
    fit = _measured(text)
    start, room = 0, first
    while (end := fit(start, room)) < len(text):
        # A row ends with a space, or in a word that is longer than it.
        end = text.rfind(" ", start, end + 1) + 1 or end
        rows.append((start, end))
        start, room = end, others
    rows.append((start, len(text)))
    return rows


def _measured(text: str) -> Callable[[int, int], int]:
    """What gives the furthest place in `text` to which so many cells reach from another place."""
    if _PLAIN.fullmatch(text):
        return lambda start, room: start + room
    spans, _ = split_graphemes(text)
    places = [start for start, _, _ in spans] + [len(text)]
    cells = list(accumulate((width for _, _, width in spans), initial=0))

    def fit(start: int, room: int) -> int:
        number = bisect_left(places, start)
        reached = bisect_right(cells, cells[number] + room) - 1
        return places[max(reached, min(number + 1, len(spans)))]

    return fit
