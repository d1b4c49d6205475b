"""How the server ends: what is queued goes out first, but nobody holds it up for long."""

import time

import pytest
import trio

from sopchat import limits
from tests.sopchat.test_server import rest, serving
from tests.support.frames import cut, frame
from tests.support.streams import receive


async def test_what_is_queued_when_it_is_stopped_still_goes_out() -> None:
    async with serving(stall_timeout=60) as house:
        ann, bob = await house.join("ann"), await house.join("bob")
        said = [frame("ann", str(number)) for number in range(20_000)]
        (member,) = [member for member in house.server.room if member.name == b"bob"]
        with trio.CancelScope() as sending:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ann.send_all, b"".join(said))
                while not member.outbox.waiting:
                    await trio.sleep(0)
                sending.cancel()
        house.server.stop()
        heard = cut(await rest(bob))
        assert len(heard) > 1000
        assert heard == said[: len(heard)]


async def test_it_ends_at_once_where_nothing_is_queued() -> None:
    async with serving() as house:
        ann = await house.join("ann")
        silent = await house.connect()
        start = time.monotonic()
        house.server.stop()
        assert await rest(ann) == b""
        assert await rest(silent) == b""
        assert time.monotonic() - start < limits.DRAIN_TIMEOUT / 2


async def test_a_member_that_takes_nothing_delays_the_end_by_a_second_at_most() -> None:
    async with serving(stall_timeout=60) as house:
        ann, stuck = await house.join("ann"), await house.join("stuck")
        house_empty = trio.Event()

        async def flood() -> None:
            try:
                while True:
                    await ann.send_all(frame("ann", "x") * 1000)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                house_empty.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(flood)
            (member,) = [member for member in house.server.room if member.name == b"stuck"]
            while not member.outbox.waiting:
                await trio.sleep(0)
            start = time.monotonic()
            house.server.stop()
            await house_empty.wait()
            assert time.monotonic() - start < limits.DRAIN_TIMEOUT + 1
        assert len(house.server.room) == 0
        stuck.socket.close()


async def test_nobody_comes_in_any_more_while_it_stops() -> None:
    async with serving(stall_timeout=60) as house:
        ann, stuck = await house.join("ann"), await house.join("stuck")
        waiting = await house.connect()
        await waiting.send_all(frame("eve", "key")[:100])
        (member,) = [member for member in house.server.room if member.name == b"stuck"]
        with trio.move_on_after(0.2):
            await ann.send_all(frame("ann", "x") * 100_000)
        assert member.outbox.waiting
        house.server.stop()
        assert await rest(waiting) == b""
        with pytest.raises(OSError, match="failed"):
            await house.connect()
        assert len(house.server.room) == 2
        stuck.socket.close()


async def test_after_a_change_the_new_key_and_limits_hold_for_who_comes_then() -> None:
    async with serving(max_clients=2) as house:
        ann = await house.join("ann")
        early = await house.connect()
        house.server.change(b"new", limits.Limits(max_clients=3), None)
        await early.send_all(frame("eve", "key"))
        assert await rest(early) == b""
        for name in ("bob", "eve"):
            stream = await house.connect()
            await stream.send_all(frame(name, "new"))
            assert await receive(stream, 1) == [frame(name, "new")]
            await stream.send_all(frame(name, "hello"))
            assert await receive(ann, 1) == [frame(name, "hello")]
        assert await rest(await house.connect()) == b""
