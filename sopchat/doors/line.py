"""The line door: `telnet` and `nc` users among the members (docs/line-protocol.md)."""

from typing import ClassVar

import attrs

from sopchat.connection import Connection, receive
from sopchat.departure import Departure
from sopchat.doors import BadOffer, Chunk, Offer
from sopchat.wire.display import as_lines, printable
from sopchat.wire.frame import NAME_SIZE, TEXT_SIZE, checked, encode_texts
from sopchat.wire.line import LINE_SIZE, LineBuffer, lines

# Seconds for which a piece of a line waits for its end before it goes out without: longer than the
# pieces of a line that was sent at once take to come, and hardly noticed by who waits for it.
HOLD = 0.2


@attrs.frozen(eq=False)
class LineDoor:
    """The line protocol; with `keyed`, a client is asked for its name and the key."""

    verbatim: ClassVar[bool] = True
    title: ClassVar[str] = "lines, as telnet and nc send them"

    keyed: bool = True

    def enter(self) -> "LineDoorway":
        """A doorway for one client."""
        return LineDoorway(self.keyed)

    def render(self, frames: bytes, first: int) -> bytes:
        """A line `name: text` for each frame, safe on any terminal."""
        return as_lines(frames, lambda name: f"{printable(name)}: ", "\r\n").encode()

    def notice(self, text: str) -> bytes:
        """A line, where the room has a key; a course's server says nothing of its own."""
        return f"{text}\r\n".encode() if self.keyed else b""

    def farewell(self, departure: Departure) -> bytes:
        """The reason, in a line."""
        return self.notice(f"You are disconnected: {departure.told}.")


@attrs.define(eq=False)
class LineDoorway:
    """The line protocol's side of one connection."""

    patience: ClassVar[float] = HOLD
    shortest: ClassVar[int] = 1
    _keyed: bool
    name: bytes = attrs.field(default=b"", init=False)
    _buffer: LineBuffer = attrs.field(factory=LineBuffer, init=False)
    # What came behind the answers that have been taken.
    _early: bytes = attrs.field(default=b"", init=False)

    @property
    def half(self) -> int:
        """Bytes of a line that has not ended yet."""
        return len(self._early) + self._buffer.half

    def most(self, size: int) -> int:
        """The protocol reads a client this much at a time."""
        return LINE_SIZE

    async def receive_offer(self, connection: Connection) -> Offer | None:
        """Ask for the name and the key, a line each.

        Raises BadOffer if one of them is too long for a frame or holds a NUL.
        """
        if not self._keyed:
            return Offer(b"", b"", b"")
        name = await self._ask(connection, b"Your name: ")
        if name is None:
            return None
        key = await self._ask(connection, b"The key: ")
        if key is None:
            return None
        try:
            self.name = checked(name, NAME_SIZE, "the name")
            return Offer(name, checked(key, TEXT_SIZE, "the key"), b"Welcome.\r\n")
        except ValueError as error:
            raise BadOffer(str(error)) from None

    async def _ask(self, connection: Connection, question: bytes) -> bytes | None:
        """One line in answer; None if the stream ends before it does."""
        await connection.send([question])
        while b"\n" not in self._early:
            if len(self._early) >= LINE_SIZE:
                raise BadOffer(f"an answer of more than {LINE_SIZE} bytes")
            data = await receive(connection, LINE_SIZE)
            if not data:
                return None
            self._early += data
        line, _, self._early = self._early.partition(b"\n")
        return line.removesuffix(b"\r")

    def feed(self, data: bytes) -> Chunk | None:
        """The lines that `data` completes."""
        early, self._early = self._early, b""
        return self._chunk(self._buffer.feed(early + data))

    def flush(self) -> Chunk | None:
        """The piece that is held back, as a line without its end."""
        return self._chunk(self._buffer.flush())

    def _chunk(self, raw: bytes) -> Chunk | None:
        return Chunk(encode_texts(self.name, lines(raw)), raw) if raw else None
