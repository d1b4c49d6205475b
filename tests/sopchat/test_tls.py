"""What an encrypted room shows of itself: files that are right, wrong, or made at first use."""

import datetime
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sopchat.arguments import UsageError
from sopchat.tls import identity, own_identity, server_context
from sopchat.wire.fingerprint import fingerprint
from sopchat.wire.tls import TlsCodec
from tests.support.programs import Program, Server, require_tool
from tests.support.tls import authority, client_side, shake_hands, written


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the user's commands keep their files."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "sop-chat"


def client_of(context: ssl.SSLContext, name: str = "localhost") -> TlsCodec:
    """A client that has shaken hands with a server of `context`."""
    client = TlsCodec(client_side(), server=False, server_name=name)
    shake_hands(TlsCodec(context, server=True), client)
    return client


def test_the_fingerprint_is_of_the_certificate_that_is_shown(tmp_path: Path) -> None:
    shown = identity(written(tmp_path))
    certificate = client_of(shown.context).certificate()
    assert certificate is not None
    assert shown.fingerprint == fingerprint(certificate)


@pytest.mark.parametrize(
    "before",
    [
        b"-----BEGIN CERTIFICATE----- as follows\n",
        b"# -----BEGIN CERTIFICATE-----\nAAA\n# -----END CERTIFICATE-----\n",
        b"# -----BEGIN CERTIFICATE-----\nAAAA\n# -----END CERTIFICATE-----\n",
    ],
)
def test_what_openssl_reads_over_is_not_taken_for_the_certificate(
    tmp_path: Path, before: bytes
) -> None:
    file = written(tmp_path)
    whole = identity(file).fingerprint
    file.write_bytes(before + file.read_bytes())
    assert identity(file).fingerprint == whole


def test_a_certificate_that_no_client_of_tls_1_3_takes_is_told_at_once(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP224R1())  # RFC 8446 has no signature with that curve
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "old")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file = tmp_path / "old.pem"
    file.write_bytes(certificate + key.private_bytes(serialization.Encoding.PEM, *form))
    with pytest.raises(UsageError, match=r"old.pem cannot be used in TLS 1.3: "):
        identity(file)


def test_certificate_and_key_may_stand_in_two_files(tmp_path: Path) -> None:
    certificate = authority().issue_cert("localhost")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "certificate")
    certificate.private_key_pem.write_to_path(tmp_path / "key")
    client_of(identity(tmp_path / "certificate", tmp_path / "key").context)


def test_nothing_older_than_tls_1_3_is_spoken_and_nothing_is_resumed(tmp_path: Path) -> None:
    context = server_context(written(tmp_path))
    assert context.num_tickets == 0
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    client = TlsCodec(old, server=False, server_name="localhost")
    with pytest.raises(ssl.SSLError, match="UNSUPPORTED_PROTOCOL"):
        shake_hands(TlsCodec(context, server=True), client)


def test_files_that_are_wrong_are_told_by_name(tmp_path: Path) -> None:
    other = trustme.CA().issue_cert("localhost")
    both = written(tmp_path)
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    other.private_key_pem.write_to_path(key)
    other.cert_chain_pems[0].write_to_path(certificate)
    broken, empty = tmp_path / "broken", tmp_path / "empty"
    broken.write_bytes(both.read_bytes().replace(b"\nM", b"\n!"))
    empty.touch()
    spoken = tmp_path / "spoken"
    spoken.write_bytes(b"it begins with -----BEGIN CERTIFICATE-----\n" + both.read_bytes())
    assert identity(spoken).fingerprint == identity(both).fingerprint
    encrypted = tmp_path / "encrypted"
    loaded = serialization.load_pem_private_key(other.private_key_pem.bytes(), None)
    encrypted.write_bytes(
        loaded.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    for files, words in {
        (tmp_path / "none",): "cannot read the certificate file .*none: No such file",
        (tmp_path,): "cannot read the certificate file .*: Is a directory",
        (empty,): "empty holds no certificate",
        (key,): "key holds no certificate",
        (certificate,): "certificate holds no private key",
        (certificate, tmp_path / "none"): "cannot read the key file .*none: No such file",
        (certificate, encrypted): "the key in .*encrypted is encrypted",
        (both, key): "the key in .*key does not belong to the certificate in .*both.pem",
        (broken,): "broken cannot be used as certificate and key",
    }.items():
        with pytest.raises(UsageError, match=words):
            identity(*files)


def test_a_certificate_of_its_own_is_made_once_and_kept(state: Path) -> None:
    made = own_identity()
    file = state / "server.pem"
    kept = file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    assert own_identity().fingerprint == made.fingerprint
    assert file.read_bytes() == kept


def test_the_certificate_it_makes_is_good_for_this_machine_for_years(state: Path) -> None:
    own_identity()
    file = state / "server.pem"
    pem = file.read_bytes()
    certificate = x509.load_pem_x509_certificate(pem[pem.index(b"-----BEGIN CERT") :])
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days > 9 * 365
    trusting = ssl.create_default_context(cafile=file)
    for name in ("localhost", "127.0.0.1", "::1"):
        client = TlsCodec(trusting, server=False, server_name=name)
        shake_hands(TlsCodec(own_identity().context, server=True), client)


def test_several_that_start_for_the_first_time_at_once_have_one_certificate(state: Path) -> None:
    show = "from sopchat.tls import own_identity; print(own_identity().fingerprint)"
    starting = [
        subprocess.Popen([sys.executable, "-c", show], stdout=subprocess.PIPE) for _ in range(4)
    ]
    shown = {process.communicate(timeout=30)[0] for process in starting}
    assert shown == {own_identity().fingerprint.encode() + b"\n"}


def test_who_cannot_make_certificates_is_told_what_is_needed(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(UsageError, match=r"pip install 'sop-chat\[tls\]'"):
        own_identity()
    assert not (state / "server.pem").exists()


def test_a_folder_that_cannot_be_used_is_told(state: Path) -> None:
    state.parent.mkdir()
    state.touch()
    with pytest.raises(
        UsageError, match=r"cannot keep a certificate in .*server\.pem: File exists"
    ):
        own_identity()


def test_the_room_says_at_its_start_that_it_is_encrypted(state: Path) -> None:
    with Server("--tls", "auto") as room:
        assert room.stdout.splitlines()[:2] == [
            f"encrypted; the certificate's SHA-256 fingerprint is {own_identity().fingerprint}",
            f"listening on port {room.port}, Ctrl-C ends",
        ]
        assert "in the clear" not in room.stdout


def test_openssl_joins_takes_new_keys_and_leaves(state: Path) -> None:
    openssl = require_tool("openssl")
    with (
        Server("--tls", "auto", "--host", "127.0.0.1") as room,
        Program(
            *(openssl, "s_client", "-connect", f"127.0.0.1:{room.port}"),
            stdin=subprocess.PIPE,
        ) as client,
    ):
        shown = own_identity().fingerprint
        client.wait_for("Verify return code")
        client.write(b"ann".ljust(64, b"\0") + b"key".ljust(448, b"\0"))
        room.wait_for("ann joined")
        client.write(b"K\n")  # its own new keys, and ours
        client.wait_for_error("KEYUPDATE")
        client.write(b"ann".ljust(64, b"\0") + b"hello".ljust(448, b"\0"))
        room.wait_for("ann: hello")
        client.write(b"Q\n")
        room.wait_for("ann left (0/4): closed the connection")
        assert client.wait() == 0
        assert shown in room.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--tls", "auto", "--tls-cert", "some.pem"), "the certificate is given twice"),
        (("--tls-key", "some.pem"), "--tls-key is the key of a certificate"),
        (("--tls-cert", "/nowhere.pem"), "cannot read the certificate file /nowhere.pem"),
        (("--tls", "auto", "--stage", "3"), "belongs to the whole room, not to a stage"),
        (("--tls-cert", "some.pem", "--stage", "1"), "belongs to the whole room, not to a stage"),
        (("--tls", "always"), "invalid choice: 'always'"),
    ],
)
def test_wrong_use_of_the_options_is_told(options: tuple[str, ...], words: str) -> None:
    sop_chat = shutil.which("sop-chat", path=str(Path(sys.executable).parent))
    assert sop_chat is not None
    done = subprocess.run([sop_chat, "9", "key", *options], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("USAGE: sop-chat port key\n")
    assert words in done.stderr
