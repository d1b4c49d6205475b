"""Unix-domain sockets: their files, and who comes by them."""

import errno
import fcntl
import os
import socket
import stat
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from sopchat.connection import receive
from sopchat.doors.tcp import SocketConnection, accept_first, prepare_listener
from sopchat.doors.unix import UnixListener, open_unix_listener, shown_user

ME = f"unix:uid {os.getuid()}, pid {os.getpid()}"


def never(error: OSError) -> None:
    pytest.fail(f"exhausted: {error}")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "room"


@pytest.fixture
def listener(path: Path) -> Iterator[UnixListener]:
    with open_unix_listener(path) as listener:
        yield listener


def visit(path: Path) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(path))
    return client


def leave_behind(path: Path, kind: int = socket.SOCK_STREAM) -> None:
    """A socket's file whose server has died."""
    with socket.socket(socket.AF_UNIX, kind) as dead:
        dead.bind(str(path))


def test_it_listens_and_the_file_goes_with_it(path: Path) -> None:
    with open_unix_listener(path) as listener:
        visit(path).close()
        assert not listener.getblocking()
        assert not listener.get_inheritable()
    assert not path.exists()
    listener.close()  # a second time does nothing


def test_nobody_else_may_connect_from_the_first_moment_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []

    def watched(self: socket.socket, backlog: int) -> None:
        modes.append(stat.S_IMODE(path.stat().st_mode))
        socket.socket.listen(self, backlog)

    monkeypatch.setattr(UnixListener, "listen", watched)
    before = os.umask(0)
    try:
        with open_unix_listener(path):
            assert modes == [0o600]
            assert os.umask(0) == 0  # as it was
    finally:
        os.umask(before)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_file_that_a_dead_server_left_is_replaced(path: Path, kind: int) -> None:
    leave_behind(path, kind)
    with open_unix_listener(path):
        visit(path).close()
    assert not path.exists()


def test_a_socket_in_use_is_left_alone(path: Path, listener: UnixListener) -> None:
    with pytest.raises(OSError, match="in use") as caught:
        open_unix_listener(path)
    assert caught.value.errno == errno.EADDRINUSE
    visit(path).close()


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_socket_in_other_use_or_with_too_many_visitors_is_in_use(path: Path, kind: int) -> None:
    with socket.socket(socket.AF_UNIX, kind) as other:
        other.bind(str(path))
        if kind == socket.SOCK_STREAM:
            other.listen(0)
            waiting = visit(path)
        with pytest.raises(OSError, match="in use") as caught:
            open_unix_listener(path)
        assert caught.value.errno == errno.EADDRINUSE
        assert path.exists()
        if kind == socket.SOCK_STREAM:
            waiting.close()


@pytest.mark.parametrize(
    "make",
    [Path.touch, Path.mkdir, lambda path: path.symlink_to("elsewhere"), os.mkfifo],
    ids=["a file", "a directory", "a link", "a pipe"],
)
def test_what_is_no_socket_is_left_alone(path: Path, make: Callable[[Path], None]) -> None:
    make(path)
    with pytest.raises(OSError, match="non-socket") as caught:
        open_unix_listener(path)
    assert caught.value.errno == errno.ENOTSOCK
    assert path.lstat()


def test_a_socket_that_may_not_be_asked_is_left_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(self: socket.socket, address: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    leave_behind(path)
    monkeypatch.setattr("sopchat.doors.unix.socket.socket.connect", forbidden, raising=False)
    with pytest.raises(PermissionError):
        open_unix_listener(path)
    assert path.exists()


def test_a_socket_whose_server_ends_just_now_is_no_hindrance(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_late(self: socket.socket, address: str) -> None:
        path.unlink()
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    leave_behind(path)
    monkeypatch.setattr("sopchat.doors.unix.socket.socket.connect", too_late, raising=False)
    with open_unix_listener(path):
        monkeypatch.undo()
        visit(path).close()


@pytest.mark.parametrize("length", [107, 108, 5000])
def test_a_path_has_to_fit_into_an_address(
    tmp_path: Path, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path("é" + "x" * (length - 2))
    if length <= 107:
        with open_unix_listener(path):
            visit(path).close()
        return
    with pytest.raises(OSError, match="at most 107 bytes") as caught:
        open_unix_listener(path)
    assert caught.value.errno == errno.ENAMETOOLONG


def test_a_directory_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        open_unix_listener(tmp_path / "nowhere" / "room")


def test_what_fails_behind_binding_leaves_no_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: socket.socket, backlog: int) -> None:
        raise OSError(errno.ENOBUFS, "No buffer space available")

    monkeypatch.setattr(UnixListener, "listen", refused)
    with pytest.raises(OSError, match="No buffer"):
        open_unix_listener(path)
    assert not path.exists()


def test_the_file_of_another_is_not_removed(path: Path, listener: UnixListener) -> None:
    path.unlink()
    with open_unix_listener(path):
        listener.close()
        visit(path).close()


def test_the_file_is_found_again_from_another_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_unix_listener(Path("room")):
        monkeypatch.chdir("/")
    assert list(tmp_path.iterdir()) == []


def test_of_many_servers_that_find_a_stale_file_one_gets_its_place(path: Path) -> None:
    leave_behind(path)
    opened: list[UnixListener] = []
    errors: list[int | None] = []
    together = threading.Barrier(8)

    def open_too() -> None:
        together.wait()
        try:
            opened.append(open_unix_listener(path))
        except OSError as error:
            errors.append(error.errno)

    threads = [threading.Thread(target=open_too) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (listener,) = opened
    assert errors == [errno.EADDRINUSE] * 7
    visit(path).close()
    listener.close()


def test_while_another_server_opens_its_socket_one_waits(path: Path) -> None:
    """It may have bound already and not yet listen, which looks stale."""
    directory = os.open(path.parent, os.O_RDONLY)
    fcntl.flock(directory, fcntl.LOCK_EX)
    opened: list[UnixListener] = []
    thread = threading.Thread(target=lambda: opened.append(open_unix_listener(path)))
    thread.start()
    thread.join(0.05)
    assert not path.exists()
    os.close(directory)
    thread.join()
    opened[0].close()


async def test_who_connects_is_shown_by_user_and_process(
    path: Path, listener: UnixListener
) -> None:
    with visit(path):
        connection = await accept_first([listener], never)
        assert connection.peer == ME
        connection.close()


def test_who_is_in_another_namespace_or_system_is_shown_as_far_as_it_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Foreign:
        def getsockopt(self, *option: int) -> bytes:
            return b"\0\0\0\0\xfe\xff\xff\xff\xfe\xff\xff\xff"

    assert shown_user(Foreign()) == "unix:uid 4294967294"  # type: ignore[arg-type]
    monkeypatch.setattr("sys.platform", "darwin")
    assert shown_user(Foreign()) == "unix"  # type: ignore[arg-type]


def test_a_listener_from_elsewhere_is_made_ready_for_accepting(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as plain:
        plain.bind(str(path))
        plain.listen()
        prepare_listener(plain)
        assert not plain.getblocking()


@pytest.fixture
async def connected(
    path: Path, listener: UnixListener
) -> AsyncIterator[tuple[SocketConnection, socket.socket]]:
    """The server's side and the client's side of one connection."""
    client = visit(path)
    client.setblocking(False)
    connection = await accept_first([listener], never)
    yield connection, client
    connection.close()
    client.close()


async def test_what_the_far_side_reads_is_no_longer_unacknowledged(
    connected: tuple[SocketConnection, socket.socket],
) -> None:
    connection, client = connected
    assert connection.unacknowledged() == 0
    sent = 0
    with pytest.raises(BlockingIOError):
        while True:
            sent += connection.send_now(bytes(4096))
    before = connection.unacknowledged()
    assert before >= sent
    client.recv(16384)
    assert connection.unacknowledged() < before
    while sent > 16384:
        sent -= len(client.recv(65536))
    assert connection.unacknowledged() == 0


@pytest.mark.parametrize("reset", [False, True])
async def test_closing_ends_the_far_sides_connection(
    connected: tuple[SocketConnection, socket.socket], reset: bool
) -> None:
    connection, client = connected
    connection.send_now(b"last")
    connection.close(reset=reset)
    assert client.recv(10) == b"last"
    assert client.recv(10) == b""
    with pytest.raises(BrokenPipeError):
        client.send(b"x")


async def test_a_client_that_leaves_words_unread_is_a_reset(
    connected: tuple[SocketConnection, socket.socket],
) -> None:
    connection, client = connected
    connection.send_now(b"unread")
    client.close()
    with pytest.raises(ConnectionResetError):
        await receive(connection, 10)
    with pytest.raises(BrokenPipeError):
        connection.send_now(b"x")


def test_a_directory_that_somebody_keeps_locked_is_an_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sopchat.doors.unix._LOCK_PATIENCE", 0.05)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(BlockingIOError):
            open_unix_listener(path)
    finally:
        os.close(descriptor)
