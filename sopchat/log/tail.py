"""Where the records of a file end, and cutting off what is torn behind them.

A crash leaves at most a torn tail: entries whose frames are not all there, or frames without their
entries. Nothing that is undamaged is ever cut.
"""

import os
from pathlib import Path

import attrs

from sopchat.log.files import PagedFile, opened, placed
from sopchat.log.page import ENTRY_SIZE, HEAD_SIZE, HEADER_SIZE, PAGE_FRAMES, PAGE_SIZE
from sopchat.wire.frame import FRAME_SIZE


@attrs.frozen
class Tail:
    """The last undamaged record of a file."""

    # The page that holds it, and how many places of it are taken up to there.
    number: int
    used: int
    # The sequence number after it.
    next: int
    # Microseconds since 1970; 0 if there is no record.
    time: int
    # Bytes of the file up to its end, and bytes of anything behind that.
    size: int
    torn: int


def find_tail(file: PagedFile) -> Tail:
    """The end of the records. A file without any keeps its first header, if that is whole."""
    size = file.size
    for number in reversed(range(file.pages)):
        page = file.page(number)
        if page.groups:
            last = page.groups[-1]
            used = last.end - page.first
            end = number * PAGE_SIZE + HEAD_SIZE + used * FRAME_SIZE
            behind = (page.used - used) * ENTRY_SIZE
            return Tail(number, used, last.end, last.time, end, size - end + behind)
    page = file.page(0)
    end = HEADER_SIZE if page.headed else 0
    return Tail(0, 0, page.first, 0, end, size - end)


def cut(file: PagedFile, tail: Tail) -> None:
    """Remove what stands behind the records; the file must be open for writing."""
    if not tail.torn:
        return
    if tail.used:
        start = tail.number * PAGE_SIZE + HEADER_SIZE + tail.used * ENTRY_SIZE
        os.pwrite(file.descriptor, bytes((PAGE_FRAMES - tail.used) * ENTRY_SIZE), start)
    os.ftruncate(file.descriptor, tail.size)


def torn_bytes(path: Path) -> int:
    """How many bytes a server or a repair would cut off. Raises OSError, LogError."""
    with opened(path) as file:
        return find_tail(placed(file)).torn
