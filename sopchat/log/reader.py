"""What a room log holds, from any place on. Reading needs no lock, also while a server writes."""

import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from pathlib import Path

from sopchat.log.files import Opening, PagedFile, opened_log
from sopchat.log.page import Damage, Gap, Group, Page
from sopchat.wire.frame import FRAME_SIZE

# Seconds after which a file that was written to has another time than before.
_SURE = 1.0

# A file's page to begin with; below 0 if what is looked for is in an older file.
Begin = Callable[[PagedFile], int]


def scan(path: Path, begin: Begin | None = None) -> Iterator[Group | Damage | Gap]:
    """All that the files of a log hold, in order: groups, damage, gaps.

    It begins with the page that `begin` says (`page_of`, `page_at`), or with the first, and ends
    where the log did when it came to the last file. While a server writes, the last part may be
    damage: a record on its way. Raises OSError, LogError.
    """
    with opened_log(path) as files:
        start, number = _place(files, begin) if begin else (0, 0)
        expected: int | None = None
        removed = False
        for opening in files[start:]:
            with opening() as file:
                if file is None:
                    number, removed = 0, True
                    continue
                for place, page in _pages(file, number, expected):
                    if not page.headed:
                        words = f"the header of page {place} of {file.path} is damaged"
                        yield Damage(page.first, 0, words)
                    elif expected is not None:
                        yield from _between(expected, page, removed)
                    yield from page.parts
                    expected, removed = page.end, False
            number = 0


def _pages(file: PagedFile, number: int, expected: int | None) -> Iterator[tuple[int, Page]]:
    """The pages that a file has now, from one on.

    The last one of the log may be on its way: when it was read half, nothing behind it is read.
    """
    for place in range(number, file.pages):
        page = file.page(place, expected)
        yield place, page
        expected = page.end


def _between(expected: int, page: Page, removed: bool) -> Iterator[Damage | Gap]:
    """What is not there between the number that was expected and a page."""
    if removed and page.after > expected:
        yield Gap(expected, page.after - expected, "went with a file that was removed meanwhile")
    elif page.after != expected:
        yield Damage(expected, max(page.after - expected, 0), "not there")
    if page.first > page.after:
        yield Gap(page.after, page.first - page.after)


def _place(files: list[Opening], begin: Begin) -> tuple[int, int]:
    """The last file that has what is looked for, and the page there; or the very first page."""
    for place in reversed(range(len(files))):
        with files[place]() as file:
            if file is None:
                return place + 1, 0
            if (number := begin(file)) >= 0:
                return place, number
    return 0, 0


def page_of(sequence: int) -> Begin:
    """Where a file has the frame of that number, or the page before it; -1: in an older file."""

    def number(file: PagedFile) -> int:
        return bisect_right(range(file.pages), sequence, key=lambda n: file.page(n).first) - 1

    return number


def page_at(moment: int) -> Begin:
    """The last page that begins before a time (microseconds since 1970); -1: in an older file.

    Times never run backwards in a log.
    """

    def begins(file: PagedFile, number: int) -> int:
        while number >= 0:
            if groups := file.page(number).groups:
                return groups[0].time
            number -= 1
        return 0

    def number(file: PagedFile) -> int:
        return bisect_left(range(file.pages), moment, key=lambda n: begins(file, n)) - 1

    return number


def last_frames(path: Path, most: int) -> tuple[int, bytes]:
    """The sequence number of the next frame, and the last frames, `most` of them at the most.

    They are one run that ends before that number: what is behind a gap, or behind frames that are
    damaged or given up, is all there is. Takes as long for a long log as for a short one. Raises
    OSError, LogError.
    """
    following, groups = last_groups(path, most)
    run: list[bytes] = []
    begin = following
    for group in reversed(groups):
        if group.end != begin:
            break
        run.append(group.frames)
        begin = group.sequence
    frames = b"".join(reversed(run))
    return following, frames[max(len(frames) - most * FRAME_SIZE, 0) :]


def last_groups(path: Path, most: int) -> tuple[int, list[Group]]:
    """The sequence number of the next frame, and the last groups, with `most` frames or more."""
    following, found = 1, 0
    groups: list[Group] = []
    with opened_log(path) as files:
        for opening in reversed(files):
            with opening() as file:
                if file is None:
                    break
                for number in reversed(range(file.pages)):
                    page = file.page(number)
                    following = max(following, page.first if page.headed else 1)
                    for group in reversed(page.groups):
                        following = max(following, group.end)
                        if found >= most:
                            return following, groups[::-1]
                        if not group.lost:
                            groups.append(group)
                            found += len(group.frames) // FRAME_SIZE
    return following, groups[::-1]


def follow(path: Path, sequence: int) -> Iterator[Group | None]:
    """The groups from that number on, as they come, for ever; None whenever it is to wait.

    The first group may begin before that number. Raises OSError, LogError.
    """
    seen: object = None
    while True:
        state = path.stat()
        # What is written twice within the resolution of a file's time shows no other one.
        now = (state.st_ino, state.st_size, state.st_mtime_ns)
        if now != seen or abs(time.time() - state.st_mtime) < _SURE:
            seen = now
            for part in scan(path, page_of(sequence)):
                if isinstance(part, Group) and part.end > sequence:
                    yield part
                    sequence = part.end
        yield None
