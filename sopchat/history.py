"""What was said last, for who joins."""

from collections import deque

import attrs

from sopchat.doors import Door
from sopchat.wire.frame import FRAME_SIZE


@attrs.define(eq=False)
class History:
    """The last `limit` frames of the room, in order."""

    limit: int
    _chunks: deque[bytes] = attrs.field(factory=deque, init=False)
    _size: int = attrs.field(default=0, init=False)
    # As each door gets it, until more is said: those who join together share it.
    _rendered: dict[Door, bytes] = attrs.field(factory=dict, init=False)

    @property
    def _most(self) -> int:
        return self.limit * FRAME_SIZE

    def add(self, frames: bytes) -> None:
        """Whole frames were said."""
        if not self.limit or not frames:
            return
        self._rendered.clear()
        kept = frames[-self._most :]
        self._chunks.append(kept)
        self._size += len(kept)
        while self._size - len(self._chunks[0]) >= self._most:
            self._size -= len(self._chunks.popleft())

    def rendered(self, door: Door, last: int) -> bytes:
        """The last frames, up to the one with the number `last`, as the door's members get them."""
        if not self._chunks:
            return b""
        if door not in self._rendered:
            frames = b"".join(self._chunks)[-self._most :]
            self._rendered[door] = door.render(frames, last + 1 - len(frames) // FRAME_SIZE)
        return self._rendered[door]
