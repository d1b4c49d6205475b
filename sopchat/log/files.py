"""The files of a room log, and the pages of one.

The log FILE is written; what it grew out of is FILE.000000000001, by the first sequence number.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
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


def old_files(current: "PagedFile") -> list[Path]:
    """The files that the log has grown out of, the oldest first."""
    path = current.path
    pattern = re.compile(re.escape(path.name) + rf"\.(\d{{{_DIGITS},}})")
    found = [
        (int(match[1]), file)
        for file in path.parent.iterdir()
        if (match := pattern.fullmatch(file.name))
    ]
    # A server that was killed during a rotation leaves two names for one file; and the current
    # one may be rotated while somebody reads it.
    return [file for _, file in sorted(found) if not current.is_at(file)]


@attrs.frozen
class PagedFile:
    """An open file of a room log."""

    path: Path
    descriptor: int

    @property
    def size(self) -> int:
        """Bytes."""
        return os.fstat(self.descriptor).st_size

    @property
    def pages(self) -> int:
        """How many there are, the last one whole or not."""
        return -(-self.size // PAGE_SIZE)

    def read(self, number: int) -> bytes:
        """The bytes of a page, at most 64 KiB."""
        return os.pread(self.descriptor, PAGE_SIZE, number * PAGE_SIZE)

    def is_at(self, path: Path) -> bool:
        """Whether it is this file that has that name."""
        try:
            return os.path.samestat(os.fstat(self.descriptor), path.stat())
        except FileNotFoundError:
            return False

    def page(self, number: int, expected: int | None = None, start: int = 1) -> Page:
        """A page; where its header is damaged, `expected` or the pages before say its first.

        `start` is the first sequence number of the file if no header can say it.
        """
        data = self.read(number)
        if expected is None:
            # Only what stands in its places needs it: crashes leave many pages of zeros.
            unknown = read_header(data) is None and places_taken(data)
            expected = self._reached(number, start) if unknown else start
        return read_page(data, expected)

    def _reached(self, number: int, start: int) -> int:
        """The sequence number after the pages before that one."""
        places = 0
        for before in reversed(range(number)):
            head = os.pread(self.descriptor, HEAD_SIZE, before * PAGE_SIZE)
            places += places_taken(head)
            if found := read_header(head):
                return found[0] + places
        return start + places

    def check_kind(self) -> None:
        """Raises LogError if this cannot be a room log.

        One page that has a header is enough; so is a file that ends within its first header.
        """
        start = os.pread(self.descriptor, HEADER_SIZE, 0)
        second = os.pread(self.descriptor, HEADER_SIZE, PAGE_SIZE)
        if not (is_known(start) or read_header(second)):
            raise LogError(f"{self.path} is no room log of version {MAGIC[-1]}")


@contextmanager
def opened(path: Path) -> Iterator[PagedFile]:
    """A file of a log for reading. Raises OSError, LogError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        file = PagedFile(path, descriptor)
        file.check_kind()
        yield file
    finally:
        os.close(descriptor)


Opening = Callable[[], AbstractContextManager[PagedFile]]


@contextmanager
def opened_log(path: Path) -> Iterator[list[Opening]]:
    """How to open each file of a log, in order. Raises OSError, LogError.

    They are those of one moment: the current one is open before the others are looked for.
    """
    with opened(path) as current:
        openings: list[Opening] = [partial(opened, old) for old in old_files(current)]
        yield [*openings, lambda: nullcontext(current)]
