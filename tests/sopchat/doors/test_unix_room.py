"""The whole room behind a Unix-domain socket."""

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from sopchat.console import Console
from sopchat.departure import Departure, Reason
from sopchat.doors import Door
from sopchat.doors.frame import FrameDoor
from sopchat.doors.unix import open_unix_listener
from sopchat.limits import Limits
from sopchat.room import Member, Room
from sopchat.server import Server
from tests.support.frames import FRAME, frame, frames

STALL = Limits().stall_timeout


class Keeping(Console):
    """A console that keeps who left, and why."""

    departures: dict[bytes, Reason]

    def left(self, room: Room, member: Member, departure: Departure) -> None:
        self.departures[member.name] = departure.reason


class House:
    """A server that listens at a path."""

    scope: trio.CancelScope

    def __init__(self, path: Path) -> None:
        self.path = path
        self.console = Keeping(None)
        self.console.departures = {}
        self.server = Server(b"key", self.console)
        self.listener = open_unix_listener(path)
        self.streams: list[trio.SocketStream] = []

    async def join(self, name: str) -> trio.SocketStream:
        stream = await trio.open_unix_socket(self.path)
        self.streams.append(stream)
        await stream.send_all(frame(name, "key"))
        assert await receive(stream, FRAME) == frame(name, "key")
        return stream


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "room"


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[House]:
    house = House(path)
    doors: dict[Door, list[socket.socket]] = {FrameDoor(): [house.listener]}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(house.server.serve, doors)
        house.scope = nursery.cancel_scope
        try:
            yield house
        finally:
            nursery.cancel_scope.cancel()
            for stream in house.streams:
                stream.socket.close()


async def receive(stream: trio.SocketStream, size: int) -> bytes:
    data = bytearray()
    while len(data) < size and (more := await stream.receive_some(size - len(data))):
        data += more
    return bytes(data)


async def flooded(house: House) -> tuple[trio.SocketStream, bytes]:
    """A member for whom 1 MiB waits, less than stops anybody; and that."""
    slow, ann = await house.join("slow"), await house.join("ann")
    said = b"".join(frames("ann", 2048))
    await ann.send_all(said)
    await wait_all_tasks_blocked(0.01)
    return slow, said


async def pass_time(mock_clock: MockClock, seconds: float) -> None:
    """In such steps that whoever looks at something from time to time does."""
    for _ in range(round(seconds / STALL * 10)):
        mock_clock.jump(STALL / 10)
        await wait_all_tasks_blocked(0.005)


async def test_members_hear_each_other_and_are_known_by_user_and_process(path: Path) -> None:
    async with serving(path) as house:
        ann, bob = await house.join("ann"), await house.join("bob")
        said = b"".join(frames("ann", 1000))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ann.send_all, said)
            assert await receive(bob, len(said)) == said
        peer = f"unix:uid {os.getuid()}, pid {os.getpid()}"
        assert list(house.server.roster()) == [(b"ann", peer), (b"bob", peer)]


async def test_when_the_server_ends_so_do_its_connections_and_its_file(path: Path) -> None:
    async with serving(path) as house:
        ann = await house.join("ann")
        house.scope.cancel()
        with trio.CancelScope(shield=True):
            assert await receive(ann, 1) == b""
    assert not await trio.Path(path).exists()
    async with serving(path) as house:
        await house.join("ann")


async def test_who_takes_nothing_is_too_slow(path: Path, mock_clock: MockClock) -> None:
    async with serving(path) as house:
        slow, said = await flooded(house)
        await pass_time(mock_clock, 0.8 * STALL)
        assert house.console.departures == {}
        await pass_time(mock_clock, 0.5 * STALL)
        assert house.console.departures == {b"slow": Reason.TOO_SLOW}
        # There is no reset: what its own socket holds is still to be had, and then the end.
        taken = await receive(slow, len(said))
        assert said.startswith(taken)
        assert 0 < len(taken) < len(said)


async def test_who_takes_little_at_a_time_stays(path: Path, mock_clock: MockClock) -> None:
    """Seen by the memory of what it has not read: the socket itself is not writable for longer."""
    async with serving(path) as house:
        slow, said = await flooded(house)
        taken = b""
        while len(taken) < len(said) // 2:
            taken += (little := await slow.receive_some(48 * 1024))
            assert little, house.console.departures
            await pass_time(mock_clock, 0.4 * STALL)
        assert house.console.departures == {}
        assert taken + await receive(slow, len(said) - len(taken)) == said


async def test_who_leaves_with_words_unread_is_a_reset(path: Path) -> None:
    async with serving(path) as house:
        rude, ann = await house.join("rude"), await house.join("ann")
        await ann.send_all(frame("ann", "hello"))
        await rude.socket.recv(1, socket.MSG_PEEK)
        await rude.aclose()
        await wait_all_tasks_blocked(0.01)
        assert house.console.departures == {b"rude": Reason.RESET}
