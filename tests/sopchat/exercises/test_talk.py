"""`talk-server` in a real process, with a client in plain sockets as the course writes it."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest

from tests.support.clients import Client
from tests.support.programs import BIN, Program, reserved_port, wait_until_listening

TALK_SERVER = str(BIN / "talk-server")
GREETING = b"Thank you for connecting"


class TalkClient(Client):
    """A client after the specification."""

    def hear(self, expected: bytes) -> None:
        """The next bytes are just these."""
        data = b""
        while len(data) < len(expected):
            more = self.socket.recv(len(expected) - len(data))
            assert more, f"closed after {data!r}"
            data += more
        assert data == expected

    def who(self, count: int) -> list[str]:
        """Ask who is there and give the lines of the answer."""
        self.send(b"/who:")
        data = b""
        while data.count(b"\n") < count + 1:
            data += self.socket.recv(4096)
        return data.decode().splitlines()

    @property
    def address(self) -> str:
        host, port = self.socket.getsockname()[:2]
        return f"{host}, {port}"


def connect(port: int) -> TalkClient:
    client = TalkClient(port)
    client.hear(GREETING)
    return client


@pytest.fixture(params=[["-p", "{}"], ["--port", "{}"], ["-v", "-p", "{}"]])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """The port of a server that runs, quiet or verbose."""
    with reserved_port() as port:
        options = [option.format(port) for option in request.param]
        with Program(TALK_SERVER, *options) as server:
            wait_until_listening(port)
            yield port
            server.interrupt()
            assert server.wait() == 0
            assert server.stderr == ""
            assert bool(server.stdout) == ("-v" in options)


def test_a_new_client_is_greeted_without_a_newline(port: int) -> None:
    with connect(port) as ann, connect(port) as bob:
        ann.send(b"x")
        bob.hear(b"x")  # and nothing stood between the greeting and this


def test_a_message_goes_as_it_came_to_every_other_client(port: int) -> None:
    with connect(port) as ann, connect(port) as bob, connect(port) as eve:
        for message in (b"ann says: hello", b"\xff\0 raw \n\n", b"ann says: again"):
            ann.send(message)
            bob.hear(message)
            eve.hear(message)
        bob.send(b"bob says: hi")
        ann.hear(b"bob says: hi")


@pytest.mark.parametrize("question", [b"/who:", b"ann says: /who:", b"ann says: /who:\n"])
def test_who_answers_the_asker_only_and_forwards_nothing(port: int, question: bytes) -> None:
    with connect(port) as ann, connect(port) as bob:
        ann.send(b"ann says: hello")
        bob.hear(b"ann says: hello")
        ann.send(question)
        ann.hear(
            f"2 clients connected.\nann connected from {ann.address}.\n"
            f"<unknown> connected from {bob.address}.\n".encode()
        )
        ann.send(b"ann says: the next")
        bob.hear(b"ann says: the next")


def test_the_name_is_unknown_until_the_client_says_one_and_follows_it(port: int) -> None:
    with connect(port) as ann:
        assert ann.who(1)[1] == f"<unknown> connected from {ann.address}."
        ann.send(b"ann says: hello")
        assert ann.who(1)[1] == f"ann connected from {ann.address}."
        ann.send(b"no name in this")
        assert ann.who(1)[1] == f"ann connected from {ann.address}."
        ann.send(b"anna says: married")
        assert ann.who(1)[1] == f"anna connected from {ann.address}."


@pytest.mark.parametrize("how", ["close", "reset", "finish"])
def test_a_departure_lowers_the_count(port: int, how: str) -> None:
    with connect(port) as ann, connect(port) as bob:
        assert ann.who(2)[0] == "2 clients connected."
        getattr(bob, how)()
        while ann.who(1)[0] != "1 clients connected.":
            pass


def test_a_message_is_at_most_1024_bytes_and_longer_ones_arrive_in_order(port: int) -> None:
    with connect(port) as ann, connect(port) as bob:
        message = b"ann says: " + bytes(range(256)) * 20
        ann.send(message)
        bob.hear(message)


def test_verbose_tells_connections_resends_questions_and_departures() -> None:
    with reserved_port() as port, Program(TALK_SERVER, "-v", "-p", str(port)) as server:
        server.wait_for(f"listening on port {port}")
        with connect(port) as ann, connect(port) as bob:
            server.wait_for("2 connected")
            ann.send(b"an\x1bn says: hello")
            bob.hear(b"an\x1bn says: hello")
            server.wait_for("resent to all others: a message of an\\x1bn")
            ann.who(2)
            server.wait_for("/who: asked, 2 connected")
        server.wait_for("left", times=2)


def test_the_default_port_is_12345() -> None:
    done = subprocess.run([TALK_SERVER, "--help"], capture_output=True, text=True, check=True)
    assert "12345" in done.stdout


def test_a_busy_port_is_told_in_one_line() -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            [TALK_SERVER, "-p", str(port)], capture_output=True, text=True, timeout=20, check=False
        )
    assert done.stderr == f"talk-server: cannot listen on port {port}: Address already in use\n"
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize("arguments", [["-p", "x"], ["-p", "0"], ["-p"], ["more"], ["--what"]])
def test_wrong_use_says_the_usage(arguments: list[str]) -> None:
    done = subprocess.run(
        [TALK_SERVER, *arguments], capture_output=True, text=True, timeout=20, check=False
    )
    assert done.stderr.startswith("USAGE: talk-server [-v] [-p port]\ntalk-server: ")
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_closes_every_client_and_ends_it(number: signal.Signals) -> None:
    with reserved_port() as port, Program(TALK_SERVER, "-p", str(port)) as server:
        wait_until_listening(port)
        with connect(port) as ann, connect(port) as bob:
            os.kill(server.process.pid, number)
            assert ann.rest() == bob.rest() == b""
        assert server.wait() == 0
        assert server.stderr == ""
