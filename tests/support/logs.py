"""Room logs made for tests, and what is read from them."""

from collections.abc import Sequence
from pathlib import Path

from sopchat.log.page import Damage, Gap, Group
from sopchat.log.reader import scan
from sopchat.log.writer import Writer
from tests.support.frames import cut, frame

ALONE = 8


def write(path: Path, *sizes: int, first: int | None = None, most_pages: int = 0) -> list[bytes]:
    """Append chunks of so many frames, each a batch of its own; the frames."""
    writer = Writer.open(path, ALONE, most_pages)
    written = []
    try:
        sequence = first or writer.next
        for size in sizes:
            chunk = [frame("ann", f"text {sequence + place}") for place in range(size)]
            writer.write([(sequence, max(writer.time, sequence * 1_000_000), b"".join(chunk))])
            written += chunk
            sequence += size
        writer.sync()
    finally:
        writer.close()
    return written


def frames_of(parts: Sequence[Group | Damage | Gap]) -> list[bytes]:
    """The undamaged frames."""
    return [
        one
        for part in parts
        if isinstance(part, Group) and not part.lost
        for one in cut(part.frames)
    ]


def read(path: Path) -> list[bytes]:
    """The frames of a log, which has no damage and no gap, with their numbers in order."""
    parts = list(scan(path))
    following = parts[0].sequence if parts else 1
    for part in parts:
        assert isinstance(part, Group), part
        assert part.sequence == following
        following = part.end
    return frames_of(parts)


def damages(path: Path) -> list[Damage]:
    return [part for part in scan(path) if isinstance(part, Damage)]
