"""One client of the program under test, all of whose bytes are on record."""

import contextlib
import socket
import struct

import trio

from sopchat_grader.failure import Difference, Failed
from sopchat_grader.transcript import Transcript, summary

# The most bytes that one send or one receive takes.
_PIECE = 65536


class Client:
    """A TCP connection that knows what should come. Every wait is bounded by `patience`.

    `patience` is how long to wait, in seconds, for anything at all to happen: a long transfer
    may take longer, as long as it goes on.
    """

    def __init__(
        self, name: str, connection: trio.socket.SocketType, transcript: Transcript, patience: float
    ) -> None:
        self.name = name
        self.was_reset = False
        self._socket = connection
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transcript = transcript
        self._patience = patience

    @property
    def port(self) -> int:
        """Our own port."""
        number: int = self._socket.getsockname()[1]
        return number

    async def send(self, data: bytes) -> None:
        """Send all of it. Raises Failed when the connection is closed or nobody reads."""
        self._transcript.sent(self.name, data)
        view = memoryview(data)
        while view:
            with trio.move_on_after(self._patience) as waiting:
                try:
                    sent = await self._socket.send(view[:_PIECE])
                except OSError as error:
                    self._transcript.note(self.name, f"sending failed: {error.strerror}")
                    raise Failed(
                        f"{self.name}'s connection stays open",
                        f"it was closed while {self.name} was sending",
                    ) from None
                view = view[sent:]
            if waiting.cancelled_caught:
                raise Failed(
                    f"what {self.name} sends is read",
                    f"nothing of it was taken for {self._patience:.1f} s",
                )

    async def receive(self, most: int) -> bytes:
        """Some bytes, none at the end of the connection: end-of-file or a reset, it is the same.

        Raises trio.TooSlowError when nothing comes.
        """
        with trio.fail_after(self._patience):
            try:
                data = await self._socket.recv(min(most, _PIECE))
            except ConnectionError:
                self._transcript.note(self.name, "reset", "<-")
                self.was_reset = True
                return b""
        if data:
            self._transcript.received(self.name, data)
        else:
            self._transcript.note(self.name, "end of file", "<-")
        return data

    async def receive_about(self, size: int, patience: float | None = None) -> bytes:
        """So many bytes, or as many as come before the end or before nothing comes any more."""
        got = b""
        with (
            trio.move_on_after(patience or self._patience * 10),
            contextlib.suppress(trio.TooSlowError),
        ):
            while len(got) < size and (data := await self.receive(size - len(got))):
                got += data
        return got

    async def expect(self, wanted: bytes, what: str) -> None:
        """Receive exactly these bytes, and take none of what follows them."""
        got = bytearray()
        trouble = ""
        while len(got) < len(wanted) and not trouble:
            try:
                data = await self.receive(len(wanted) - len(got))
            except trio.TooSlowError:
                trouble = f"nothing more came for {self._patience:.1f} s"
                break
            trouble = "" if data else "the connection was closed"
            start = len(got)
            got += data
            if wanted[start : len(got)] != data:
                trouble = f"other bytes: {summary(bytes(got[-512:]))}"
        if not trouble:
            return
        if len(got) < len(wanted) and got == wanted[: len(got)]:
            trouble = f"{len(got)} of {len(wanted)} bytes, then {trouble}"
        if len(wanted) <= 1024:
            what = f"{what}: {summary(wanted)}"
        raise Failed(f"{self.name} receives {what}", trouble, Difference(wanted, bytes(got)))

    async def expect_closed(self, when: str) -> None:
        """The connection is closed, and not a byte comes before. Then we close, too."""
        expected = f"{self.name}'s connection is closed {when}, without a byte"
        try:
            data = await self.receive(_PIECE)
        except trio.TooSlowError:
            raise Failed(expected, f"it was still open after {self._patience:.1f} s") from None
        if data:
            raise Failed(expected, summary(data), Difference(b"", data))
        self.close()

    async def leave(self) -> None:
        """End our sending, take what is still to come, and close: nothing is lost on the way."""
        self.end_sending()
        await self.leave_when_told()

    async def leave_when_told(self) -> None:
        """Wait for the end of the connection, whatever comes before it, and close."""
        with contextlib.suppress(trio.TooSlowError):
            while await self.receive(_PIECE):
                pass
        self.close()

    async def wait_readable(self, what: str) -> None:
        """Wait until something has come, and leave it unread."""
        with trio.move_on_after(self._patience) as waiting:
            await trio.lowlevel.wait_readable(self._socket)
        if waiting.cancelled_caught:
            raise Failed(f"{self.name} receives {what}", f"nothing for {self._patience:.1f} s")

    def end_sending(self) -> None:
        """Half a close: the server reads the end of file, and may still send."""
        self._transcript.note(self.name, "end of file", "->")
        with contextlib.suppress(OSError):  # the server was first
            self._socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Leave. With unread data the kernel sends a reset."""
        if self._socket.fileno() >= 0:
            self._transcript.note(self.name, "closes", "->")
            self._socket.close()

    def reset(self) -> None:
        """Leave with a reset: linger 0 (socket(7))."""
        self._transcript.note(self.name, "resets", "->")
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()
