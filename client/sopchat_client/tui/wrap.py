"""Cuts a text into rows of cells: between words, and never inside what is read as one character."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from itertools import accumulate

from rich.cells import cell_len
from wcwidth import iter_graphemes

# Letters of Latin, Greek and Cyrillic, none of which joins others or takes two cells: for texts of
# these alone a place is a cell.
_PLAIN = re.compile("[ -~\xa0-\u02ff\u0370-\u0482\u048a-\u052f\u2010-\u2027]*")


def wrap(text: str, first: int, others: int) -> list[tuple[int, int]]:
    """The rows of a printable `text`, each as its beginning and end in it; at least one.

    The first row has `first` cells, the others have `others`, all at least 2. The space behind a
    row's last word may stand out.
    """
    rows = []
    words, fit = _measured(text)
    start, room = 0, first
    while (end := fit(start, room)) < len(text):
        # A row ends with a space, or in a word that is longer than it.
        end = words.rfind(" ", start, end + 1) + 1 or end
        rows.append((start, end))
        start, room = end, others
    if start < len(text) or not rows:
        rows.append((start, len(text)))
    return rows


def _measured(text: str) -> tuple[str, Callable[[int, int], int]]:
    """A text with the spaces between the words of `text`, and what measures it.

    That gives the furthest place to which so many cells reach from another place.
    """
    if _PLAIN.fullmatch(text):
        return text, lambda start, room: start + room
    clusters = list(iter_graphemes(text))
    places = list(accumulate(map(len, clusters), initial=0))
    cells = list(accumulate(map(cell_len, clusters), initial=0))
    # A space that a mark is joined to is none between words.
    words = "".join(" " if cluster == " " else "x" * len(cluster) for cluster in clusters)

    def fit(start: int, room: int) -> int:
        number = bisect_left(places, start)
        reached = bisect_right(cells, cells[number] + room) - 1
        return places[max(reached, min(number + 1, len(clusters)))]

    return words, fit
