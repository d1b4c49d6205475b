"""A page of the room log as pure bytes: 124 frames, and what is kept beside each.

docs/room-log.md, "A page", is the contract. A frame's checksum would cost more than relaying it, so
frames that came together share one: a group is 1 to 124 frames of one page that came in one read.
"""

import struct
import zlib
from functools import lru_cache
from typing import NamedTuple

import attrs

from sopchat.wire.frame import FRAME_SIZE

PAGE_SIZE = 64 * 1024
# Frames in a page.
PAGE_FRAMES = 124
# What stands before the frames: the header, and an entry for each frame.
HEAD_SIZE = 2048
HEADER_SIZE = 64
ENTRY_SIZE = 16

# No room gets there; so a number behind it fits into its 8 bytes as well.
_NO_SEQUENCE = 2**63

# Its last byte is the version of the format.
MAGIC = b"sopchat\x01"

# Magic, the page's first sequence number, the one the log had come to before, 36 zero bytes.
_HEADER = struct.Struct("<8sQQ36x")
_CHECKSUM = struct.Struct("<I")
# Of an entry: time and checksum; then position and size of the group, and its mark.
_SHARED = struct.Struct("<QI")
_OWN = struct.Struct("<BBH")
_ENTRY = struct.Struct("<QIBBH")
# What a group's checksum covers before its frames: sequence number, time, size, mark.
_COVERED = struct.Struct("<QQBH")


class Group(NamedTuple):
    """Undamaged frames that came together."""

    # Of the first frame.
    sequence: int
    # Microseconds since 1970, UTC.
    time: int
    frames: bytes
    # What stood there was damaged, and a repair gave it up: `frames` are not what came.
    lost: bool = False

    @property
    def end(self) -> int:
        """The sequence number after the last frame."""
        return self.sequence + len(self.frames) // FRAME_SIZE


class Damage(NamedTuple):
    """Something that is not as it was written: so many frames from a sequence number on."""

    sequence: int
    frames: int
    words: str


class Gap(NamedTuple):
    """So many frames were relayed and are not in the log: nothing is damaged."""

    sequence: int
    frames: int
    words: str = "could not be written when they came"


@attrs.frozen
class Page:
    """What a page holds."""

    # The sequence number of its first frame, and the one the log had come to before it.
    first: int
    after: int
    # Whether the header is undamaged.
    headed: bool
    # In the order of the frames.
    parts: list[Group | Damage]
    # Places taken, 0 to 124.
    used: int

    @property
    def end(self) -> int:
        """The sequence number after the last place taken."""
        return self.first + self.used

    @property
    def groups(self) -> list[Group]:
        """What is undamaged."""
        return [part for part in self.parts if isinstance(part, Group)]


def header(first: int, after: int) -> bytes:
    """The 64 bytes a page begins with."""
    fields = _HEADER.pack(MAGIC, first, after)
    return fields + _CHECKSUM.pack(zlib.crc32(fields))


def read_header(data: bytes) -> tuple[int, int] | None:
    """`first` and `after` of a page that begins with `data`; None if its header is damaged."""
    _, first, after = _HEADER.unpack_from(data.ljust(HEADER_SIZE, b"\0"))
    if max(first, after) >= _NO_SEQUENCE or data[:HEADER_SIZE] != header(first, after):
        return None
    return first, after


def is_known(start: bytes) -> bool:
    """Whether a file that begins so is a room log, though one part of its header be damaged.

    It may end within the header.
    """
    if len(start) < HEADER_SIZE:
        return MAGIC.startswith(start[: len(MAGIC)])
    _, first, after = _HEADER.unpack_from(start)
    return start.startswith(MAGIC) or start[len(MAGIC) :] == header(first, after)[len(MAGIC) :]


def entries(sequence: int, time: int, frames: bytes | memoryview, mark: int = 0) -> bytes:
    """The entries beside the frames of one group, at most 124: 16 bytes each."""
    size = len(frames) // FRAME_SIZE
    checksum = zlib.crc32(frames, zlib.crc32(_COVERED.pack(sequence, time, size, mark)))
    return _SHARED.pack(time, checksum).join(_own_parts(size, mark))


@lru_cache(maxsize=4 * PAGE_FRAMES)
def _own_parts(size: int, mark: int) -> list[bytes]:
    """What the entries of a group do not share, and an empty one before: so `join` makes them."""
    return [b"", *(_OWN.pack(position, size, mark) for position in range(size))]


def places_taken(data: bytes) -> int:
    """How many places of the page in `data` are taken, whatever stands there."""
    return -(-len(data[HEADER_SIZE:HEAD_SIZE].rstrip(b"\0")) // ENTRY_SIZE)


def read_page(data: bytes, expected: int) -> Page:
    """What the page in `data` holds, which may be cut short anywhere.

    `expected` is the first sequence number if the header cannot say it: a wrong one makes
    every checksum wrong.
    """
    found = read_header(data)
    first, after = found or (expected, expected)
    used = places_taken(data)
    end = HEADER_SIZE + used * ENTRY_SIZE
    beside = data[HEADER_SIZE:end].ljust(used * ENTRY_SIZE, b"\0")
    parts: list[Group | Damage] = []
    place = 0
    while place < used:
        group = _read_group(data, beside, first, place)
        if group is not None:
            parts.append(group)
            place = group.end - first
            continue
        before = parts[-1] if parts else None
        if isinstance(before, Damage):
            parts[-1] = before._replace(frames=before.frames + 1)
        else:
            parts.append(Damage(first + place, 1, "damaged"))
        place += 1
    return Page(first, after, found is not None, parts, used)


def _read_group(data: bytes, beside: bytes, first: int, place: int) -> Group | None:
    """The group that begins at a place; None if none does, undamaged."""
    start = place * ENTRY_SIZE
    time, _, position, size, mark = _ENTRY.unpack_from(beside, start)
    if position or mark > 1:
        return None
    begin = HEAD_SIZE + place * FRAME_SIZE
    frames = data[begin : begin + size * FRAME_SIZE]
    wanted = entries(first + place, time, frames, mark)
    if not wanted or beside[start : start + size * ENTRY_SIZE] != wanted:
        return None
    return Group(first + place, time, frames, bool(mark))
