"""Stage 1: accepts one client, closes that connection, ends with status 0."""

import socket

import pytest

from tests.support.clients import PATIENCE, Client
from tests.support.frames import frame
from tests.support.programs import Server


@pytest.fixture
def server() -> Server:
    return Server("--stage", "1")


@pytest.mark.sentence("S1")
def test_a_client_is_closed_without_a_byte_and_the_program_ends(server: Server) -> None:
    with server, Client(server.port) as client:
        assert client.rest() == b""
        assert server.wait() == 0
        assert server.stderr == ""


@pytest.mark.sentence("S1")
def test_nobody_listens_afterwards(server: Server) -> None:
    with server:
        Client(server.port).close()
        assert server.wait() == 0
        with pytest.raises(ConnectionRefusedError):
            Client(server.port)


@pytest.mark.sentence("S1")
def test_a_client_that_sends_or_resets_is_a_client(server: Server) -> None:
    with server:
        client = Client(server.port)
        client.send(frame("ann", "key"))
        client.reset()
        assert server.wait() == 0


def test_until_a_client_comes_it_waits_and_ctrl_c_ends_it(server: Server) -> None:
    with server:
        assert server.process.poll() is None
        server.interrupt()
        assert server.wait() == 0


def test_a_client_over_ipv6_is_a_client_too(server: Server) -> None:
    with server, socket.create_connection(("::1", server.port), PATIENCE) as client:
        assert client.recv(1) == b""
        assert server.wait() == 0
