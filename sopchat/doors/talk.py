"""The talk door: the Python course's clients among the members (docs/talk-protocol.md)."""

import math
from collections.abc import Callable, Iterable
from typing import ClassVar

import attrs

from sopchat.connection import Connection, receive
from sopchat.departure import Departure
from sopchat.doors import BadOffer, Chunk, Offer
from sopchat.wire import talk
from sopchat.wire.display import as_lines, printable
from sopchat.wire.frame import TEXT_SIZE, checked, encode_texts

# Who is there: name and address of every member.
Roster = Callable[[], Iterable[tuple[bytes, str]]]


@attrs.frozen(eq=False)
class TalkDoor:
    """The talk protocol; with `keyed`, a client's first message must carry the key."""

    verbatim: ClassVar[bool] = True
    title: ClassVar[str] = "talk clients"

    roster: Roster
    keyed: bool = True

    def enter(self) -> "TalkDoorway":
        """A doorway for one client."""
        return TalkDoorway(self)

    def render(self, frames: bytes, first: int) -> bytes:
        """A line `name says: text` for each frame, safe on any terminal."""
        return as_lines(frames, lambda name: f"{printable(name)} says: ").encode()

    def notice(self, text: str) -> bytes:
        """A line, where the room has a key; a course's server says nothing of its own."""
        return f"{text}\n".encode() if self.keyed else b""

    def farewell(self, departure: Departure) -> bytes:
        """The reason, in a line."""
        return self.notice(f"You are disconnected: {departure.told}.")


@attrs.define(eq=False)
class TalkDoorway:
    """The talk protocol's side of one connection."""

    patience: ClassVar[float] = math.inf
    # What one read takes is a message: a smaller read would cut it.
    shortest: ClassVar[int] = talk.READ_SIZE
    _door: TalkDoor
    name: bytes = attrs.field(default=talk.UNKNOWN, init=False)

    @property
    def half(self) -> int:
        """A message is what one read took: it is always whole."""
        return 0

    def most(self, size: int) -> int:
        """The protocol reads this much at a time."""
        return talk.READ_SIZE

    async def receive_offer(self, connection: Connection) -> Offer | None:
        """Greet; the text of the first message is the key, where there is one.

        Raises BadOffer if that can be no key.
        """
        if not self._door.keyed:
            return Offer(self.name, b"", talk.GREETING)
        await connection.send([talk.GREETING])
        message = await receive(connection, talk.READ_SIZE)
        if not message:
            return None
        name, key = talk.parse(message)
        self.name = name or self.name
        try:
            return Offer(self.name, checked(key, TEXT_SIZE, "the key"), b"")
        except ValueError as error:
            raise BadOffer(str(error)) from None

    def feed(self, data: bytes) -> Chunk | None:
        """The message that `data` is, or the answer to it."""
        if not data:
            return None
        frames, raw, reply = [], [], b""
        # Messages that were sent apart may come in one read; a client that ends them with a
        # newline, as ours does, is understood all the same.
        for line in data.splitlines(keepends=True):
            name, text = talk.parse(line)
            self.name = name or self.name
            if talk.asks_who(text):
                reply = talk.who(self._door.roster())
            else:
                frames.append(encode_texts(self.name, [text]))
                raw.append(line)
        return Chunk(b"".join(frames), b"".join(raw), reply)

    def flush(self) -> None:
        """Nothing is held back."""
