"""What a frame costs, counted: system calls, and tasks that the loop runs.

Seconds depend on the machine, and this does not. The bounds are generous, and fail where a change
gives up whole reads, the direct write, or one write for all that came in a turn.
"""

import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from sopchat.console import Console
from sopchat.doors import Door
from sopchat.doors.frame import FrameDoor
from sopchat.doors.tcp import SocketConnection, open_listeners
from sopchat.limits import Limits
from sopchat.server import Server
from tests.support.frames import FRAME, cut, frame, frames


class Steps(trio.abc.Instrument):
    """Counts how often the loop runs a task, by the task's function."""

    def __init__(self, counted: Counter[str]) -> None:
        self._counted = counted

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._counted[task.name.rpartition(".")[2]] += 1


@attrs.define
class House:
    """A server with members, whose far sides are plain sockets in this thread.

    What one of them sends is there before the server runs again: nothing depends on timing.
    """

    counted: Counter[str]
    members: list[socket.socket]

    async def deliver(self, frames: int) -> list[bytes]:
        """Let the server run until so many frames have come; what came for each member."""
        received = [b""] * len(self.members)
        with trio.fail_after(30):
            while sum(map(len, received)) < frames * FRAME:
                await wait_all_tasks_blocked(0.001)
                received = [
                    old + everything(member)
                    for old, member in zip(received, self.members, strict=True)
                ]
        return received


def everything(member: socket.socket) -> bytes:
    pieces = []
    with contextlib.suppress(BlockingIOError):
        while piece := member.recv(2**20):
            pieces.append(piece)
    return b"".join(pieces)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """The system calls of every connection, counted."""
    counted: Counter[str] = Counter()

    def counting(name: str, call: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def count(argument: Any) -> Any:
            counted[name] += 1
            return call(argument)

        return count

    make = SocketConnection.__attrs_post_init__

    def make_counted(connection: SocketConnection) -> None:
        make(connection)
        connection.receive_now = counting("reads", connection.receive_now)
        connection.send_now = counting("writes", connection.send_now)

    send = SocketConnection.send

    async def send_counted(connection: SocketConnection, pieces: list[bytes]) -> int:
        counted["writes"] += 1
        return await send(connection, pieces)

    monkeypatch.setattr(SocketConnection, "__attrs_post_init__", make_counted)
    monkeypatch.setattr(SocketConnection, "send", send_counted)
    return counted


@contextlib.asynccontextmanager
async def a_house(counted: Counter[str], members: int) -> AsyncIterator[House]:
    (listener,) = open_listeners(0, "127.0.0.1")
    address = listener.getsockname()
    server = Server(b"key", Console(None), Limits(max_clients=members))
    house = House(counted, [])
    steps = Steps(counted)
    async with trio.open_nursery() as nursery:
        doors: dict[Door, list[socket.socket]] = {FrameDoor(): [listener]}
        nursery.start_soon(server.serve, doors)
        with contextlib.ExitStack() as stack:
            for number in range(members):
                member = stack.enter_context(socket.create_connection(address))
                member.setblocking(False)
                member.send(frame(f"m{number}", "key"))
                house.members.append(member)
            await house.deliver(members)
            trio.lowlevel.add_instrument(steps)
            counted.clear()
            yield house
            trio.lowlevel.remove_instrument(steps)
            nursery.cancel_scope.cancel()


async def test_one_frame_is_one_read_and_one_write_for_each_other_and_wakes_one_task(
    counted: Counter[str],
) -> None:
    async with a_house(counted, 4) as house:
        for number in range(50):
            said = frame("m0", str(number))
            house.members[0].send(said)
            assert await house.deliver(3) == [b"", said, said, said]
        assert (counted["reads"], counted["writes"]) == (50, 150)
        assert counted["run"] == 50


async def test_a_flood_is_read_and_written_in_large_pieces(counted: Counter[str]) -> None:
    said = b"".join(frames("m0", 2000))
    async with a_house(counted, 4) as house:
        received, sent = [b""] * 4, 0
        while sent < len(said):
            before = sent
            with contextlib.suppress(BlockingIOError):
                while sent < len(said):
                    sent += house.members[0].send(said[sent:])
            whole = sent // FRAME - before // FRAME
            came = await house.deliver(3 * whole)
            received = [old + new for old, new in zip(received, came, strict=True)]
        assert received == [b"", said, said, said]
    # One frame a call takes 1.3.
    assert 0 < (counted["reads"] + counted["writes"]) / (3 * 2000) < 0.05


async def test_what_many_say_at_once_reaches_each_of_the_others_in_few_writes(
    counted: Counter[str],
) -> None:
    members = 30
    said = [frame(f"m{number}", "all at once") for number in range(members)]
    async with a_house(counted, members) as house:
        for member, own in zip(house.members, said, strict=True):
            member.send(own)
        received = await house.deliver(members * (members - 1))
    for heard, own in zip(received, said, strict=True):
        assert sorted(cut(heard)) == sorted(set(said) - {own})
    # Each frame by itself would take members * (members - 1).
    assert members <= counted["writes"] <= 5 * members


async def test_a_member_that_keeps_up_is_one_task(counted: Counter[str]) -> None:
    living = []
    for members in (2, 22):
        async with a_house(counted, members) as house:
            house.members[0].send(frame("m0", "hello"))
            await house.deliver(members - 1)
            living.append(trio.lowlevel.current_statistics().tasks_living)
    assert living[1] - living[0] == 20


async def test_a_crowd_is_accepted_in_few_turns_of_the_loop(counted: Counter[str]) -> None:
    (listener,) = open_listeners(0, "127.0.0.1")
    server = Server(b"key", Console(None), Limits(max_clients=100))
    steps = Steps(counted)
    trio.lowlevel.add_instrument(steps)
    async with trio.open_nursery() as nursery:
        doors: dict[Door, list[socket.socket]] = {FrameDoor(): [listener]}
        nursery.start_soon(server.serve, doors)
        with contextlib.ExitStack() as stack:
            for number in range(60):
                member = stack.enter_context(socket.create_connection(listener.getsockname()))
                member.send(frame(f"m{number}", "key"))
            with trio.fail_after(30):
                while len(server.room) < 60:
                    await wait_all_tasks_blocked(0.001)
            nursery.cancel_scope.cancel()
    assert 60 / 16 < counted["accept"] < 15
    trio.lowlevel.remove_instrument(steps)
