"""Who is believed to be the server (docs/tls.md): all of it is decided before it hears anything."""

import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import attrs
import trio

from sopchat.arguments import system_words
from sopchat.wire.fingerprint import fingerprint, read_fingerprint
from sopchat_client.errors import CannotConnect, ChatError, Refused, Untrusted
from sopchat_client.known import file, known, remember
from sopchat_client.tls import TlsStream, reason

# What OpenSSL says of a certificate that nobody vouches for whom the system trusts
# (X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT and its three neighbours): anything else is wrong with one
# that somebody does vouch for.
_UNKNOWN = {18, 19, 20, 21}

# How long agreeing upon keys may take (seconds).
HANDSHAKE_TIMEOUT = 10.0

# Makes a new connection to the server.
Open = Callable[[], Awaitable[trio.abc.HalfCloseableStream]]


@attrs.frozen
class Tls:
    """The connection is encrypted, and the server is who this says.

    Without `fingerprint` and `ca`: whom the system trusts, or else who was there the first time.
    """

    # The only certificate, by its SHA-256; upper or lower case, with or without colons.
    fingerprint: str | None = attrs.field(
        default=None, converter=attrs.converters.optional(read_fingerprint)
    )
    # Whoever these authorities vouch for (a PEM file), and no other.
    ca: Path | None = None
    # Called with a line for people when a server is met for the first time.
    tell: Callable[[str], None] = attrs.field(default=lambda line: None)


async def encrypted(open_stream: Open, host: str, port: int, tls: Tls) -> TlsStream:
    """A connection to the server that `tls` believes in; it has heard nothing yet.

    Raises CannotConnect, Refused, Untrusted.
    """
    meeting = _Meeting(open_stream, host, port)
    if tls.fingerprint is not None:
        return await meeting.expect(tls.fingerprint, "the one that was asked for")
    if tls.ca is not None:
        return await meeting.shake_hands(authorities(tls.ca))
    before = known(host, port)
    if before is None:
        return await _first_time(meeting, tls)
    try:
        return await meeting.expect(before, f"the one in {file()}")
    except Untrusted as changed:
        # The server may have got a certificate that somebody vouches for.
        try:
            return await meeting.shake_hands(authorities(None))
        except Untrusted:
            raise Untrusted(
                f"THE CERTIFICATE OF {host} PORT {port} HAS CHANGED: {changed}. Somebody may be"
                " listening in between; name and key were not sent. If the change is known to be"
                f" right, take the line '{host.lower()} {port}' out of {file()}"
            ) from None


async def _first_time(meeting: "_Meeting", tls: Tls) -> TlsStream:
    try:
        return await meeting.shake_hands(authorities(None))
    except _Unknown:
        stream = await meeting.shake_hands(_unverified())
    shown = fingerprint(stream.certificate())
    try:
        remember(meeting.host, meeting.port, shown)
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    tls.tell(
        f"first time at {meeting.host} port {meeting.port}, whose certificate's SHA-256 fingerprint"
        f" is {shown}; remembered in {file()}"
    )
    return stream


def authorities(ca: Path | None) -> ssl.SSLContext:
    """For whom these authorities vouch for, or the system's. Raises CannotConnect."""
    try:
        context = ssl.create_default_context(cafile=ca)
    except ssl.SSLError as error:
        raise CannotConnect(f"{ca} holds no certificate: {reason(error)}") from None
    except OSError as error:
        raise CannotConnect(
            f"cannot read the certificates in {ca}: {system_words(error)}"
        ) from None
    return _modern(context)


def _unverified() -> ssl.SSLContext:
    """For who compares the fingerprint."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return _modern(context)


def _modern(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context


class _Unknown(Untrusted):
    """Nobody vouches for the certificate."""


@attrs.frozen
class _Meeting:
    """Connections to one server until one is trusted."""

    _open: Open
    host: str
    port: int

    async def expect(self, expected: str, which: str) -> TlsStream:
        """One whose certificate has this fingerprint. Raises as `encrypted` does."""
        stream = await self.shake_hands(_unverified())
        shown = fingerprint(stream.certificate())
        if shown != expected:
            await trio.aclose_forcefully(stream)
            raise Untrusted(
                f"the server's certificate has the fingerprint {shown}, and {which} has {expected}"
            )
        return stream

    async def shake_hands(self, context: ssl.SSLContext) -> TlsStream:
        """One that the context takes. Raises as `encrypted` does."""
        below = await self._open()
        try:
            stream = TlsStream.over(below, context, self.host)
            try:
                with trio.fail_after(HANDSHAKE_TIMEOUT):
                    await stream.handshake()
            except (OSError, trio.BrokenResourceError, trio.TooSlowError) as error:
                raise self._explained(error, stream) from None
        except BaseException:
            await trio.aclose_forcefully(below)
            raise
        return stream

    def _explained(self, error: Exception, stream: TlsStream) -> ChatError:
        where = f"{self.host} port {self.port}"
        if isinstance(error, ssl.SSLCertVerificationError):
            kind = _Unknown if error.verify_code in _UNKNOWN else Untrusted
            return kind(f"the certificate of {where} is not trusted: {error.verify_message}")
        if isinstance(error, trio.TooSlowError):
            return CannotConnect(f"{where} does not answer in TLS: it may not be encrypted")
        if stream.speaks_tls is None:
            return Refused(
                "the room is full or not encrypted, or it turns this address away for now (the"
                " server closed the connection without an answer)"
            )
        if not stream.speaks_tls:
            return CannotConnect(f"{where} is not encrypted: it is joined without TLS")
        words = reason(error) if isinstance(error, ssl.SSLError) else str(error)
        return CannotConnect(f"{where} does not agree upon encryption: {words}")
