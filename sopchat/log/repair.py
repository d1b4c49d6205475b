"""Making a damaged room log whole again: what cannot be read is given up, the rest stays."""

import os
from collections.abc import Iterator
from pathlib import Path

import attrs

from sopchat.log.files import PagedFile, named_first, old_files, placed
from sopchat.log.page import (
    ENTRY_SIZE,
    HEAD_SIZE,
    HEADER_SIZE,
    PAGE_SIZE,
    Damage,
    Page,
    entries,
    header,
)
from sopchat.log.tail import cut, find_tail
from sopchat.log.writer import lock
from sopchat.wire.frame import FRAME_SIZE

_LOST = 1


def repair(path: Path) -> Iterator[str]:
    """Repair all files of a log, and say of everything done what it was.

    Raises OSError, LogError: also while a server writes the log.
    """
    current = lock(path)
    try:
        reached = _Reached()
        for old in old_files(current):
            descriptor = os.open(old, os.O_RDWR | os.O_CLOEXEC)
            try:
                yield from _repair_file(PagedFile(old, descriptor, named_first(old)), reached)
            finally:
                os.close(descriptor)
        last = placed(current)
        tail = find_tail(last)
        cut(last, tail)
        if tail.torn:
            yield f"{tail.torn} torn bytes cut off the end of {path}"
        yield from _repair_file(last, reached)
    finally:
        os.close(current.descriptor)


@attrs.define
class _Reached:
    """Where the repair has come to: the next sequence number, 0 before the first; the time."""

    next: int = 0
    time: int = 0


def _repair_file(file: PagedFile, reached: _Reached) -> Iterator[str]:
    for number in range(file.pages):
        page = file.page(number, reached.next or None)
        after = reached.next or page.after
        if not page.headed or page.after != after:
            os.pwrite(file.descriptor, header(page.first, after), number * PAGE_SIZE)
            yield f"the header of page {number} of {file.path} written anew"
        yield from _give_up(file, number, page, reached)
        reached.next = page.end
    os.fsync(file.descriptor)


def _give_up(file: PagedFile, number: int, page: Page, reached: _Reached) -> Iterator[str]:
    """Mark the places of a page that hold no record as lost."""
    start = number * PAGE_SIZE
    for part in page.parts:
        if not isinstance(part, Damage):
            reached.time = part.time
            continue
        place = part.sequence - page.first
        size = part.frames * FRAME_SIZE
        begin = start + HEAD_SIZE + place * FRAME_SIZE
        there = os.pread(file.descriptor, size, begin).ljust(size, b"\0")
        os.pwrite(file.descriptor, there, begin)
        beside = entries(part.sequence, reached.time, there, _LOST)
        os.pwrite(file.descriptor, beside, start + HEADER_SIZE + place * ENTRY_SIZE)
        yield f"frames {part.sequence} to {part.sequence + part.frames - 1} given up"
