"""The server in this process, on real sockets."""

import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs
import pytest
import trio

from sopchat.console import Console
from sopchat.doors import Door
from sopchat.doors.frame import FrameDoor
from sopchat.doors.tcp import open_listeners
from sopchat.limits import Limits
from sopchat.outbox import Outbox
from sopchat.pressure import Pressure
from sopchat.room import Member
from sopchat.server import Server
from tests.support.connection import PlayedConnection
from tests.support.frames import FRAME, cut, frame, frames
from tests.support.streams import receive

# Far beyond what anything here takes (seconds).
PATIENCE = 30


@attrs.define
class Serving:
    """A server that listens."""

    port: int
    server: Server
    scope: trio.CancelScope
    streams: list[trio.SocketStream] = attrs.field(factory=list)

    async def connect(self) -> trio.SocketStream:
        self.streams.append(await trio.open_tcp_stream("127.0.0.1", self.port))
        return self.streams[-1]

    async def join(self, name: str) -> trio.SocketStream:
        stream = await self.connect()
        await stream.send_all(frame(name, "key"))
        assert await receive(stream, 1) == [frame(name, "key")]
        return stream


@asynccontextmanager
async def serving(**limits: float) -> AsyncIterator[Serving]:
    listeners = open_listeners(0, "127.0.0.1")
    server = Server(b"key", Console(None), Limits(**limits))  # type: ignore[arg-type]
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            doors: dict[Door, list[socket.socket]] = {FrameDoor(): listeners}
            nursery.start_soon(server.serve, doors)
            house = Serving(listeners[0].getsockname()[1], server, nursery.cancel_scope)
            try:
                yield house
            finally:
                nursery.cancel_scope.cancel()
                for stream in house.streams:
                    stream.socket.close()


async def rest(stream: trio.SocketStream) -> bytes:
    """All until the connection ends, by end-of-file or a reset."""
    data = b""
    try:
        while more := await stream.receive_some():
            data += more
    except trio.BrokenResourceError:
        pass
    return data


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await trio.sleep(0.001)


async def test_it_ends_when_cancelled_and_closes_every_connection() -> None:
    async with serving() as house:
        members = [await house.join(name) for name in ("ann", "bob", "eve")]
        pending = await house.connect()
        await pending.send_all(b"half")
        house.scope.cancel()
        with trio.CancelScope(shield=True), trio.fail_after(PATIENCE):
            for stream in [*members, pending]:
                assert await rest(stream) == b""
    with pytest.raises(OSError, match="failed"):
        await house.connect()
    assert len(house.server.room) == 0


@pytest.mark.sentence("E1", "E2")
async def test_a_full_room_closes_a_new_connection_at_once_without_a_byte() -> None:
    async with serving(auth_timeout=1000) as house:
        members = [await house.join(name) for name in ("a", "b", "c", "d")]
        fifth = await house.connect()
        assert await rest(fifth) == b""
        await members[0].send_all(frame("a", "still here"))
        for other in members[1:]:
            assert await receive(other, 1) == [frame("a", "still here")]


async def test_max_clients_sets_how_many_members_there_are() -> None:
    async with serving(max_clients=6) as house:
        for number in range(6):
            await house.join(f"m{number}")
        assert await rest(await house.connect()) == b""


@pytest.mark.sentence("E5")
async def test_the_oldest_silent_connections_make_room_for_newer_ones() -> None:
    async with serving(auth_timeout=1000, max_pending=20) as house:
        silent = [await house.connect() for _ in range(30)]
        for stream in silent[:10]:
            assert await rest(stream) == b""
        await silent[10].send_all(frame("ann", "key"))
        assert await receive(silent[10], 1) == [frame("ann", "key")]


async def test_a_member_cut_as_too_slow_is_reset_and_what_it_had_sent_is_relayed() -> None:
    """While the others wait for it nothing it sends is read; it is not lost for that."""
    async with serving(stall_timeout=0.5) as house:
        sender, reader = await house.join("sender"), await house.join("reader")
        stuck = await house.join("stuck")
        received = bytearray()

        async def collect() -> None:
            while b"last words" not in received:
                received.extend(await reader.receive_some(2**20))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(collect)
            nursery.start_soon(sender.send_all, b"".join(frames("sender", 40_000)))
            await until(lambda: house.server.room.pressure.over > 0)
            await stuck.send_all(frame("stuck", "last words"))
        with pytest.raises(trio.BrokenResourceError, match="reset"):
            while await stuck.receive_some(2**20):
                pass


async def test_a_flood_that_is_costly_to_show_does_not_stop_the_others() -> None:
    """Text that must be escaped, every byte of it, beside text that must not."""
    times: dict[bytes, float] = {}
    read_end, write_end = os.pipe()
    for text in (b"x", b"\x01", b"\xff", b"\xc3"):
        console = Console(write_end)
        outbox = Outbox(PlayedConnection(), Pressure(), Limits())
        sender = Member(b"eve", "peer", FrameDoor(), outbox)
        chunk = frame("eve", text * 448) * 128
        start = time.perf_counter()
        for _ in range(80):
            console.relayed(sender, chunk)
        times[text] = time.perf_counter() - start
    os.close(read_end)
    os.close(write_end)
    assert times[b"\x01"] < 40 * times[b"x"]
    assert times[b"\xff"] < 40 * times[b"x"]
    assert times[b"\xc3"] < 40 * times[b"x"]


@pytest.mark.sentence("E3", "E6")
async def test_silent_connections_take_no_place_and_are_closed_in_time() -> None:
    async with serving(auth_timeout=0.5, max_pending=20) as house:
        silent = [await house.connect() for _ in range(30)]
        members = [await house.join(name) for name in ("a", "b", "c", "d")]
        for stream in silent:
            assert await rest(stream) == b""
        await members[0].send_all(frame("a", "hi"))
        assert await receive(members[3], 1) == [frame("a", "hi")]


@pytest.mark.parametrize("members", [2, 5])
async def test_flooding_members_all_see_one_order_and_lose_nothing(members: int) -> None:
    count = 3000
    async with serving(max_clients=members) as house:
        streams = [await house.join(f"m{number}") for number in range(members)]
        received: dict[int, list[bytes]] = {}

        async def send(number: int) -> None:
            data = b"".join(frames(f"m{number}", count))
            for start in range(0, len(data), 7777):  # not at the edges of frames
                await streams[number].send_all(data[start : start + 7777])

        async def collect(number: int) -> None:
            received[number] = await receive(streams[number], count * (members - 1))

        async with trio.open_nursery() as nursery:
            for number in range(members):
                nursery.start_soon(send, number)
                nursery.start_soon(collect, number)

        for number in range(members):
            for other in range(members):
                own = [data for data in received[number] if data.startswith(b"m%d\0" % other)]
                assert own == ([] if other == number else frames(f"m{other}", count))
        for one in range(members):
            for two in range(one):
                apart = (b"m%d\0" % one, b"m%d\0" % two)
                assert [f for f in received[one] if not f.startswith(apart)] == [
                    f for f in received[two] if not f.startswith(apart)
                ]


async def test_a_member_that_never_reads_is_cut_and_the_others_miss_nothing() -> None:
    """A flood makes the others wait for it, for the stall timeout at most."""
    count = 40_000  # 20 MB: far more than the systems' buffers and the mark
    async with serving(stall_timeout=0.5) as house:
        sender, reader = await house.join("sender"), await house.join("reader")
        stuck = await house.join("stuck")
        received = bytearray()

        async def collect() -> None:
            while len(received) < count * FRAME:
                received.extend(await reader.receive_some(2**20))

        sent = frames("sender", count)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(collect)
            await sender.send_all(b"".join(sent))
        assert cut(bytes(received)) == sent
        await until(lambda: len(house.server.room) == 2)
        await rest(stuck)


@pytest.mark.sentence("E7", "E9", "E11", "E12")
@pytest.mark.parametrize("how", ["close", "half-close", "reset"])
async def test_a_place_is_free_as_soon_as_its_member_is_gone(how: str) -> None:
    async with serving(max_clients=2) as house:
        witness = await house.join("witness")
        for round_ in range(20):
            member = await house.join("member")
            await member.send_all(frame("member", str(round_)) + b"half a frame")
            assert await receive(witness, 1) == [frame("member", str(round_))]
            if how == "reset":
                linger = (1).to_bytes(4, "little") + bytes(4)
                member.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            if how == "half-close":
                await member.send_eof()
                assert await rest(member) == b""
            else:
                await member.aclose()
            await until(lambda: len(house.server.room) == 1)


@pytest.mark.sentence("E8", "E12")
async def test_members_that_close_on_a_flood_leave_the_others_complete() -> None:
    count = 5000
    async with serving(max_clients=4) as house:
        ann, bob = await house.join("ann"), await house.join("bob")
        received: dict[str, list[bytes]] = {}

        async def collect(stream: trio.SocketStream, name: str) -> None:
            received[name] = await receive(stream, count)

        async def come_and_go() -> None:
            for round_ in range(8):
                stream = await house.join("guest")
                await stream.receive_some(1)
                if round_ % 2:
                    linger = (1).to_bytes(4, "little") + bytes(4)
                    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                await stream.aclose()
                await until(lambda: len(house.server.room) <= 3)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(collect, ann, "ann")
            nursery.start_soon(collect, bob, "bob")
            nursery.start_soon(come_and_go)
            for start in range(0, count, 50):
                await ann.send_all(b"".join(frames("ann", 50, start)))
                await bob.send_all(b"".join(frames("bob", 50, start)))
                await trio.sleep(0)
            # Frames for guests that come late.
            nursery.cancel_scope.deadline = trio.current_time() + PATIENCE
            await until(lambda: len(received) == 2)
            nursery.cancel_scope.cancel()
        assert received == {"ann": frames("bob", count), "bob": frames("ann", count)}
