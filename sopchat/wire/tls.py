"""One side of a TLS connection as pure bytes: what is to be sent, what was said.

RFC 8446, in the hands of OpenSSL: `ssl.SSLObject` over two memory buffers. Whoever owns the socket
carries the bytes.
"""

import contextlib
import ssl

import attrs


@attrs.define(eq=False)
class TlsCodec:
    """Makes encrypted bytes of plain ones and the other way round.

    Raises ssl.SSLError, an OSError, when the other side breaks the protocol or is not who it should
    be: `reason` says what happened, and the connection is of no more use. What `outgoing` holds
    then tells the other side.
    """

    _context: ssl.SSLContext
    server: bool
    # Whom a client means to talk to, for what its context checks.
    server_name: str | None = None
    # Whether bytes may be exchanged: the handshake is over.
    ready: bool = attrs.field(default=False, init=False)
    # Whether decrypted bytes may be left that no further `feed` is needed for.
    more: bool = attrs.field(default=False, init=False)
    _incoming: ssl.MemoryBIO = attrs.field(factory=ssl.MemoryBIO, init=False)
    _outgoing: ssl.MemoryBIO = attrs.field(factory=ssl.MemoryBIO, init=False)
    _tls: ssl.SSLObject = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._tls = self._context.wrap_bio(
            self._incoming,
            self._outgoing,
            server_side=self.server,
            server_hostname=self.server_name,
        )

    def feed(self, data: bytes) -> None:
        """Take what was received; no bytes at the end of the stream."""
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def outgoing(self) -> bytes:
        """What is to be sent, each byte given once."""
        return self._outgoing.read()

    def handshake(self) -> bool:
        """Go on with the handshake as far as what has come allows; whether it is over."""
        if not self.ready:
            with contextlib.suppress(ssl.SSLWantReadError):
                self._tls.do_handshake()
                self.ready = True
        return self.ready

    def encrypt(self, data: bytes | memoryview) -> None:
        """Put `data` into what is to be sent. The handshake is over."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._tls.write(rest) :]

    def decrypt(self, most: int) -> bytes:
        """Give at most `most` plain bytes of what has come; none at the end of the stream.

        A stream that ends without a word of goodbye has ended all the same: what matters has a
        size of its own. Raises BlockingIOError where more must come first.
        """
        pieces = []
        try:
            while most:
                piece = self._tls.read(most)
                if not piece:
                    break
                pieces.append(piece)
                most -= len(piece)
        except ssl.SSLWantReadError:
            self.more = False
            if not pieces:
                raise BlockingIOError from None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            # Said again when it is asked again.
            self.more = True
        else:
            self.more = True
        return b"".join(pieces)

    def end(self) -> None:
        """Say that nothing more will be said; what the other side says may still be read."""
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()

    def certificate(self) -> bytes | None:
        """What the other side showed, as DER; None where it showed none."""
        return self._tls.getpeercert(binary_form=True)
