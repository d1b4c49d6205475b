"""A connection that is encrypted, over one that is not: any door may have it."""

import contextlib
import errno
import ssl
from collections.abc import Sequence
from typing import ClassVar

import attrs
import trio

from sopchat.doors.tcp import SocketConnection
from sopchat.limits import READ_SIZE, TLS_FAREWELL, TLS_GOODBYES
from sopchat.wire.tls import TlsCodec

# Encrypted at once for one write (bytes): four records, as large as TLS has them.
_WRITE_SIZE = 64 * 1024

# Encrypted bytes that may wait for the socket: one write, and what TLS answers by itself. A client
# that asks for answers and takes none would fill the memory with them.
_MOST_WAITING = 2 * _WRITE_SIZE


@attrs.define(eq=False)
class TlsConnection:
    """The server's side of TLS over an accepted socket.

    What was encrypted has to go out as it is, though the socket may take only a part of it: the
    plain bytes count as taken when all of it is out. Until then the caller gives the same bytes
    again, as `Connection.send` has it, and only the rest of their encrypted form is sent.
    """

    # How many are kept to say goodbye, of all in this process: each holds a descriptor that no
    # other limit counts any more.
    _goodbyes: ClassVar[int] = 0

    _below: SocketConnection
    _context: ssl.SSLContext
    _codec: TlsCodec = attrs.field(init=False)
    # Encrypted bytes that the socket has not taken yet, and the plain bytes they stand for.
    _rest: bytes = attrs.field(default=b"", init=False)
    _owed: bytes = attrs.field(default=b"", init=False)
    _closing: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        self._codec = TlsCodec(self._context, server=True)

    @property
    def peer(self) -> str:
        """The client's address."""
        return self._below.peer

    @property
    def address(self) -> str:
        """The client's host, as limits count it."""
        return self._below.address

    async def ready(self) -> None:
        """Shake hands. Raises OSError, ssl.SSLError among them: this client does not."""
        try:
            while not self._codec.handshake():
                await self._flush()
                await self._below.wait_readable()
                with contextlib.suppress(BlockingIOError):
                    self._codec.feed(self._below.receive_now(READ_SIZE))
        finally:
            # The end of the handshake, or what is wrong with it.
            with contextlib.suppress(OSError):
                self._flush_now()

    async def wait_readable(self) -> None:
        """Wait until there is something to receive, or return at once where there is already."""
        if self._codec.more:
            await trio.lowlevel.checkpoint()
        else:
            await self._below.wait_readable()

    def receive_now(self, most: int, /) -> bytes:
        """Give at most `most` of the plain bytes that have come; none at the end of the stream."""
        if len(self._rest) > _MOST_WAITING:
            raise OSError(errno.ENOBUFS, "it takes none of the answers that it asks for")
        try:
            if self._codec.more:
                with contextlib.suppress(BlockingIOError):
                    return self._codec.decrypt(most)
            # One read and no more: what TLS says to itself gives no bytes, and may never end.
            self._codec.feed(self._below.receive_now(READ_SIZE))
            return self._codec.decrypt(most)
        finally:
            # TLS answers some of what it reads by itself.
            with contextlib.suppress(OSError):
                self._flush_now()

    async def send(self, pieces: Sequence[bytes | memoryview]) -> int:
        """Wait until all is out of what was encrypted; encrypt bytes of the pieces where none was.

        Cancelled, it has sent nothing of theirs that it would not give account of next time.
        """
        await trio.lowlevel.checkpoint_if_cancelled()
        if not self._owed:
            await self._flush()
            self._encrypt(b"".join(_first(pieces, _WRITE_SIZE)))
        await self._flush()
        owed, self._owed = self._owed, b""
        return len(owed)

    def send_now(self, piece: bytes | memoryview, /) -> int:
        """The same without waiting. Raises BlockingIOError where `send` would wait."""
        if not self._codec.ready:
            raise BlockingIOError
        taken = 0
        try:
            while taken < len(piece):
                self._flush_now()
                # Whoever gave up what it had begun to send says something else: a farewell.
                if not self._owed or piece[taken : taken + len(self._owed)] != self._owed:
                    self._encrypt(piece[taken : taken + _WRITE_SIZE])
                    self._flush_now()
                taken += len(self._owed)
                self._owed = b""
        except BlockingIOError:
            if not taken:
                raise
        return taken

    def _encrypt(self, data: bytes | memoryview) -> None:
        self._codec.encrypt(data)
        self._owed = bytes(data)

    def _flush_now(self) -> None:
        """Send what is encrypted. Raises BlockingIOError where the socket does not take it all."""
        self._rest += self._codec.outgoing()
        if self._rest:
            self._rest = self._rest[self._below.send_now(self._rest) :]
            if self._rest:
                raise BlockingIOError

    async def _flush(self) -> None:
        """The same, waiting. What is sent is looked up after the wait: reading sends as well."""
        while True:
            try:
                return self._flush_now()
            except BlockingIOError:
                await self._below.wait_writable()

    def unacknowledged(self) -> int:
        """Bytes taken that the client's side has not confirmed, in their encrypted form."""
        return self._below.unacknowledged() + len(self._rest)

    def close(self, *, reset: bool = False) -> None:
        """Say goodbye and close. Who does not take it at once gets a while; nobody waits for that.

        The system would keep plain bytes for it. Without the end of what was encrypted, and without
        a goodbye, it would have to take that for a connection that was cut.
        """
        if self._closing:
            return
        self._closing = True
        if reset or not self._codec.ready:
            self._below.close(reset=reset)
            return
        try:
            self._flush_now()
            self._codec.end()
            self._flush_now()
        except BlockingIOError:
            if TlsConnection._goodbyes < TLS_GOODBYES:
                TlsConnection._goodbyes += 1
                trio.lowlevel.spawn_system_task(self._say_goodbye)
            else:
                self._below.close()
        except OSError:
            self._below.close()
        else:
            self._below.close()

    async def _say_goodbye(self) -> None:
        """Flush and close, also where the server ends meanwhile."""
        try:
            with trio.move_on_after(TLS_FAREWELL), contextlib.suppress(OSError):
                await self._flush()
                self._codec.end()
                await self._flush()
        finally:
            TlsConnection._goodbyes -= 1
            self._below.close()


def _first(pieces: Sequence[bytes | memoryview], size: int) -> list[bytes | memoryview]:
    """The first `size` bytes of the pieces."""
    first = []
    for piece in pieces:
        first.append(piece[:size])
        size -= len(first[-1])
        if not size:
            break
    return first
