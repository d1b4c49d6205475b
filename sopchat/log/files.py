"""The files of a room log, and the pages of one.

The log FILE is written; what it grew out of is FILE.000000000001, by the first sequence number.
"""

import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path

import attrs

from sopchat.log.errors import LogError
from sopchat.log.page import (
    HEAD_SIZE,
    HEADER_SIZE,
    MAGIC,
    PAGE_SIZE,
    Page,
    is_known,
    places_taken,
    read_header,
    read_page,
)

_DIGITS = 12


def old_name(path: Path, first: int) -> Path:
    """What the log's file is called after its rotation; `first` is its first sequence number."""
    return path.with_name(f"{path.name}.{first:0{_DIGITS}}")


@attrs.frozen
class PagedFile:
    """An open file of a room log."""

    path: Path
    descriptor: int
    # Its first sequence number if no header can say it.
    start: int = 1

    @property
    def size(self) -> int:
        """Bytes."""
        return os.fstat(self.descriptor).st_size

    @property
    def pages(self) -> int:
        """How many there are, the last one whole or not."""
        return -(-self.size // PAGE_SIZE)

    @property
    def begin(self) -> int | None:
        """The first sequence number; None if the first header is damaged."""
        found = read_header(os.pread(self.descriptor, HEADER_SIZE, 0))
        return found and found[0]

    @property
    def end(self) -> int:
        """The sequence number after the last place taken, whatever stands there."""
        return self._reached(self.pages)

    def read(self, number: int) -> bytes:
        """The bytes of a page, at most 64 KiB."""
        return os.pread(self.descriptor, PAGE_SIZE, number * PAGE_SIZE)

    def is_at(self, path: Path) -> bool:
        """Whether it is this file that has that name."""
        try:
            return os.path.samestat(os.fstat(self.descriptor), path.stat())
        except FileNotFoundError:
            return False

    def page(self, number: int, expected: int | None = None) -> Page:
        """A page; where its header is damaged, `expected` or the pages before say its first.

        Of page 0 `start` says it. What is written while it is read is damage only if it stays so:
        then it is at the end.
        """
        data = self.read(number)
        if expected is None or not number:
            # Only what stands in its places needs it: crashes leave many pages of zeros.
            unknown = read_header(data) is None and places_taken(data)
            expected = self._reached(number) if unknown else self.start
        page = read_page(data, expected)
        while len(page.groups) < len(page.parts) and (now := self.read(number)) != data:
            data, page = now, read_page(now, expected)
        return page

    def _reached(self, number: int) -> int:
        """The sequence number after the pages before that one."""
        places = 0
        for before in reversed(range(number)):
            head = os.pread(self.descriptor, HEAD_SIZE, before * PAGE_SIZE)
            places += places_taken(head)
            if found := read_header(head):
                return found[0] + places
        return self.start + places

    def check_kind(self) -> None:
        """Raises LogError if this cannot be a room log.

        One page that has a header is enough; so is a file that ends within its first header.
        """
        if not stat.S_ISREG(os.fstat(self.descriptor).st_mode):
            raise LogError(f"{self.path} is no file that can be a room log")
        start = os.pread(self.descriptor, HEADER_SIZE, 0)
        second = os.pread(self.descriptor, HEADER_SIZE, PAGE_SIZE)
        if not (is_known(start) or read_header(second)):
            raise LogError(f"{self.path} is no room log of version {MAGIC[-1]}")


@contextmanager
def opened(path: Path, start: int = 1) -> Iterator[PagedFile]:
    """A file of a log for reading. Raises OSError, LogError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        file = PagedFile(path, descriptor, start)
        file.check_kind()
        yield file
    finally:
        os.close(descriptor)


def opened_old(path: Path) -> AbstractContextManager[PagedFile]:
    """An old file of a log, whose name says its `start`, for reading. Raises OSError, LogError."""
    return opened(path, named_first(path))


def named_first(path: Path) -> int:
    """The first sequence number of an old file."""
    return int(path.suffix[1:])


def placed(current: PagedFile) -> PagedFile:
    """The log's file with its `start`; if its header is damaged, with the one that others know.

    That is the end of the last old file, or behind it what the second page says: the one that
    more of the first page's records fit. Raises OSError, LogError.
    """
    if (begin := current.begin) is not None:
        return attrs.evolve(current, start=begin)
    end = 1
    for old in old_files(current)[-1:]:
        with _opened_if_there(old) as last:
            end = last.end if last else end
    starts = [end]
    if second := read_header(current.read(1)):
        starts.append(max(end, second[1] - places_taken(current.read(0))))
    files = [attrs.evolve(current, start=start) for start in starts]
    return max(files, key=lambda file: len(file.page(0).groups))


def old_files(current: PagedFile) -> list[Path]:
    """The files that the log has grown out of, the oldest first. Raises OSError."""
    begin = current.begin
    return [
        path
        for first, path in _named_so(current)
        # What `current` itself has grown into, meanwhile, is behind it.
        if (begin is None or first < begin) and _is_old(path, first)
    ]


def foreign_files(path: Path) -> list[Path]:
    """Copies and the like: files that are called like old files of the log, and are none.

    Raises OSError, LogError.
    """
    with opened(path) as current:
        return [
            file for first, file in _named_so(current) if not _is_old(file, first) and file.exists()
        ]


def _named_so(current: PagedFile) -> list[tuple[int, Path]]:
    path = current.path
    pattern = re.compile(re.escape(path.name) + rf"\.([0-9]{{{_DIGITS},}})")
    found = [
        (int(match[1]), file)
        for file in path.parent.iterdir()
        if (match := pattern.fullmatch(file.name))
    ]
    # A server that was killed during a rotation leaves two names for one file; and the current
    # one may be rotated while somebody reads it.
    return [(first, file) for first, file in sorted(found) if not current.is_at(file)]


def _is_old(path: Path, first: int) -> bool:
    """Whether a file is a room log that begins with the number in its name."""
    try:
        with opened(path, first) as file:
            if file.begin is not None:
                return file.begin == first
            # The header is damaged: checksums fit with the right number alone.
            behind = read_header(file.read(1))
            return bool(file.page(0).groups) or (behind is not None and behind[0] > first)
    except (LogError, FileNotFoundError):
        return False


# None: the file was removed meanwhile.
Opening = Callable[[], AbstractContextManager[PagedFile | None]]


@contextmanager
def opened_log(path: Path) -> Iterator[list[Opening]]:
    """How to open each file of a log, in order. Raises OSError, LogError.

    They are those of one moment: the current one is open before the others are looked for.
    """
    with opened(path) as current:
        openings: list[Opening] = [partial(_opened_if_there, old) for old in old_files(current)]
        yield [*openings, lambda: nullcontext(placed(current))]


@contextmanager
def _opened_if_there(path: Path) -> Iterator[PagedFile | None]:
    with ExitStack() as stack:
        try:
            file = stack.enter_context(opened_old(path))
        except FileNotFoundError:
            file = None
        yield file
