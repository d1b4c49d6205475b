"""The doors of the room: listeners, and the I/O side of each protocol.

tcp.py    listening sockets, and the connection over one accepted socket
frame.py  the frame door: the exercise's 512-byte clients

A door is made for one connection and is what a session needs to know of its protocol.
"""

from typing import Protocol

import attrs

from sopchat.connection import Connection


@attrs.frozen
class Offer:
    """What a client showed at the door."""

    # The name and the key it offers: the bytes up to the first NUL of the field.
    name: bytes
    key: bytes
    # What it gets if it is let in.
    welcome: bytes


class Door(Protocol):
    """One client's protocol: its bytes become frames, the room's one currency."""

    @property
    def half(self) -> int:
        """Bytes that came and are not a whole message yet."""

    @property
    def most(self) -> int:
        """How many bytes the next read should take at most."""

    async def receive_offer(self, connection: Connection) -> Offer | None:
        """Read what authenticates the client, and no byte more.

        None if the stream ends before that is complete. Raises OSError.
        """

    def frames(self, data: bytes) -> bytes:
        """The chunk of whole frames that `data`, read after the offer, completes."""
