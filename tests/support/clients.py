"""A client in plain blocking sockets, as a student writes it."""

import socket
import struct
from typing import Self

from tests.support.frames import FRAME, cut, frame

# Far beyond what anything here takes: a test that waits so long has failed (seconds).
PATIENCE = 20.0


class Client:
    """One TCP connection; every wait is bounded."""

    def __init__(self, port: int, host: str = "127.0.0.1", *, source: str = "") -> None:
        self.socket = socket.create_connection(
            (host, port), timeout=PATIENCE, source_address=(source, 0)
        )

    @classmethod
    def join(cls, port: int, name: str | bytes, key: str | bytes = "key") -> Self:
        """A member: connected, authenticated, and its echo checked."""
        client = cls(port)
        client.send(frame(name, key))
        assert client.receive() == frame(name, key)
        return client

    def send(self, *frames: bytes) -> None:
        self.socket.sendall(b"".join(frames))

    def receive(self) -> bytes:
        """The next 512 bytes, or fewer if the connection ends before."""
        data = b""
        while len(data) < FRAME and (more := self.socket.recv(FRAME - len(data))):
            data += more
        return data

    def receive_many(self, count: int) -> list[bytes]:
        """The next `count` frames."""
        data = bytearray()
        while len(data) < count * FRAME:
            more = self.socket.recv(count * FRAME - len(data))
            assert more, f"the connection ended after {len(data)} of {count * FRAME} bytes"
            data += more
        return cut(bytes(data))

    def rest(self) -> bytes:
        """All that comes until the connection ends, by end-of-file or a reset."""
        data = b""
        try:
            while more := self.socket.recv(65536):
                data += more
        except ConnectionResetError:
            pass
        return data

    def finish(self) -> None:
        """Send no more: the server reads zero bytes."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """End the connection with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
