"""What an outbox and a session need of a connection, whatever carries its bytes."""

from collections.abc import Sequence
from typing import Protocol


class Connection(Protocol):
    """A byte stream to one client.

    The calls raise OSError as the system gave it: `errno` says what happened.
    """

    @property
    def peer(self) -> str:
        """The client's address, as it is shown: `192.0.2.1:50000` or `[2001:db8::1]:50000`.

        Over a Unix-domain socket, who it is: `unix:uid 1000, pid 4321`.
        """

    @property
    def address(self) -> str:
        """Whose connections and wrong keys are counted together: the client's host."""

    async def ready(self) -> None:
        """Wait until both sides can exchange bytes: called once, before any other call."""

    async def wait_readable(self) -> None:
        """Wait until `receive_now` has something to give; rarely, it has nothing all the same.

        Waits once: a task that was woken here returns before it waits for anything else. The
        room counts on it (`sopchat.turn`).
        """

    def receive_now(self, most: int, /) -> bytes:
        """Give at most `most` of the bytes that have come; none at the end of the stream.

        Raises BlockingIOError where none have come.
        """

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


async def receive(connection: Connection, most: int) -> bytes:
    """Give at most `most` bytes, waiting for the first; none at the end of the stream.

    Where bytes have come already it returns at once, without a checkpoint.
    """
    while True:
        try:
            return connection.receive_now(most)
        except BlockingIOError:
            await connection.wait_readable()
