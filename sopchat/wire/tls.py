"""One side of a TLS connection as pure bytes: what is to be sent, what was said.

RFC 8446, in the hands of OpenSSL: `ssl.SSLObject` over two memory buffers. Whoever owns the socket
carries the bytes.
"""

import contextlib
import ssl

import attrs

# As many plain bytes as one record holds at most.
_RECORD = 16 * 1024

# What the first record of either side begins with: an alert or a handshake.
_FIRST_BYTES = (b"\x15", b"\x16")

# How an alert begins in any version: what a client that speaks no TLS gets from us.
ALERT = b"\x15\x03"

# A fatal one, "protocol version".
_NO_TLS = ALERT + b"\x03\x00\x02\x02\x46"


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
    # Whether the other side has said that it says nothing more: a network that is cut, or somebody
    # in between, ends a stream without.
    said_goodbye: bool = attrs.field(default=False, init=False)
    # Whether what the other side said first was TLS; None before it has said anything.
    speaks_tls: bool | None = attrs.field(default=None, init=False)
    _ended: bool = attrs.field(default=False, init=False)
    # Decrypted ahead, and what went wrong behind it.
    _ahead: bytes = attrs.field(default=b"", init=False)
    _error: ssl.SSLError | None = attrs.field(default=None, init=False)
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
        if not data:
            self._incoming.write_eof()
            return
        if self.speaks_tls is None:
            self.speaks_tls = data.startswith(_FIRST_BYTES)
        self._incoming.write(data)

    @property
    def waiting(self) -> int:
        """How many bytes `outgoing` would give."""
        return self._outgoing.pending

    def outgoing(self) -> bytes:
        """What is to be sent, each byte given once."""
        return self._outgoing.read()

    def handshake(self) -> bool:
        """Go on with the handshake as far as what has come allows; whether it is over.

        To a client whose first byte is not TLS the alert is ours: OpenSSL would say nothing.
        """
        if not self.ready:
            try:
                self._tls.do_handshake()
                # What was said right behind it may have come already.
                self.ready = self.more = True
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError:
                if self.server and self.speaks_tls is False:
                    self._outgoing.write(_NO_TLS)
                raise
        return self.ready

    def encrypt(self, data: bytes | memoryview) -> None:
        """Put `data` into what is to be sent. The handshake is over, and `end` was not called."""
        rest = memoryview(data)
        while rest:
            rest = rest[self._tls.write(rest) :]

    def decrypt(self, most: int) -> bytes:
        """Give at most `most` plain bytes of what has come; none at the end of the stream.

        A stream that ends without a word of goodbye has ended all the same: `said_goodbye` tells.
        Raises BlockingIOError where more must come first. What stands before a fault is given
        before the fault is raised.
        """
        pieces, size = [self._ahead[:most]], min(most, len(self._ahead))
        self._ahead = self._ahead[most:]
        self.more = True
        try:
            # One call gives one record at most, and makes room for as much as it is asked for.
            while size < most and (piece := self._read(min(most - size, _RECORD))):
                pieces.append(piece)
                size += len(piece)
        except ssl.SSLWantReadError:
            self.more = False
            if not size:
                raise BlockingIOError from None
        except ssl.SSLError:
            if not size:
                raise
        return b"".join(pieces)

    def _read(self, most: int) -> bytes:
        """One record's bytes; none at the end of the stream, however often it is asked."""
        if self._error is not None:
            raise self._error
        try:
            piece = self._tls.read(most)
        except ssl.SSLZeroReturnError:
            piece = b""
        except ssl.SSLEOFError:
            return b""
        except ssl.SSLWantReadError:
            raise
        except ssl.SSLError as error:
            self._error = error
            raise
        if not piece:
            self.said_goodbye = True
        return piece

    def end(self) -> None:
        """Say that nothing more will be said; what the other side says may still be read.

        A second call does nothing.
        """
        if self._ended:
            return
        self._ended = True
        # OpenSSL looks for the other side's goodbye as well, and takes what stands before it for a
        # fault: so all of that is taken out first.
        with contextlib.suppress(ssl.SSLError):
            while piece := self._read(_RECORD):
                self._ahead += piece
        self.more = self.more or bool(self._ahead)
        with contextlib.suppress(ssl.SSLError):
            self._tls.unwrap()

    def certificate(self) -> bytes | None:
        """What the other side showed, as DER; None where it showed none."""
        return self._tls.getpeercert(binary_form=True)
