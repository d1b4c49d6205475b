"""Fingerprints, the servers that were met before, and the files with certificates."""

import contextlib
import ssl

import pytest
from sopchat_client import known
from sopchat_client.errors import CannotConnect, Untrusted

from sopchat import tls
from sopchat.arguments import UsageError
from sopchat.wire.fingerprint import fingerprint, read_fingerprint
from sopchat.wire.tls import TlsCodec
from tests.faults.fuzz.files import file
from tests.faults.fuzz.logs import changed
from tests.faults.fuzz.material import Material
from tests.faults.fuzz.targets import target
from tests.support.tls import authority, shake_hands


def print_of(material: Material) -> str:
    """A fingerprint as somebody may write it, or nearly."""
    digits = material.take(32).hex().ljust(64 - 2 * material.number(1), "a")
    separator = ("", ":", " ", "::")[material.number(3)]
    pairs = [digits[place : place + 2] for place in range(0, len(digits), 2)]
    return (str.upper, str.lower, str.title)[material.number(2)](separator.join(pairs))


@target(128)
def fingerprints(material: Material) -> None:
    """A text is 64 hexadecimal digits, with a colon after every two or none, or refused."""
    text = print_of(material) if material.number(1) else material.text()
    try:
        canonical = read_fingerprint(text)
    except ValueError as error:
        assert f"'{text}'" in str(error)
        assert len(text.strip("0123456789abcdefABCDEF")) or len(text) != 64
    else:
        assert text.replace(":", "").upper() == canonical.replace(":", "")
        assert len(text) in (64, 95)
        assert read_fingerprint(canonical) == read_fingerprint(canonical.lower()) == canonical
        assert bytes.fromhex(canonical.replace(":", "")).hex(":").upper() == canonical


@target(400)
def known_servers(material: Material) -> None:
    """Any file says who was met before, or where it is wrong; who is remembered is known then."""
    host, port = f"h{material.number(3)}.example", 9000 + material.number(1)
    shown = fingerprint(material.take(1))
    if material.number(1):
        lines = []
        for _ in range(material.number(4)):
            start = f"h{material.number(3)}.example {9000 + material.number(1)} "
            lines.append(start + print_of(material) + "\n")
        data = changed(material, "".join(lines).encode())
    else:
        data = material.text().encode() if material.number(1) else material.rest()
    with file("sop-chat/known-servers", data) as path, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(path.parent.parent))
        try:
            before = known.known(host, port)
        except CannotConnect as error:
            assert str(path) in str(error)
            with pytest.raises(CannotConnect):
                known.remember(host, port, shown)
            assert path.read_bytes() == data
            return
        assert before is None or read_fingerprint(before) == before
        other = known.known("h0.example", 9002)
        if before not in (None, shown):
            with pytest.raises(Untrusted):
                known.remember(host.upper(), port, shown)
            assert path.read_bytes() == data
            return
        known.remember(host.upper(), port, shown)
        assert known.known(host, port) == shown
        assert known.known("h0.example", 9002) == other
        assert sorted(one.name for one in path.parent.iterdir()) == ["known-servers", "lock"]


_ISSUED = authority().issue_cert("localhost")
_CHAIN = b"".join(pem.bytes() for pem in _ISSUED.cert_chain_pems)
_KEY = _ISSUED.private_key_pem.bytes()
_OTHER_KEY = authority().issue_cert("localhost").private_key_pem.bytes()


def certificate_text(material: Material) -> bytes:
    """What may stand in a file of certificates and keys."""
    parts = [_CHAIN, _KEY, _OTHER_KEY, b"words\n"]
    texts = [parts[material.number(3)] for _ in range(material.number(3))]
    data = changed(material, b"".join(texts))
    word = [b"TRUSTED CERTIFICATE", b"X509 CERTIFICATE", b"CERTIFICATE", b"ENCRYPTED PRIVATE KEY"]
    if material.number(1):
        data = data.replace(b"CERTIFICATE", word[material.number(3)], material.number(2))
    return data + material.rest()


@target(300)
def certificate_files(material: Material) -> None:
    """Any files are a certificate with its key, or refused in words that name one of them.

    The fingerprint that is told is that of the certificate that is shown.
    """
    apart = material.number(1)
    key = _KEY if material.number(1) else certificate_text(Material(material.take(8)))
    data = certificate_text(material)
    with file("chain.pem", data) as path, file("key.pem", key) as holder:
        try:
            identity = tls.identity(path, holder if apart else None)
        except UsageError as error:
            assert str(path) in str(error) or str(holder) in str(error)
            assert str(error).isprintable()
            return
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False
        client.verify_mode = ssl.CERT_NONE
        listener = TlsCodec(client, server=False)
        with contextlib.suppress(BlockingIOError):
            shake_hands(TlsCodec(identity.context, server=True), listener)
        shown = listener.certificate()
        assert shown is not None
        assert identity.fingerprint == fingerprint(shown)
