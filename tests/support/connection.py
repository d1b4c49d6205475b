"""A connection whose far side is played by the test."""

from collections import deque
from collections.abc import Sequence

import trio


class PlayedConnection:
    """Takes `window` bytes and then no more, until the test opens the window again.

    What it took is in `taken`. What the test puts into `incoming` is received; an OSError put
    there is raised, b"" is the end of the stream.
    """

    peer = "192.0.2.1:5000"
    address = "192.0.2.1"

    def __init__(self, window: int = 2**60) -> None:
        self.window = window
        self.taken = bytearray()
        self.unconfirmed = 0
        self.error: OSError | None = None
        self.closed = False
        self.reset = False
        self.writes = 0
        self.incoming: deque[bytes | OSError] = deque()
        self._changed = trio.lowlevel.ParkingLot()
        self._came = trio.lowlevel.ParkingLot()

    # The test's side.

    def open_window(self, size: int = 2**60) -> None:
        """Take `size` more bytes."""
        self.window += size
        self._changed.unpark_all()

    def fail(self, error: OSError) -> None:
        """Let every write fail from now on."""
        self.error = error
        self._changed.unpark_all()

    def say(self, *data: bytes | OSError) -> None:
        """Let the other side receive."""
        self.incoming.extend(data)
        self._came.unpark_all()

    # The side under test.

    def _take(self, data: bytes | memoryview) -> int:
        if self.error is not None:
            raise self.error
        sent = min(self.window, len(data))
        self.taken += data[:sent]
        self.window -= sent
        return sent

    async def ready(self) -> None:
        pass

    async def send(self, pieces: Sequence[bytes | memoryview]) -> int:
        await trio.lowlevel.checkpoint()
        while not self.window and self.error is None:
            await self._changed.park()
        self.writes += 1
        return self._take(b"".join(pieces))

    def send_now(self, piece: bytes | memoryview) -> int:
        self.writes += 1
        if not self.window and self.error is None:
            raise BlockingIOError
        return self._take(piece)

    async def wait_readable(self) -> None:
        if self.incoming:
            await trio.lowlevel.checkpoint()
        else:
            await self._came.park()

    def receive_now(self, most: int) -> bytes:
        if not self.incoming:
            raise BlockingIOError
        data = self.incoming.popleft()
        if isinstance(data, OSError):
            raise data
        if len(data) > most:
            self.incoming.appendleft(data[most:])
        return data[:most]

    def unacknowledged(self) -> int:
        return self.unconfirmed

    def close(self, *, reset: bool = False) -> None:
        self.closed = True
        self.reset = reset
