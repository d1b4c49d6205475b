"""Stage 2: one client authenticates and sends five frames."""

from collections.abc import Iterator

import pytest

from tests.support.clients import Client
from tests.support.frames import frame, frames
from tests.support.programs import Server


@pytest.fixture
def server() -> Iterator[Server]:
    with Server("--stage", "2") as server:
        yield server


@pytest.mark.sentence("S2", "A2")
def test_name_and_key_are_shown(server: Server) -> None:
    with Client(server.port) as client:
        client.send(frame("ann", "key"))
        server.wait_for("ann")
        server.wait_for("'key'")


@pytest.mark.sentence("S3")
def test_the_same_512_bytes_come_back(server: Server) -> None:
    with Client(server.port) as client:
        offer = frame(b"ann\0behind", b"key\0behind")
        client.send(offer)
        assert client.receive() == offer


@pytest.mark.sentence("S3")
def test_five_frames_are_shown_in_order_then_it_closes_and_ends(server: Server) -> None:
    with Client.join(server.port, "ann") as client:
        for sent in frames("ann", 4):
            client.send(sent)
        server.wait_for("ann 3")
        assert server.process.poll() is None
        client.send(frame("ann", "the fifth"))
        assert client.rest() == b""
        assert server.wait() == 0
    lines = [line for line in server.stdout.splitlines() if line.startswith("ann: ")]
    assert lines == ["ann: ann 0", "ann: ann 1", "ann: ann 2", "ann: ann 3", "ann: the fifth"]


def test_five_frames_in_one_send_are_five_frames_and_a_sixth_is_none(server: Server) -> None:
    with Client.join(server.port, "ann") as client:
        client.send(*frames("ann", 6))
        client.rest()
        assert server.wait() == 0
    assert "ann 4" in server.stdout
    assert "ann 5" not in server.stdout


@pytest.mark.sentence("S4", "A4")
@pytest.mark.parametrize("key", ["", "ke", "keys", "Key", " key", "1key"])
def test_a_key_that_does_not_fit_is_closed_without_a_byte(server: Server, key: str) -> None:
    with Client(server.port) as client:
        client.send(frame("ann", key))
        assert client.rest() == b""
        assert server.wait() == 0
        assert "does not fit" in server.stdout


@pytest.mark.parametrize("sent", [b"", frame("ann", "key")[:100], frame("ann", "key") + b"half"])
def test_a_client_that_leaves_early_ends_it_without_a_traceback(
    server: Server, sent: bytes
) -> None:
    with Client(server.port) as client:
        client.send(sent)
        client.finish()
        client.rest()
        assert server.wait() == 0
        assert server.stderr == ""


def test_a_reset_ends_it_without_a_traceback(server: Server) -> None:
    client = Client.join(server.port, "ann")
    client.reset()
    assert server.wait() == 0
    assert server.stderr == ""
    assert "ECONNRESET" in server.stdout
