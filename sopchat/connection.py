"""What an outbox and a session need of a connection, whatever carries its bytes."""

from collections.abc import Sequence
from typing import Protocol


class Connection(Protocol):
    """A byte stream to one client.

    The calls raise OSError as the system gave it: `errno` says what happened.
    """

    @property
    def peer(self) -> str:
        """The client's address, as it is shown: `192.0.2.1:50000` or `[2001:db8::1]:50000`."""

    async def receive(self, most: int) -> bytes:
        """Wait for bytes and give at most `most` of them; none at the end of the stream."""

    def receive_now(self, most: int, /) -> bytes:
        """The same without waiting. Raises BlockingIOError where `receive` would wait."""

    async def send(self, pieces: Sequence[bytes | memoryview]) -> int:
        """Wait until the connection takes bytes of the pieces, in order; give how many.

        Cancelled, it has sent nothing.
        """

    def send_now(self, piece: bytes | memoryview, /) -> int:
        """The same without waiting. Raises BlockingIOError where `send` would wait."""

    def unacknowledged(self) -> int:
        """Bytes taken that the client's side has not confirmed: falls while the client reads."""

    def close(self, *, reset: bool = False) -> None:
        """End the connection. Never waits, never fails; a second call does nothing.

        With `reset` what the far side has not taken yet is dropped; otherwise the system keeps
        it for as long as the far side likes.
        """
