"""What a service manager says in the environment, and hands over."""

import contextlib
import os
import socket
from collections.abc import Iterator

import pytest

from sopchat import service
from sopchat.arguments import UsageError
from sopchat.service import Notifier, inherited_listeners
from tests.faults.fuzz.material import Material
from tests.faults.fuzz.targets import target

# Where the descriptors of an input begin: far from those that are in use.
_FIRST = 400

_NUMBERS = ["", "0", "1", "2", "3", "-1", "+1", " 1", "1e3", "9" * 20, str(2**64 - 1), "٣"]
_NAMES = [
    "frame",
    "line",
    "talk",
    "",
    "unknown",
    "connection",
    "a.socket",
    "web",
    ":",
    "frame:line",
]


def said(material: Material, known: list[str]) -> str:
    """A value of a variable: one that is known, or any text that the environment can hold."""
    choice = material.number(len(known))
    if choice < len(known):
        return known[choice]
    return os.fsdecode(material.take(material.number(12)).replace(b"\0", b""))


@contextlib.contextmanager
def handed_over(kinds: list[int]) -> Iterator[None]:
    """A row of descriptors from `_FIRST` on: a listener, other sockets, a pipe."""
    with contextlib.ExitStack() as opened:
        for number, kind in enumerate(kinds, _FIRST):
            if kind == 4:
                reading, writing = os.pipe()
                os.dup2(reading, number)
                os.close(reading)
                os.close(writing)
                continue
            family = socket.AF_UNIX if kind == 1 else socket.AF_INET
            sort = socket.SOCK_DGRAM if kind == 3 else socket.SOCK_STREAM
            with socket.socket(family, sort) as one:
                if kind < 2:
                    one.bind("" if kind == 1 else ("127.0.0.1", 0))
                    one.listen()
                os.dup2(one.fileno(), number)
        try:
            yield
        finally:
            opened.close()
            os.closerange(_FIRST, _FIRST + len(kinds))


@target(128)
def handed_over_sockets(material: Material) -> None:
    """Whatever the variables say, listeners come by door, or words; the variables are gone."""
    kinds = [material.number(4) % 5 for _ in range(material.number(3))]
    own = str(os.getpid())
    environ = {"KEPT": "as it is"}
    for name, known in (
        ("LISTEN_FDS", [str(len(kinds)), *_NUMBERS]),
        ("LISTEN_PID", [own, own, own, *_NUMBERS]),
    ):
        if material.number(7):
            environ[name] = said(material, known)
    if material.number(1):
        names = [said(material, _NAMES) for _ in range(material.number(3) or len(kinds))]
        environ["LISTEN_FDNAMES"] = ":".join(names)
    with handed_over(kinds), pytest.MonkeyPatch.context() as patch:
        patch.setattr(service, "_FIRST_DESCRIPTOR", _FIRST)
        try:
            listeners = inherited_listeners(environ)
        except UsageError as error:
            assert str(error)
        else:
            found = [one for group in listeners.values() for one in group]
            numbers = [one.fileno() for one in found]
            ready = [not (one.get_inheritable() or one.getblocking()) for one in found]
            for one in found:
                one.close()
            assert set(listeners) <= {"frame", "line", "talk"}
            assert sorted(numbers) == [_FIRST + place for place in range(len(found))]
            assert all(kinds[number - _FIRST] < 2 for number in numbers)
            assert all(ready)
        assert environ == {"KEPT": "as it is"}


@target(128)
def notifying(material: Material) -> None:
    """Whatever the environment says of a manager, it is told or nobody is; none of it is left."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("")  # the system finds an abstract name
        manager.setblocking(False)
        name = "@" + manager.getsockname()[1:].decode()
        environ = {}
        if material.number(7):
            environ["NOTIFY_SOCKET"] = said(
                material, [name, name, "", "@", "/", "/dev/null", "rel"]
            )
        for variable, known in (
            ("WATCHDOG_USEC", _NUMBERS),
            ("WATCHDOG_PID", [str(os.getpid()), *_NUMBERS]),
        ):
            if material.number(1):
                environ[variable] = said(material, known)
        hears = environ.get("NOTIFY_SOCKET") == name
        notifier = Notifier.from_environment(environ)
        assert environ == {}
        assert notifier.interval is None or 0 < notifier.interval < 2**64
        notifier.ready()
        notifier.status(material.text())
        notifier.close()
        messages = []
        with contextlib.suppress(BlockingIOError):
            while True:
                messages.append(manager.recv(65536).decode())
        assert bool(messages) == hears
        if hears:
            ready, status = messages
            assert ready == "READY=1"
            assert status.startswith("STATUS=")
            assert status.isprintable()
            assert len(status.encode()) <= 4096
