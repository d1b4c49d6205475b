import errno
import socket
import struct
from collections.abc import Iterator

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from sopchat.connection import receive
from sopchat.doors.tcp import (
    SocketConnection,
    accept,
    accept_first,
    open_listeners,
    shown_address,
)
from tests.support.clients import Client


def never(error: OSError) -> None:
    pytest.fail(f"exhausted: {error}")


def unheard(connection: SocketConnection) -> None:
    pytest.fail(f"accepted: {connection.peer}")


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    (listener,) = open_listeners(0)
    with listener:
        yield listener


@pytest.fixture
async def connected(listener: socket.socket) -> tuple[SocketConnection, socket.socket]:
    """The server's side and the client's side of one connection."""
    client = socket.create_connection(listener.getsockname()[:2])
    client.setblocking(False)
    return await accept_first([listener], never), client


@pytest.mark.sentence("C1")
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1"])
async def test_without_a_host_it_listens_on_every_address_of_ipv4_and_ipv6(
    listener: socket.socket, host: str
) -> None:
    with Client(listener.getsockname()[1], host) as client:
        connection = await accept_first([listener], never)
        connection.close()
        assert connection.peer == shown_address(client.socket.getsockname())


def test_with_a_host_it_listens_there_only() -> None:
    (listener,) = open_listeners(0, "127.0.0.1")
    with listener:
        Client(listener.getsockname()[1]).close()
        with pytest.raises(ConnectionRefusedError):
            Client(listener.getsockname()[1], "127.0.0.2")


def test_a_host_with_two_addresses_gets_a_listener_for_each_on_one_port(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def two_addresses(host: str, port: int, **kind: object) -> list[object]:
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
        ]

    monkeypatch.setattr(socket, "getaddrinfo", two_addresses)
    listeners = open_listeners(0, "localhost")
    assert [listener.getsockname()[0] for listener in listeners] == ["::1", "127.0.0.1"]
    assert len({listener.getsockname()[1] for listener in listeners}) == 1
    for listener in listeners:
        listener.close()


def test_a_listener_that_fails_closes_those_opened_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        def two_addresses(host: str, port: int, **kind: object) -> list[object]:
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.3", port)),
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
            ]

        monkeypatch.setattr(socket, "getaddrinfo", two_addresses)
        with pytest.raises(OSError, match="in use"):
            open_listeners(port, "two.example")
        with socket.create_server(("127.0.0.3", port)):
            pass


def test_without_ipv6_it_listens_on_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_dualstack_ipv6", lambda: False)
    (listener,) = open_listeners(0)
    with listener:
        assert listener.family == socket.AF_INET
        Client(listener.getsockname()[1]).close()


def test_where_ipv6_has_no_address_it_listens_on_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    create_server = socket.create_server

    def without_ipv6(
        address: tuple[str, int], *, family: socket.AddressFamily, **options: object
    ) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        return create_server(address, family=family, backlog=5)

    monkeypatch.setattr(socket, "create_server", without_ipv6)
    (listener,) = open_listeners(0)
    with listener:
        assert listener.family == socket.AF_INET


async def test_an_accepted_socket_sends_at_once_and_notices_a_dead_peer(
    listener: socket.socket,
) -> None:
    with Client(listener.getsockname()[1]):
        await trio.lowlevel.wait_readable(listener)
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 60


class FailingListener:
    """A listening socket whose accept fails as told before it works."""

    def __init__(self, real: socket.socket, *errors: int) -> None:
        self._real, self.family = real, real.family
        self._errors = list(errors)

    def fileno(self) -> int:
        return self._real.fileno()

    def accept(self) -> object:
        if self._errors:
            raise OSError(self._errors.pop(0), "said by the system")
        return self._real.accept()


async def test_accept_survives_exhaustion_with_pauses_and_tells_it_once(
    listener: socket.socket, mock_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    failing = FailingListener(listener, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
    told: list[OSError] = []
    accepted: list[SocketConnection] = []

    with Client(listener.getsockname()[1]):
        nursery.start_soon(accept, failing, accepted.append, told.append)  # type: ignore[arg-type]
        for _ in range(4):
            await trio.lowlevel.wait_readable(listener)
            await wait_all_tasks_blocked(0.01)
            assert not accepted
            mock_clock.jump(0.1)
        await wait_all_tasks_blocked(0.01)
    assert [error.errno for error in told] == [errno.EMFILE]
    assert len(accepted) == 1
    accepted[0].close()


@pytest.mark.parametrize("number", [errno.ECONNABORTED, errno.EPROTO, errno.EAGAIN])
async def test_a_client_gone_before_it_was_accepted_is_nobody(
    listener: socket.socket, number: int
) -> None:
    with Client(listener.getsockname()[1]):
        failing = FailingListener(listener, number)
        connection = await accept_first([failing], never)  # type: ignore[list-item]
        connection.close()


async def test_a_listener_of_no_use_is_an_error(listener: socket.socket) -> None:
    with Client(listener.getsockname()[1]), pytest.raises(OSError, match="said"):
        await accept(FailingListener(listener, errno.EINVAL), unheard, never)  # type: ignore[arg-type]


async def test_the_first_client_of_any_listener_is_taken() -> None:
    listeners = open_listeners(0, "127.0.0.1") + open_listeners(0, "127.0.0.1")
    with listeners[0], listeners[1], Client(listeners[1].getsockname()[1]) as client:
        connection = await accept_first(listeners, never)
        assert connection.peer.endswith(f":{client.socket.getsockname()[1]}")
        connection.close()


def test_addresses_are_shown_as_people_write_them() -> None:
    assert shown_address(("192.0.2.1", 50000)) == "192.0.2.1:50000"
    assert shown_address(("::ffff:192.0.2.1", 50000, 0, 0)) == "192.0.2.1:50000"
    assert shown_address(("2001:db8::1", 50000, 0, 0)) == "[2001:db8::1]:50000"


async def test_receive_gives_what_came_then_nothing_at_the_end(
    connected: tuple[SocketConnection, socket.socket],
) -> None:
    connection, client = connected
    client.send(b"hello")
    assert await receive(connection, 3) == b"hel"
    assert await receive(connection, 3) == b"lo"
    with pytest.raises(BlockingIOError):
        connection.receive_now(3)
    client.close()
    assert await receive(connection, 3) == b""
    connection.close()


async def test_send_takes_what_fits_and_waits_when_nothing_does(
    connected: tuple[SocketConnection, socket.socket],
) -> None:
    connection, client = connected
    sent = await connection.send([b"one", memoryview(b"two")])
    assert sent == 6
    with pytest.raises(BlockingIOError):
        while True:
            sent += connection.send_now(bytes(2**20))
    with trio.move_on_after(0.05) as scope:
        await connection.send([b"more"])
    assert scope.cancelled_caught
    assert connection.unacknowledged() > 0
    received = 0
    while received < sent:
        await trio.lowlevel.wait_readable(client)
        received += len(client.recv(2**20))
    assert await connection.send([b"more"]) == 4
    client.close()
    connection.close()


async def test_bytes_are_unacknowledged_until_the_far_side_has_them(
    connected: tuple[SocketConnection, socket.socket],
) -> None:
    connection, client = connected
    with pytest.raises(BlockingIOError):
        while True:
            connection.send_now(bytes(2**20))
    before = connection.unacknowledged()
    # One read of the far side is seen here though the socket is still not writable.
    for _ in range(4):
        await trio.lowlevel.wait_readable(client)
        client.recv(2**16)
    with trio.fail_after(10):
        while connection.unacknowledged() >= before:
            await trio.lowlevel.wait_readable(client)
            client.recv(2**16)
    client.close()
    connection.close()


async def test_a_reset_is_an_error_with_its_number(
    connected: tuple[SocketConnection, socket.socket],
) -> None:
    connection, client = connected
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    with pytest.raises(ConnectionResetError):
        await receive(connection, 1)
    with pytest.raises(BrokenPipeError):
        connection.send_now(b"x")
    connection.close()


async def test_closing_twice_is_closing_once(
    connected: tuple[SocketConnection, socket.socket],
) -> None:
    connection, client = connected
    connection.close()
    connection.close()
    client.close()


async def test_where_the_system_cannot_tell_nothing_is_unacknowledged(
    connected: tuple[SocketConnection, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*request: object) -> bytes:
        raise OSError(errno.ENOTTY, "Inappropriate ioctl for device")

    connection, client = connected
    monkeypatch.setattr("fcntl.ioctl", unknown)
    assert connection.unacknowledged() == 0
    connection.close()
    client.close()


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("192.0.2.1:5000", "192.0.2.1"),
        ("[2a00:1450:4001:81b::200e]:5000", "2a00:1450:4001:81b::/64"),
        ("[fe80::abcd:2%eth0]:5000", "[fe80::abcd:2%eth0]"),
        ("[fd00:1::5]:5000", "[fd00:1::5]"),
    ],
)
def test_clients_are_counted_together_where_one_has_all_addresses(peer: str, address: str) -> None:
    with socket.socket() as one:
        assert SocketConnection(one, peer).address == address
