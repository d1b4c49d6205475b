"""What a room shows of itself when it is encrypted: its certificate (docs/tls.md)."""

import datetime
import ipaddress
import socket
import ssl
from pathlib import Path

import attrs

from sopchat.arguments import UsageError, system_words
from sopchat.state import keep, locked, state_folder
from sopchat.wire.fingerprint import fingerprint
from sopchat.wire.tls import TlsCodec

# A certificate of our own is trusted by its fingerprint, so its end would only be a surprise.
_VALID_FOR = datetime.timedelta(days=10 * 365)

# The clock of who comes may be behind ours by so much.
_CLOCKS_DIFFER = datetime.timedelta(days=1)


@attrs.frozen
class Identity:
    """A certificate with its key, ready for use."""

    context: ssl.SSLContext
    # Of the certificate that is shown, as `sopchat.wire.fingerprint` writes it.
    fingerprint: str


def identity(certificate: Path, key: Path | None = None) -> Identity:
    """What is in these PEM files; without a key file the key stands beside the certificate.

    Raises UsageError.
    """
    if b"-----BEGIN CERTIFICATE-----" not in _read(certificate, "certificate"):
        raise UsageError(f"{certificate} holds no certificate: PEM has -----BEGIN CERTIFICATE-----")
    context = server_context(certificate, key)
    try:
        shown = _shown(context)
    except ssl.SSLError as error:
        raise UsageError(f"{certificate} cannot be used in TLS 1.3: {_words(error)}") from None
    return Identity(context, fingerprint(shown))


def _shown(context: ssl.SSLContext) -> bytes:
    """The certificate, in DER, that a client is shown: OpenSSL alone knows which one of a file.

    Raises ssl.SSLError: hands cannot be shaken with it.
    """
    anybody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE
    server, client = TlsCodec(context, server=True), TlsCodec(anybody, server=False)
    while not client.handshake():
        server.feed(client.outgoing())
        server.handshake()
        client.feed(server.outgoing())
    return client.certificate() or b""


def server_context(certificate: Path, key: Path | None = None) -> ssl.SSLContext:
    """TLS 1.3 with this certificate chain. Raises UsageError, which says what file is wrong."""
    holder = key or certificate
    secret = _read(holder, "key")
    if b"PRIVATE KEY-----" not in secret:
        raise UsageError(f"{holder} holds no private key: PEM has -----BEGIN PRIVATE KEY-----")
    if b"ENCRYPTED" in secret:
        raise UsageError(
            f"the key in {holder} is encrypted, and nobody is here to type its password"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # No renegotiation, no compression, no weak cipher: 1.3 has none of them.
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # Nobody resumes: tickets would be bytes to send before a client has said anything.
    context.num_tickets = 0
    try:
        context.load_cert_chain(certificate, holder)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise UsageError(
                f"the key in {holder} does not belong to the certificate in {certificate}"
            ) from None
        what = f"{certificate} and {holder}" if key else certificate
        words = _words(error)
        raise UsageError(f"{what} cannot be used as certificate and key: {words}") from None
    return context


def _words(error: ssl.SSLError) -> str:
    """What OpenSSL says of an error, in its own words but readable."""
    return (error.reason or str(error)).replace("_", " ").lower()


def _read(file: Path, what: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read the {what} file {file}: {system_words(error)}") from None


def own_identity() -> Identity:
    """The certificate that this user's rooms show where no other is given; made at first use.

    Raises UsageError.
    """
    folder = state_folder()
    file = folder / "server.pem"
    try:
        with locked(folder):
            if not file.exists():
                keep(file, _self_signed(socket.gethostname()))
    except OSError as error:
        raise UsageError(f"cannot keep a certificate in {file}: {system_words(error)}") from None
    return identity(file)


def _self_signed(host: str) -> bytes:
    """A new key and a certificate that it has signed itself, in PEM. Raises UsageError."""
    # Imported here: only the first use makes one.
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
    except ModuleNotFoundError:
        raise UsageError(
            "--tls auto makes a certificate, for which it needs: pip install 'sop-chat[tls]'"
        ) from None
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "sop-chat")])
    names = dict.fromkeys(("localhost", host) if host.isascii() and host else ("localhost",))
    addresses = [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")]
    now = datetime.datetime.now(datetime.UTC)
    public = key.public_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS_DIFFER)
        .not_valid_after(now + _VALID_FOR)
        .add_extension(
            x509.SubjectAlternativeName(
                [*map(x509.DNSName, names), *map(x509.IPAddress, addresses)]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ) + certificate.public_bytes(serialization.Encoding.PEM)
