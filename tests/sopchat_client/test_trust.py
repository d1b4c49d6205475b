"""Whom the client believes to be the server, and what it tells nobody else."""

from functools import partial
from pathlib import Path

import pytest
import trio
import trustme
from sopchat_client import CannotConnect, Refused, Tls, Untrusted, connect
from trio.testing import memory_stream_pair

from tests.support.frames import FRAME
from tests.support.streams import exactly
from tests.support.tls import encrypted_room, server_side
from tests.support.tls_servers import echo, joined, names_and_keys, playing, shown_by


async def test_the_first_time_a_server_is_remembered_before_it_hears_anything(known: Path) -> None:
    told: list[str] = []
    at_the_key: list[str] = []

    async def handler(stream: trio.abc.Stream) -> None:
        data = await exactly(stream, FRAME)
        at_the_key.append(known.read_text())
        await stream.send_all(data)
        await trio.sleep_forever()

    context = server_side()
    async with playing(handler, context) as port:
        await joined("localhost", port, Tls(tell=told.append))
        assert at_the_key == [f"localhost {port} {shown_by(context)}\n"]
        assert known.stat().st_mode & 0o777 == 0o600
        (line,) = told
        assert shown_by(context) in line
        assert str(known) in line
        await joined("LOCALHOST", port, Tls(tell=told.append))
        assert len(told) == 1


async def test_a_server_that_has_changed_hears_neither_name_nor_key(known: Path) -> None:
    heard: list[bytes] = []
    context = server_side()
    async with playing(partial(names_and_keys, heard=heard), context) as port:
        known.parent.mkdir()
        before = ":".join(["00"] * 32)
        known.write_text(f"other 1 {before}\nlocalhost {port} {before}\n")
        with pytest.raises(Untrusted) as caught:
            await joined("localhost", port, Tls())
        assert f"localhost {port} {before}" in known.read_text()
    assert "HAS CHANGED" in str(caught.value)
    assert before in str(caught.value)
    assert shown_by(context) in str(caught.value)
    assert str(known) in str(caught.value)
    assert not any(heard)


async def test_a_changed_certificate_that_the_system_trusts_is_good(
    known: Path, ca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    async with playing(echo, server_side()) as port:
        known.parent.mkdir()
        known.write_text(f"localhost {port} {':'.join(['00'] * 32)}\n")
        await joined("localhost", port, Tls())


async def test_whom_the_system_trusts_is_not_remembered(
    known: Path, ca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    async with playing(echo, server_side()) as port:
        await joined("localhost", port, Tls())
    assert not known.exists()


async def test_a_trusted_certificate_for_another_name_is_not_taken_for_a_new_one(
    known: Path, ca: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(ca))
    async with playing(echo, server_side("elsewhere.example")) as port:
        with pytest.raises(Untrusted, match="not valid for 'localhost'"):
            await joined("localhost", port, Tls())
    assert not known.exists()


@pytest.mark.parametrize("trust", ["another fingerprint", "another authority", "another name"])
async def test_who_is_not_the_one_asked_for_hears_nothing(
    trust: str, ca: Path, tmp_path: Path
) -> None:
    heard: list[bytes] = []
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    tls, words = {
        "another fingerprint": (
            Tls(fingerprint="00" * 32),
            "and the one that was asked for has 00",
        ),
        "another authority": (Tls(ca=tmp_path / "other.pem"), "unable to get local issuer"),
        "another name": (Tls(ca=ca), "IP address mismatch"),
    }[trust]
    host = "127.0.0.1" if trust == "another name" else "localhost"
    async with playing(partial(names_and_keys, heard=heard), server_side()) as port:
        with pytest.raises(Untrusted, match=words):
            await joined(host, port, tls)
    assert not any(heard)


@pytest.mark.parametrize("text", ["no line of the file", "localhost x 00", "localhost 1 00"])
async def test_a_file_of_known_servers_that_is_wrong_is_told(known: Path, text: str) -> None:
    known.parent.mkdir()
    known.write_text(f"\n{text}\n" if False else f"{text}\n")
    async with playing(echo, server_side()) as port:
        with pytest.raises(CannotConnect, match="line 1 is no server"):
            await joined("localhost", port, Tls())


async def test_who_cannot_be_remembered_is_not_joined(known: Path) -> None:
    heard: list[bytes] = []
    known.parent.touch()
    async with playing(partial(names_and_keys, heard=heard), server_side()) as port:
        with pytest.raises(CannotConnect, match="known-servers: Not a directory"):
            await joined("localhost", port, Tls())
    assert not any(heard)


@pytest.mark.parametrize("name", ["none.pem", "empty.pem"])
async def test_authorities_that_cannot_be_read_are_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty.pem").touch()
    async with playing(echo, server_side()) as port:
        with pytest.raises(CannotConnect, match=name):
            await joined("localhost", port, Tls(ca=tmp_path / name))


# Where one side encrypts and the other does not.


async def greet(stream: trio.abc.Stream) -> None:
    await stream.send_all(b"Your name: ")
    await stream.receive_some()


async def hang_up(stream: trio.abc.Stream) -> None:
    await stream.receive_some()


async def test_a_room_that_does_not_encrypt_is_told() -> None:
    async with playing(greet, None) as port:
        with pytest.raises(CannotConnect, match="is not encrypted: it is joined without TLS"):
            await joined("localhost", port, Tls())
    async with playing(hang_up, None) as port:
        with pytest.raises(Refused, match="the room is full or not encrypted"):
            await joined("localhost", port, Tls())


async def test_a_room_that_says_nothing_is_not_waited_for_for_ever(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def open_(host: str, port: int) -> trio.abc.HalfCloseableStream:
        return memory_stream_pair()[0]

    monkeypatch.setattr("sopchat_client.chat._open", open_)
    with pytest.raises(CannotConnect, match="does not answer in TLS: it may not be encrypted"):
        await joined("played", 1, Tls())
    assert trio.current_time() < 60


@pytest.mark.parametrize("protocol", ["frame", "line"])
async def test_a_room_that_encrypts_is_told_to_who_does_not(protocol: str) -> None:
    async with encrypted_room() as room:
        with pytest.raises(CannotConnect, match=r"the room is encrypted: .* \(--tls\)"):
            async with connect("localhost", room.ports[0], "ann", "key", protocol):  # type: ignore[arg-type]
                pass
