"""The frame door (docs/frame-protocol.md): what comes in is frames already."""

import math
from typing import ClassVar

import attrs

from sopchat.connection import Connection, receive
from sopchat.departure import Departure
from sopchat.doors import Chunk, Offer
from sopchat.wire.frame import (
    ASK_NUMBERS,
    FRAME_SIZE,
    GIVE_NUMBERS,
    Frame,
    FrameBuffer,
    field_value,
    numbered,
)


class FrameDoor:
    """The frame protocol."""

    title: ClassVar[str] = ""
    verbatim: ClassVar[bool] = True

    def __init__(self) -> None:
        self._numbered = NumberedDoor()

    def enter(self) -> "FrameDoorway":
        """A doorway for one client."""
        return FrameDoorway(self._numbered)

    def render(self, frames: bytes, first: int) -> bytes:
        """The frames themselves."""
        return frames

    def notice(self, text: str) -> bytes:
        """The frame protocol has no words for it."""
        return b""

    def farewell(self, departure: Departure) -> bytes:
        """Nor for this."""
        return b""


class NumberedDoor(FrameDoor):
    """The same for who has asked for numbers: it hears every frame behind its own."""

    verbatim: ClassVar[bool] = False

    def __init__(self) -> None:
        """Nobody asks for more."""

    def render(self, frames: bytes, first: int) -> bytes:
        """The frames, numbered."""
        return numbered(frames, first)


@attrs.define(eq=False)
class FrameDoorway:
    """The frame protocol's side of one connection."""

    patience: ClassVar[float] = math.inf
    shortest: ClassVar[int] = FRAME_SIZE
    # The door of who asks for numbers, where they are given.
    _numbered: NumberedDoor | None = None
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
        key = field_value(frame.text)
        if self._numbered and frame.text.startswith(key + ASK_NUMBERS):
            answer = frame.text.replace(ASK_NUMBERS, GIVE_NUMBERS, 1)
            return Offer(self.name, key, frame.name + answer, self._numbered)
        return Offer(self.name, key, frame.encode())

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
