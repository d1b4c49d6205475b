"""The one who writes a room log: lock, append, rotate, sync. Blocking calls, for a thread."""

import fcntl
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import attrs

from sopchat.limits import LOG_CACHE
from sopchat.log.errors import LogError
from sopchat.log.files import PagedFile, old_files, old_name, opened, opened_old, placed
from sopchat.log.page import (
    ENTRY_SIZE,
    HEAD_SIZE,
    HEADER_SIZE,
    PAGE_FRAMES,
    PAGE_SIZE,
    entries,
    header,
)
from sopchat.log.tail import cut, find_tail
from sopchat.wire.frame import FRAME_SIZE

# What one call may write: pieces of memory (the smallest IOV_MAX of any system that has 1024).
_MOST_PIECES = 1024

# Of whole pages, so many pieces are written together: half a MiB, which the processor has in its
# cache still, from the checksums.
_PIECES = 16

# Whoever looks whether a log is locked has a lock for a moment: so often it is tried, with a pause
# in between (seconds).
_TRIES = 3
_PAUSE = 0.02

# Sequence number of the first frame, time (microseconds since 1970), whole frames.
Chunk = tuple[int, int, bytes]


def lock(path: Path, flags: int = 0) -> PagedFile:
    """Open the log's file to write it, alone. Raises OSError, LogError."""
    tries = _TRIES
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | flags, 0o600)
        try:
            file = PagedFile(path, descriptor)
            file.check_kind()
            # Between opening and locking it may be rotated away.
            if _locks(descriptor) and file.is_at(path):
                return file
            if not (tries := tries - 1):
                raise LogError(f"{path} is being written by a server already")
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        time.sleep(_PAUSE)


def _locks(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(path: Path) -> bool:
    """Whether a server writes the log now. Raises OSError, LogError."""
    while True:
        with opened(path) as file:
            if not _locks(file.descriptor, fcntl.LOCK_SH):
                return True
            if file.is_at(path):  # not rotated away meanwhile
                return False


@attrs.define(eq=False)
class Writer:
    """Appends to a room log that it has locked."""

    _file: PagedFile
    # Frames that came in one read and share a checksum are more than this many.
    _alone: int
    # Pages of a file before it is rotated, 0 for no end; old files that are kept, 0 for all.
    _most_pages: int = 0
    _keep: int = 0
    # Whether `sync` is going to be called: then only it closes a file that was rotated away.
    _syncs: bool = True
    # The sequence number after the last frame written, and when that came.
    next: int = attrs.field(default=1, init=False)
    time: int = attrs.field(default=0, init=False)
    # Bytes cut off because they were torn, when the log was opened.
    torn: int = attrs.field(default=0, init=False)
    # The page that is being filled, and how many of its places are taken.
    _number: int = attrs.field(default=0, init=False)
    _used: int = attrs.field(default=0, init=False)
    # How far the system has been told to keep nothing in its cache (bytes of the file).
    _let_go_until: int = attrs.field(default=0, init=False)
    # Whether what the file holds behind its records is unknown, after an error.
    _unsure: bool = attrs.field(default=False, init=False)
    # Files rotated away that are not on disk yet. `sync` runs in another thread than `write`.
    _retired: list[int] = attrs.field(factory=list, init=False)

    @classmethod
    def open(
        cls, path: Path, alone: int, most_pages: int = 0, keep: int = 0, *, syncs: bool = True
    ) -> Self:
        """Continue the log at `path`, or begin it; mend a torn tail.

        Raises OSError, LogError.
        """
        writer = cls(lock(path, os.O_CREAT), alone, most_pages, keep, syncs)
        try:
            made = not writer._file.size
            writer.torn = writer._mend()
            if made and syncs:
                _sync_folder(path.parent)
        except BaseException:
            os.close(writer._file.descriptor)
            raise
        return writer

    def _mend(self) -> int:
        """Find out where the records end, cut off what stands behind them, and say how much."""
        self._file = placed(self._file)
        tail = find_tail(self._file)
        cut(self._file, tail)
        self._number, self._used = tail.number, tail.used
        self.next, self.time = tail.next, max(self.time, self._before(), tail.time)
        if not tail.size:  # not even a header
            _write_all(self._file.descriptor, [header(self.next, self.next)], 0)
        self._unsure = False
        return tail.torn

    def _before(self) -> int:
        """The time that the log had come to before this file."""
        for path in old_files(self._file)[-1:]:
            with opened_old(path) as old:
                return find_tail(old).time
        return 0

    def write(self, chunks: Sequence[Chunk]) -> None:
        """Append chunks, whose sequence numbers rise; what is there already is passed over.

        Raises OSError: then `next` says how far it came. The same chunks may be written again.
        """
        reached = self.next
        try:
            if self._unsure:
                self._mend()
            batch = _Batch(self._file.descriptor, self._number, self._used)
            for sequence, time, frames in chunks:
                batch = self._add(batch, sequence, time, memoryview(frames))
            batch.finish()
        except OSError:
            self.next, self._unsure = reached, True
            self._mend()
            raise
        self._number, self._used = batch.number, batch.used
        self._let_go()

    def _let_go(self) -> None:
        """Let the system write what a flood has left in its cache, and drop what is on disk.

        The log is seldom read. A cache that grows with it takes memory that was never used, whose
        first touch costs several times the copy, and drops what others have there.
        """
        end = self._number * PAGE_SIZE
        if end - self._let_go_until < LOG_CACHE // 4 or not hasattr(os, "posix_fadvise"):
            return
        # What was not on disk the last time is told again.
        start = max(self._let_go_until - LOG_CACHE, 0)
        self._let_go_until = end
        os.posix_fadvise(self._file.descriptor, start, end - start, os.POSIX_FADV_DONTNEED)

    def _add(self, batch: "_Batch", sequence: int, time: int, frames: memoryview) -> "_Batch":
        if there := min(max(self.next - sequence, 0), len(frames) // FRAME_SIZE):
            sequence, frames = sequence + there, frames[there * FRAME_SIZE :]
        self.time = time
        size = len(frames)
        most = FRAME_SIZE if size <= self._alone * FRAME_SIZE else size
        start = 0
        while start < size:
            if sequence != self.next or batch.used == PAGE_FRAMES:
                batch = self._turn_page(batch, sequence)
            end = start + min(most, size - start, (PAGE_FRAMES - batch.used) * FRAME_SIZE)
            piece = frames[start:end]
            batch.add(entries(sequence, time, piece), piece)
            sequence += len(piece) // FRAME_SIZE
            self.next, start = sequence, end
        return batch

    def _turn_page(self, batch: "_Batch", sequence: int) -> "_Batch":
        if self._most_pages and batch.number + 1 >= self._most_pages:
            batch.finish()
            self._rotate(sequence)
            batch = _Batch(self._file.descriptor, 0, 0)
        else:
            batch.turn_page(header(sequence, self.next))
        self.next = sequence
        return batch

    def _rotate(self, first: int) -> None:
        """Go on in a new file, from that number on.

        There is a locked one of the log's name at every moment.
        """
        path = self._file.path
        old = old_name(path, self._file.start)
        if not self._file.is_at(old):  # linked before the last crash
            os.link(path, old)
        fresh = path.with_name(path.name + ".new")
        fresh.unlink(missing_ok=True)  # of a crash; or somebody's link to another file
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(fresh, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _write_all(descriptor, [header(first, self.next)], 0)
            fresh.rename(path)
        except OSError:
            os.close(descriptor)
            raise
        if self._syncs:
            self._retired.append(self._file.descriptor)
        else:
            os.close(self._file.descriptor)
        self._file = PagedFile(path, descriptor, first)
        self._let_go_until = 0
        if self._keep:
            for file in old_files(self._file)[: -self._keep]:
                file.unlink(missing_ok=True)

    def sync(self) -> None:
        """Have on disk all that was written before. May run beside `write`. Raises OSError."""
        rotated = bool(self._retired)
        while self._retired:
            descriptor = self._retired.pop(0)
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)
        if rotated:
            _sync_folder(self._file.path.parent)
        os.fdatasync(self._file.descriptor)

    def close(self) -> None:
        """Let another one write it."""
        for descriptor in (*self._retired, self._file.descriptor):
            os.close(descriptor)


class _Batch:
    """What is to be written of some pages, one behind the other."""

    def __init__(self, descriptor: int, number: int, used: int) -> None:
        self._descriptor = descriptor
        # The page that is being filled, and how many of its places are taken.
        self.number = number
        self.used = used
        # The header of that page if it is to be written, and what comes into its places.
        self._header = b""
        self._start = used
        self._entries: list[bytes] = []
        self._pieces: list[memoryview] = []
        # Whole pages, one behind the other, and the place of the first.
        self._pages: list[bytes | memoryview] = []
        self._place = 0

    def add(self, beside: bytes, frames: memoryview) -> None:
        """Put a group's entries and frames into the page; they fit."""
        self._entries.append(beside)
        self._pieces.append(frames)
        self.used += len(beside) // ENTRY_SIZE

    def turn_page(self, page_header: bytes) -> None:
        """Begin another page."""
        self._finish_page()
        if self.used < PAGE_FRAMES or len(self._pages) >= _PIECES:
            self._flush()
        self.number, self.used, self._start, self._header = self.number + 1, 0, 0, page_header
        if not self._pages:
            self._place = self.number * PAGE_SIZE

    def finish(self) -> None:
        """Write all."""
        self._finish_page()
        self._flush()

    def _finish_page(self) -> None:
        if not self._entries:
            return
        beside, pieces = b"".join(self._entries), self._pieces
        self._entries, self._pieces = [], []
        if self._header:
            self._pages.append((self._header + beside).ljust(HEAD_SIZE, b"\0"))
            self._pages += pieces
            return
        # It is in the file already. The entries are written last: then their frames are there.
        page = self.number * PAGE_SIZE
        _write_all(self._descriptor, [*pieces], page + HEAD_SIZE + self._start * FRAME_SIZE)
        _write_all(self._descriptor, [beside], page + HEADER_SIZE + self._start * ENTRY_SIZE)

    def _flush(self) -> None:
        pages, self._pages = self._pages, []
        _write_all(self._descriptor, pages, self._place)


def _write_all(descriptor: int, pieces: list[bytes | memoryview], place: int) -> None:
    """Write the pieces one behind the other, in as few calls as the system needs."""
    done = 0
    while done < len(pieces):
        written = os.pwritev(descriptor, pieces[done : done + _MOST_PIECES], place)
        place += written
        while done < len(pieces) and written >= len(pieces[done]):
            written -= len(pieces[done])
            done += 1
        if written:
            pieces[done] = memoryview(pieces[done])[written:]


def _sync_folder(folder: Path) -> None:
    """Have the names of the files on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
