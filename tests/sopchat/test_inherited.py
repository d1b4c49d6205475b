"""The listening sockets that the service manager hands over."""

import contextlib
import os
import re
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sopchat import service
from sopchat.arguments import UsageError
from sopchat.doors.tcp import open_listeners
from sopchat.service import inherited_listeners
from tests.support.clients import Client
from tests.support.supervisor import Supervisor

# Where sockets are handed over within this process: far above those that it uses.
FIRST = 200

HandOver = Callable[..., dict[str, str]]

# A service: tells each client its process's number and what it was handed over.
SERVICE = """
import os, signal, sys
from sopchat.service import Notifier, inherited_listeners

notifier = Notifier.from_environment()
listeners = inherited_listeners()
left = [name for name in os.environ if name.startswith(("LISTEN_", "NOTIFY_", "WATCHDOG_"))]
inheritable = [one for group in listeners.values() for one in group if one.get_inheritable()]

def stop(*_):
    notifier.stopping()
    sys.exit(0)

def reload(*_):
    notifier.reloading()
    notifier.ready()

signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGHUP, reload)
notifier.ready()
(listener,) = listeners["frame"]
assert not listener.getblocking()
listener.setblocking(True)
while True:
    client, _ = listener.accept()
    client.sendall(f"{os.getpid()} {sorted(listeners)} {left} {inheritable}".encode())
    client.close()
"""


@pytest.fixture
def hand_over(monkeypatch: pytest.MonkeyPatch) -> Iterator[HandOver]:
    """Puts descriptors where a service manager would, and gives the environment that says so."""
    places: list[int] = []

    def hand_over(*descriptors: int, names: str | None = None) -> dict[str, str]:
        for descriptor in descriptors:
            places.append(os.dup2(descriptor, FIRST + len(places)))
        environ = {"LISTEN_FDS": str(len(descriptors)), "LISTEN_PID": str(os.getpid())}
        return environ if names is None else environ | {"LISTEN_FDNAMES": names}

    monkeypatch.setattr(service, "_FIRST_DESCRIPTOR", FIRST)
    yield hand_over
    for place in places:
        with contextlib.suppress(OSError):  # its new owner has closed it
            os.close(place)


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """As plain as a service manager has it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def close(listeners: dict[str, list[socket.socket]]) -> None:
    for group in listeners.values():
        for listener in group:
            listener.close()


def test_sockets_come_by_the_names_of_their_doors(hand_over: HandOver) -> None:
    with tempfile.TemporaryDirectory() as folder:
        plain = [
            socket.create_server(("127.0.0.1", 0)),
            socket.create_server(("::1", 0), family=socket.AF_INET6),
            socket.create_server(str(Path(folder) / "s"), family=socket.AF_UNIX),
            socket.create_server(("127.0.0.1", 0)),
        ]
        environ = hand_over(*(one.fileno() for one in plain), names="frame:talk:frame:line")
        listeners = inherited_listeners(environ)
        names = {name: [s.getsockname() for s in group] for name, group in listeners.items()}
        addresses = [one.getsockname() for one in plain]
        assert names == {
            "frame": [addresses[0], addresses[2]],
            "talk": [addresses[1]],
            "line": [addresses[3]],
        }
        close(listeners)
        for one in plain:
            one.close()
    assert environ == {}


def test_they_get_what_our_own_listeners_have(hand_over: HandOver, listener: socket.socket) -> None:
    (own,) = open_listeners(0, "127.0.0.1")
    listeners = inherited_listeners(hand_over(listener.fileno()))
    (inherited,) = listeners["frame"]
    for level, option in (
        (socket.IPPROTO_TCP, socket.TCP_NODELAY),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    ):
        assert inherited.getsockopt(level, option) == own.getsockopt(level, option) != 0
    assert not inherited.getblocking()
    assert not inherited.get_inheritable()
    own.close()
    close(listeners)


@pytest.mark.parametrize("names", [None, "", "unknown", "sop-chat.socket", "frame"])
def test_a_socket_without_a_name_of_its_own_is_the_frame_doors(
    hand_over: HandOver, listener: socket.socket, names: str | None
) -> None:
    listeners = inherited_listeners(hand_over(listener.fileno(), names=names))
    assert list(listeners) == ["frame"]
    close(listeners)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_PID": str(os.getpid())},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1", "LISTEN_FDNAMES": "frame"},
        {"LISTEN_FDS": "0", "LISTEN_PID": str(os.getpid()), "LISTEN_FDNAMES": ""},
    ],
)
def test_what_is_not_for_this_process_is_left_alone(environ: dict[str, str]) -> None:
    assert inherited_listeners(environ) == {}
    assert environ == {}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"LISTEN_PID": "me"}, "LISTEN_PID is 'me', and a process's number is expected"),
        ({"LISTEN_PID": "0"}, "LISTEN_PID is '0', and"),
        ({"LISTEN_FDS": "-1"}, "LISTEN_FDS is '-1', and a number of sockets is expected"),
        ({"LISTEN_FDS": "²"}, "LISTEN_FDS is '²', and"),
        ({"LISTEN_FDNAMES": "frame:line"}, "LISTEN_FDNAMES names 2 sockets, and LISTEN_FDS says 1"),
        ({"LISTEN_FDS": "0", "LISTEN_FDNAMES": "frame"}, "names 1 sockets, and LISTEN_FDS says 0"),
        ({"LISTEN_FDNAMES": "Line"}, "a door 'Line', and the doors are frame, line, talk"),
    ],
)
def test_an_environment_that_makes_no_sense_is_an_error_that_says_why(
    hand_over: HandOver, listener: socket.socket, wrong: dict[str, str], words: str
) -> None:
    environ = hand_over(listener.fileno()) | wrong
    with pytest.raises(UsageError, match=re.escape(words)):
        inherited_listeners(environ)
    assert environ == {}


def connected() -> socket.socket:
    one, other = socket.socketpair()
    other.close()
    return one


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (tempfile.TemporaryFile, "is no socket: Socket operation on non-socket"),
        (
            lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
            "is no stream socket (ListenStream= of the socket unit)",
        ),
        (connected, "does not listen (Accept=no in the socket unit)"),
        (
            lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW),
            "is neither a TCP nor a Unix-domain socket",
        ),
    ],
    ids=["a file", "datagrams", "a connection", "another family"],
)
def test_what_is_no_listening_stream_socket_is_an_error_that_says_what_it_is(
    hand_over: HandOver, listener: socket.socket, make: Callable[[], socket.socket], words: str
) -> None:
    with make() as bad:
        environ = hand_over(listener.fileno(), bad.fileno(), names="line:frame")
        words = f"descriptor {FIRST + 1}, handed over by the service manager, {words}"
        with pytest.raises(UsageError, match=re.escape(words)):
            inherited_listeners(environ)
    with pytest.raises(OSError, match="Bad file"):  # nor is the good one kept
        os.fstat(FIRST)


def test_a_descriptor_that_is_not_open_is_an_error(
    hand_over: HandOver, listener: socket.socket
) -> None:
    environ = hand_over(listener.fileno()) | {"LISTEN_FDS": "2"}
    with pytest.raises(UsageError, match=r"is no socket: Bad file descriptor"):
        inherited_listeners(environ)


def test_a_socket_that_takes_no_options_is_an_error(
    hand_over: HandOver, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(listener: socket.socket) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(service, "prepare_listener", refused)
    with pytest.raises(UsageError, match="cannot be used: Operation not permitted"):
        inherited_listeners(hand_over(listener.fileno()))


ODD = st.none() | st.text(max_size=30) | st.integers(-2, 2**70).map(str)


@example(count=str(2**64 - 2), process=str(os.getpid()), names=None)
@given(count=ODD, process=ODD | st.just(str(os.getpid())), names=ODD | st.just("frame:line"))
def test_every_environment_gives_sockets_or_an_error_for_the_user(
    count: str | None, process: str | None, names: str | None
) -> None:
    given = {"LISTEN_FDS": count, "LISTEN_PID": process, "LISTEN_FDNAMES": names}
    environ = {name: value for name, value in given.items() if value is not None}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "_FIRST_DESCRIPTOR", 10**6)  # where nothing is
        with contextlib.suppress(UsageError):
            assert inherited_listeners(environ) == {}
    assert environ == {}


def answer(client: Client) -> str:
    with client, client.socket.makefile("rb") as stream:
        return stream.read().decode()


def test_a_real_process_gets_its_sockets_and_passes_them_on_to_nobody() -> None:
    sockets = [(name, socket.create_server(("127.0.0.1", 0))) for name in ("talk", "", "line")]
    port = sockets[1][1].getsockname()[1]
    with Supervisor(sys.executable, "-c", SERVICE, sockets=sockets, watchdog=30) as supervisor:
        program = supervisor.start()
        pid = program.process.pid
        assert answer(Client(port)) == f"{pid} ['frame', 'line', 'talk'] [] []"
        supervisor.reload()
        supervisor.stop()
        supervisor.wait_for("STOPPING=1")


def test_who_connects_during_a_restart_waits_for_the_new_process() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    with Supervisor(sys.executable, "-c", SERVICE, sockets=[("frame", listener)]) as supervisor:
        first = supervisor.start().process.pid
        assert answer(Client(port)).startswith(f"{first} ")
        supervisor.stop()
        between = Client(port)
        second = supervisor.start().process.pid
        assert answer(between).startswith(f"{second} ")
    assert first != second
