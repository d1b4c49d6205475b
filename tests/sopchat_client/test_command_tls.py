"""The client's options for an encrypted room, from a shell."""

import os
import subprocess
from pathlib import Path

import pytest
import trustme
from sopchat_client.errors import Untrusted
from sopchat_client.known import remember
from sopchat_client.parser import ClientParser

from sopchat.tls import own_identity
from tests.support.programs import SOP_CHAT_CLIENT, Server, TerminalProgram
from tests.support.tls import authority, written


def run(port: int, *options: str, said: bytes = b"", key: str = "key") -> tuple[int, str]:
    """The client between pipes: its status and what it says on standard error."""
    done = subprocess.run(
        [SOP_CHAT_CLIENT, *options, "localhost", str(port), "ann", key],
        input=said,
        capture_output=True,
        timeout=30,
    )
    return done.returncode, done.stderr.decode()


def test_from_the_first_time_to_a_server_that_has_changed(known: Path) -> None:
    with Server("--tls", "auto") as room:
        shown = own_identity().fingerprint
        status, told = run(room.port, "--tls", said=b"hello\n")
        assert status == 0
        assert told.count("\n") == 1
        assert f"first time at localhost port {room.port}" in told
        assert shown in told
        room.wait_for("ann: hello")
        assert run(room.port, "--tls") == (0, "")
        assert run(room.port, "--fingerprint", shown.lower().replace(":", "")) == (0, "")
        assert run(room.port, "--tls", key="wrong")[0] == 3
        known.write_text(f"localhost {room.port} {':'.join(['00'] * 32)}\n")
        status, told = run(room.port, "--tls", key="secret")
        assert status == 6
        assert "HAS CHANGED" in told
        status, told = run(room.port, "--fingerprint", "00" * 32, key="secret")
        assert status == 6
        assert shown in told
        status, told = run(room.port)
        assert (status, told) == (
            2,
            "sop-chat-client: the room is encrypted: it is joined with TLS (--tls)\n",
        )
        assert "secret" not in room.stdout


def test_an_authority_is_asked_for_name_and_all(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    authority().cert_pem.write_to_path(ca)
    for name, expected in {"localhost": 0, "elsewhere.example": 6}.items():
        with Server("--tls-cert", str(written(tmp_path, name))) as room:
            assert run(room.port, "--ca", str(ca))[0] == expected


def test_a_server_for_whom_the_authority_does_not_vouch_is_told_in_one_line(
    tmp_path: Path,
) -> None:
    with Server("--tls", "auto") as room:
        other = tmp_path / "other.pem"
        trustme.CA().cert_pem.write_to_path(other)
        status, told = run(room.port, "--ca", str(other), said=b"hi\n")
    assert status == 6
    assert told.startswith(f"sop-chat-client: the certificate of localhost port {room.port} is not")
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("none.pem", "none.pem: No such file or directory"),
        ("", "cannot read the certificates in "),
        ("text.pem", "text.pem holds no certificate"),
    ],
)
def test_authorities_that_cannot_be_read_are_wrong_use(
    tmp_path: Path, name: str, words: str
) -> None:
    (tmp_path / "text.pem").write_text("no PEM\n")
    status, told = run(1, "--ca", str(tmp_path / name))
    assert status == 1
    assert told.startswith("USAGE: sop-chat-client")
    assert words in told


def test_the_full_screen_tells_of_a_server_met_for_the_first_time() -> None:
    with (
        Server("--tls", "auto") as room,
        TerminalProgram(
            *(SOP_CHAT_CLIENT, "--tls", "localhost", str(room.port), "ann", "key"), columns=200
        ) as client,
    ):
        shown = own_identity().fingerprint
        client.wait_until(lambda lines: any(shown in line for line in lines))
        client.press("\x03")
        assert client.wait() == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fingerprint", "AB"], "'AB' is no SHA-256 fingerprint"),
        (["--fingerprint", "00" * 32, "--ca", "ca.pem"], "one of --fingerprint and --ca is enough"),
    ],
)
def test_wrong_use_is_told(options: list[str], words: str) -> None:
    status, told = run(1, *options)
    assert status == 1
    assert told.startswith("USAGE: sop-chat-client")
    assert words in told


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of profiles, whose table [work] has what is needed."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    file = tmp_path / "sop-chat" / "client.toml"
    file.parent.mkdir()
    file.write_text('[work]\nhost = "localhost"\nport = 9000\nname = "ann"\n')
    return file


def add(file: Path, line: str) -> None:
    with file.open("a") as opened:
        opened.write(line + "\n")


def test_a_profile_says_whom_to_trust(profiles: Path) -> None:
    add(profiles, f'fingerprint = "{"ab" * 32}"')
    options = ClientParser().parse(["@work"])
    assert options.fingerprint == ":".join(["AB"] * 32)
    options = ClientParser().parse(["@work", "--ca", "other.pem"])
    assert options.fingerprint is None
    assert options.ca == Path("other.pem")


def test_an_authority_in_a_profile_stands_beside_it(profiles: Path) -> None:
    add(profiles, 'tls = true\nca = "ca.pem"')
    options = ClientParser().parse(["@work"])
    assert options.tls is True
    assert os.fspath(options.ca) == str(profiles.parent / "ca.pem")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("tls = 1", "tls must be true or false"),
        ('fingerprint = "x"', "'x' is no SHA-256 fingerprint"),
        ("fingerprint = 3", "'3' is no SHA-256 fingerprint"),
        ("ca = 3", "ca must be a string"),
        (f'tls = false\nfingerprint = "{"00" * 32}"', "fingerprint and ca are for tls = true"),
        (f'ca = "x"\nfingerprint = "{"00" * 32}"', "one of fingerprint and ca is enough"),
    ],
)
def test_what_a_profile_says_wrong_is_told(
    profiles: Path, line: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    add(profiles, line)
    with pytest.raises(SystemExit):
        ClientParser().parse(["@work"])
    assert words in capsys.readouterr().err


def test_a_server_that_somebody_else_has_just_met_is_not_remembered_as_another(known: Path) -> None:
    first, second = (":".join([pair] * 32) for pair in ("AA", "BB"))
    remember("localhost", 9000, first)
    remember("LOCALHOST", 9000, first)
    with pytest.raises(Untrusted, match="has just shown two certificates"):
        remember("localhost", 9000, second)
    assert known.read_text() == f"localhost 9000 {first}\n"
