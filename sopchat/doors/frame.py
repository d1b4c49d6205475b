"""The frame door (docs/frame-protocol.md): what comes in is frames already."""

import math
from typing import ClassVar

import attrs

from sopchat.connection import Connection, receive
from sopchat.departure import Departure
from sopchat.doors import Chunk, Offer
from sopchat.wire.frame import FRAME_SIZE, Frame, FrameBuffer, field_value


class FrameDoor:
    """The frame protocol."""

    title: ClassVar[str] = ""

    def enter(self) -> "FrameDoorway":
        """A doorway for one client."""
        return FrameDoorway()

    def render(self, frames: bytes) -> bytes:
        """The frames themselves."""
        return frames

    def notice(self, text: str) -> bytes:
        """The frame protocol has no words for it."""
        return b""

    def farewell(self, departure: Departure) -> bytes:
        """Nor for this."""
        return b""


@attrs.define(eq=False)
class FrameDoorway:
    """The frame protocol's side of one connection."""

    patience: ClassVar[float] = math.inf
    name: bytes = attrs.field(default=b"", init=False)
    _buffer: FrameBuffer = attrs.field(factory=FrameBuffer, init=False)

    @property
    def half(self) -> int:
        """Bytes of a frame that is not whole yet."""
        return self._buffer.half

    def most(self, size: int) -> int:
        """Just so many that a full read ends with a whole frame: nothing is copied then."""
        return size - self._buffer.half

    async def receive_offer(self, connection: Connection) -> Offer | None:
        """Read the authentication frame; its echo is the welcome."""
        frame = await self.receive_frame(connection)
        if frame is None:
            return None
        self.name = field_value(frame.name)
        return Offer(self.name, field_value(frame.text), frame.encode())

    async def receive_frame(self, connection: Connection) -> Frame | None:
        """Read one frame and no byte more; None if the stream ends before it is whole."""
        while True:
            data = await receive(connection, FRAME_SIZE - self._buffer.half)
            if not data:
                return None
            chunk = self._buffer.feed(data)
            if chunk:
                return Frame.decode(chunk)

    def feed(self, data: bytes) -> Chunk | None:
        """The frames that `data` completes."""
        frames = self._buffer.feed(data)
        return Chunk(frames, frames) if frames else None

    def flush(self) -> None:
        """Half a frame is never relayed."""
