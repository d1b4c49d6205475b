"""What the service manager is told, and what it hands over."""

import errno
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from sopchat.service import Notifier

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
NUMBERS = st.one_of(TEXT, st.integers(-3, 2**70).map(str), st.just(str(os.getpid())))


@pytest.fixture(params=["a file", "an abstract name"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    """Where the service manager hears."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(path if request.param == "a file" else f"\0{path}")
        receiver.setblocking(False)
        yield receiver


@pytest.fixture
def environ(manager: socket.socket) -> dict[str, str]:
    """The environment of a service of that manager."""
    name = os.fsdecode(manager.getsockname())
    return {"NOTIFY_SOCKET": name.replace("\0", "@"), "KEPT": "as it is"}


@pytest.fixture
def notifier(environ: dict[str, str]) -> Iterator[Notifier]:
    notifier = Notifier.from_environment(environ)
    yield notifier
    notifier.close()


def heard(manager: socket.socket) -> list[str]:
    """All that was notified since the last call."""
    messages = []
    while True:
        try:
            messages.append(manager.recv(65536).decode())
        except BlockingIOError:
            return messages


def test_the_manager_is_told_how_the_server_is(manager: socket.socket, notifier: Notifier) -> None:
    notifier.ready()
    notifier.status("3 members")
    notifier.stopping()
    assert heard(manager) == ["READY=1", "STATUS=3 members", "STOPPING=1"]


def test_a_reload_says_when_it_began(manager: socket.socket, notifier: Notifier) -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier.reloading()
    after = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    (message,) = heard(manager)
    reloading, moment = message.split("\n")
    assert reloading == "RELOADING=1"
    assert before <= int(moment.removeprefix("MONOTONIC_USEC=")) <= after


@given(text=st.text())
def test_a_status_is_one_line_of_text_that_the_manager_takes(text: str) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("")  # the system finds an abstract name
        receiver.setblocking(False)
        name = receiver.getsockname()[1:].decode()
        notifier = Notifier.from_environment({"NOTIFY_SOCKET": f"@{name}"})
        notifier.status(text)
        notifier.status("\udcff" + "\N{PILE OF POO}" * 10_000)
        notifier.close()
        first, second = heard(receiver)
    assert first.startswith("STATUS=")
    assert first.isprintable()
    assert len(second.encode()) <= 4096


def test_the_variables_are_taken_out_so_that_no_child_has_them(
    environ: dict[str, str],
) -> None:
    environ |= {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": str(os.getpid())}
    Notifier.from_environment(environ).close()
    assert environ == {"KEPT": "as it is"}


@pytest.mark.parametrize("address", [None, "", "relative", "vsock:2:1234"])
async def test_where_no_manager_listens_nothing_happens(
    address: str | None, manager: socket.socket
) -> None:
    environ = {"WATCHDOG_USEC": "3000000"}
    notifier = Notifier.from_environment(
        environ if address is None else environ | {"NOTIFY_SOCKET": address}
    )
    notifier.ready()
    notifier.reloading()
    notifier.stopping()
    notifier.status("alone")
    await notifier.watchdog()
    notifier.close()
    assert heard(manager) == []


def test_a_manager_that_is_gone_is_no_error(manager: socket.socket, notifier: Notifier) -> None:
    manager.close()
    notifier.ready()


def test_a_server_without_descriptors_for_it_runs_unheard(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*kind: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(socket, "socket", exhausted)
    Notifier.from_environment(environ).ready()


def test_a_manager_that_does_not_listen_holds_nobody_up(
    manager: socket.socket, notifier: Notifier
) -> None:
    for _ in range(10_000):  # more than any queue of datagrams takes
        notifier.ready()
    assert 0 < len(heard(manager)) < 10_000
    notifier.stopping()
    assert heard(manager) == ["STOPPING=1"]


async def test_three_signs_of_life_are_given_in_the_time_that_the_manager_waits(
    environ: dict[str, str], manager: socket.socket, mock_clock: MockClock, nursery: trio.Nursery
) -> None:
    environ |= {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}
    notifier = Notifier.from_environment(environ)
    nursery.start_soon(notifier.watchdog)
    await wait_all_tasks_blocked()
    assert heard(manager) == ["WATCHDOG=1"]
    for _ in range(3):
        mock_clock.jump(9.9)
        await wait_all_tasks_blocked()
        assert heard(manager) == []
        mock_clock.jump(0.1)
        await wait_all_tasks_blocked()
        assert heard(manager) == ["WATCHDOG=1"]
    notifier.close()


async def test_without_a_process_named_the_watchdog_is_for_this_one(
    environ: dict[str, str], manager: socket.socket, nursery: trio.Nursery
) -> None:
    notifier = Notifier.from_environment(environ | {"WATCHDOG_USEC": "30000000"})
    nursery.start_soon(notifier.watchdog)
    await wait_all_tasks_blocked()
    assert heard(manager) == ["WATCHDOG=1"]
    notifier.close()


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"WATCHDOG_PID": str(os.getpid())},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": str(2**64 - 1)},
        {"WATCHDOG_USEC": "-30000000"},
        {"WATCHDOG_USEC": "often"},
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": ""},
    ],
)
async def test_nobody_gets_signs_of_life_who_did_not_ask_for_them(
    variables: dict[str, str], environ: dict[str, str], manager: socket.socket
) -> None:
    notifier = Notifier.from_environment(environ | variables)
    with trio.fail_after(20):
        await notifier.watchdog()
    notifier.close()
    assert heard(manager) == []


@given(address=TEXT, limit=NUMBERS, process=NUMBERS)
def test_no_environment_is_too_odd(address: str, limit: str, process: str) -> None:
    environ = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": limit, "WATCHDOG_PID": process}
    notifier = Notifier.from_environment(environ)
    notifier.ready()
    notifier.close()
    assert environ == {}
    assert notifier.interval is None or 0 < notifier.interval < 2**64
