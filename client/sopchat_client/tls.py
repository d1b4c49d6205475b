"""An encrypted stream that can be ended in one direction.

Trio's own `SSLStream` cannot: it has no `send_eof`. In TLS 1.3 saying goodbye is just that.
"""

import contextlib
import ssl

import attrs
import trio

from sopchat.wire.tls import TlsCodec

_READ_SIZE = 64 * 1024

# What TLS answers by itself waits until something is sent; more than this (bytes) nobody means.
_MOST_ANSWERS = 64 * 1024


@attrs.define(eq=False)
class TlsStream(trio.abc.HalfCloseableStream):
    """The client's side of TLS over a stream, after `handshake`.

    One task may receive while another sends. Raises trio.BrokenResourceError, with the
    ssl.SSLError as its cause, when the other side breaks the protocol.
    """

    below: trio.abc.HalfCloseableStream
    _codec: TlsCodec
    # A record was sent in part: whatever followed would make no sense.
    _torn: bool = attrs.field(default=False, init=False)

    @classmethod
    def over(
        cls, below: trio.abc.HalfCloseableStream, context: ssl.SSLContext, host: str
    ) -> "TlsStream":
        """The side that means to talk to `host`. Raises ValueError: that can be no name."""
        return cls(below, TlsCodec(context, server=False, server_name=host))

    @property
    def speaks_tls(self) -> bool | None:
        """Whether what the other side said first was TLS; None before."""
        return self._codec.speaks_tls

    def certificate(self) -> bytes:
        """What the other side showed, in DER."""
        return self._codec.certificate() or b""

    async def handshake(self) -> None:
        """Agree upon keys. Raises ssl.SSLError, trio.BrokenResourceError."""
        try:
            while not self._codec.handshake():
                await self._flush()
                self._codec.feed(bytes(await self.below.receive_some(_READ_SIZE)))
        except ssl.SSLError:
            with contextlib.suppress(trio.BrokenResourceError):
                await self._flush()  # what is wrong
            raise
        await self._flush()

    async def _flush(self) -> None:
        if self._torn:
            raise trio.BrokenResourceError("the connection was cut in the middle of a record")
        if data := self._codec.outgoing():
            self._torn = True
            await self.below.send_all(data)
            self._torn = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Return when the system has taken all of it. Cancelled, the stream is broken."""
        try:
            self._codec.encrypt(bytes(data))
        except ssl.SSLError as error:
            raise _broken(error) from error
        await self._flush()

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until sending may go on at once."""
        await self.below.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Give some of what has come; nothing when the other side has said goodbye."""
        await trio.lowlevel.checkpoint()
        while True:
            try:
                data = self._codec.decrypt(max_bytes or _READ_SIZE)
            except BlockingIOError:
                self._codec.feed(bytes(await self.below.receive_some(_READ_SIZE)))
            except ssl.SSLError as error:
                raise _broken(error) from error
            else:
                # Anybody in between can end a stream: only the goodbye is the other side's word.
                if not data and not self._codec.said_goodbye:
                    raise trio.BrokenResourceError("it ended without a goodbye")
                return data
            if self._codec.waiting > _MOST_ANSWERS:
                raise trio.BrokenResourceError("the server asks for answers without end")

    async def send_eof(self) -> None:
        """Say goodbye; what the other side still says can be received."""
        self._codec.end()
        await self._flush()

    async def aclose(self) -> None:
        """Say goodbye and close."""
        try:
            await self.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            await self.below.aclose()


def _broken(error: ssl.SSLError) -> trio.BrokenResourceError:
    return trio.BrokenResourceError(reason(error))


def reason(error: ssl.SSLError) -> str:
    """What OpenSSL says of an error, in its own words but readable."""
    return (error.reason or str(error)).replace("_", " ").lower()
