"""The doors of the room: listeners, and the I/O side of each protocol.

unix.py   listening Unix-domain sockets, and who comes by them
tcp.py    listening TCP sockets, and the connection over one accepted socket
tls.py    the same, encrypted
frame.py  the frame door: the exercise's 512-byte clients
line.py   the line door: telnet and nc
talk.py   the talk door: the Python course's client

A door is shared by all who come in by it, and says how the room's frames look there. A doorway is
one client's passage through it: what it said so far, and what that means in frames.
"""

import math
from typing import ClassVar, Protocol

import attrs

from sopchat.connection import Connection
from sopchat.departure import Departure


class BadOffer(Exception):
    """What a client offers cannot be a name and a key. The message says why."""


@attrs.frozen
class Offer:
    """What a client showed at the door."""

    name: bytes
    key: bytes
    # What it gets first if it is let in.
    welcome: bytes
    # The door it wants to hear by, if not the one it came to.
    door: "Door | None" = None


@attrs.define
class Chunk:
    """What one read of a member means."""

    # In the room's currency: whole frames, for the other doors and the watchers.
    frames: bytes
    # As it came, for the others at the same door.
    raw: bytes
    # For the member itself.
    reply: bytes = b""


class Doorway(Protocol):
    """One client's side of a protocol: its bytes become chunks."""

    # The name the client goes by. A session reads it after every chunk.
    name: bytes
    # Seconds after which what is held back goes out all the same (`flush`); infinity for never.
    patience: ClassVar[float] = math.inf
    # Bytes of the shortest message.
    shortest: ClassVar[int]

    @property
    def half(self) -> int:
        """Bytes held back because their message is not whole yet."""

    def most(self, size: int) -> int:
        """How many bytes the next read should take where one of `size` is worth making."""

    async def receive_offer(self, connection: Connection) -> Offer | None:
        """Ask for and read what authenticates the client.

        None if the stream ends before that is complete. Raises BadOffer, OSError.
        """

    def feed(self, data: bytes) -> Chunk | None:
        """What `data`, read after the offer, completes.

        Called first with no data, for what came together with the offer.
        """

    def flush(self) -> Chunk | None:
        """What is held back and may go out though it is not whole; None where nothing may."""


class Door(Protocol):
    """A protocol by which clients come into the room."""

    # What the console calls those who come in by it; nothing for the frame door, the main one.
    title: ClassVar[str] = ""

    def enter(self) -> Doorway:
        """A doorway for one client."""

    # Whether members get what others at the same door say just as it came.
    verbatim: ClassVar[bool] = True

    def render(self, frames: bytes, first: int) -> bytes:
        """A chunk of whole frames, of which `first` is the number of the first, as it is heard."""

    def notice(self, text: str) -> bytes:
        """A sentence of the server's own to one client; nothing where the protocol has no words."""

    def farewell(self, departure: Departure) -> bytes:
        """What a client is told before the server closes its connection."""
