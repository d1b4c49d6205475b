"""What limits do to a session: slowed down, answered late, refused."""

import attrs
import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from sopchat import limits
from sopchat.admission import Admission
from sopchat.console import Console
from sopchat.departure import Departure, Reason
from sopchat.doors import Door
from sopchat.doors.frame import FrameDoor
from sopchat.doors.line import LineDoor
from sopchat.limits import Limits
from sopchat.outbox import Outbox
from sopchat.rate import Rate
from sopchat.room import Member, Room
from sopchat.session import Session
from tests.support.connection import PlayedConnection
from tests.support.frames import cut, frame

FRAMES, LINES = FrameDoor(), LineDoor()


@attrs.define(eq=False)
class House:
    """A room in which somebody listens, and what one client does in it."""

    limits: Limits
    room: Room = attrs.field(factory=lambda: Room(10))
    listener: PlayedConnection = attrs.field(factory=PlayedConnection)
    slowed: list[str] = attrs.field(factory=list)
    admission: Admission = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.admission = Admission(b"key", self.limits)
        outbox = Outbox(self.listener, self.room.pressure, self.limits)
        self.room.join(Member(b"listener", "peer", FRAMES, outbox))

    async def live(self, connection: PlayedConnection, door: Door = FRAMES) -> Departure:
        slowed = self.slowed

        class Witness(Console):
            def slowed(self, member: Member, rate: Rate) -> None:
                slowed.append(f"{member.name.decode()}: {rate}")

        session = Session(connection, door, self.room, self.admission, Witness(None))
        return await session.run()


def saying(*texts: str) -> PlayedConnection:
    """A client that authenticates and says each text by itself, then leaves."""
    connection = PlayedConnection()
    connection.say(frame("ann", "key"), *(frame("ann", text) for text in texts), b"")
    return connection


async def test_who_says_more_than_its_rate_is_read_more_slowly_and_loses_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    house = House(Limits(rate=10, burst=20))
    texts = [str(number) for number in range(100)]
    start = trio.current_time()
    assert await house.live(saying(*texts)) == Departure(Reason.CLOSED)
    assert trio.current_time() - start == pytest.approx((100 - 20) / 10, abs=0.2)
    assert cut(bytes(house.listener.taken)) == [frame("ann", text) for text in texts]
    assert house.slowed == ["ann: 10 messages a second"]


async def test_a_paste_within_the_burst_goes_through_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    house = House(Limits(rate=10))
    start = trio.current_time()
    await house.live(saying(*map(str, range(40))))
    assert trio.current_time() == start
    assert house.slowed == []


async def test_one_read_takes_no_more_than_may_be_said_at_once(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    house = House(Limits(rate=1, burst=5))
    connection = PlayedConnection()
    connection.say(frame("ann", "key"), b"".join(frame("ann", str(n)) for n in range(50)))
    nursery.start_soon(house.live, connection)
    await trio.sleep(0.5)
    assert len(cut(bytes(house.listener.taken))) <= 10
    await trio.sleep(50)
    assert len(cut(bytes(house.listener.taken))) == 50
    nursery.cancel_scope.cancel()


async def test_where_the_protocol_has_words_the_member_is_told_once_until_it_has_rested(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    house = House(Limits(rate=10, burst=10))
    connection = PlayedConnection()
    connection.say(b"lin\nkey\n")
    nursery.start_soon(house.live, connection, LINES)
    for _ in range(2):
        connection.say(*[b"x\n"] * 30)
        await trio.sleep(20)
    told = b"You are slowed down: 10 messages a second are let through.\r\n"
    assert bytes(connection.taken).count(told) == 2
    assert len(house.slowed) == 2
    nursery.cancel_scope.cancel()


async def test_who_is_slowed_down_holds_up_nobody_else(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    """What the others say in the same turn is not held back for it."""
    house = House(Limits(rate=1, burst=1))
    fast, slow = PlayedConnection(), PlayedConnection()
    trio.lowlevel.add_instrument(house.room.turn)
    for connection, name in ((slow, "slow"), (fast, "fast")):
        connection.say(frame(name, "key"))
        nursery.start_soon(house.live, connection)
    await wait_all_tasks_blocked()
    slow.say(*[frame("slow", "x")] * 10)
    await trio.sleep(0.1)
    del house.listener.taken[:]
    fast.say(frame("fast", "hello"))
    await trio.sleep(0.1)
    assert frame("fast", "hello") in cut(bytes(house.listener.taken))
    trio.lowlevel.remove_instrument(house.room.turn)
    nursery.cancel_scope.cancel()


async def test_after_many_wrong_keys_no_answer_comes_at_once_and_none_tells_which_it_will_be(
    autojump_clock: trio.testing.MockClock,
) -> None:
    house = House(Limits(max_wrong_keys=100))
    for number in range(12):
        connection = PlayedConnection()
        connection.say(frame("eve", "guess"))
        start = trio.current_time()
        assert await house.live(connection) == Departure(Reason.WRONG_KEY)
        late = trio.current_time() - start
        expected = 0 if number < limits.WRONG_KEYS_FREE else 0.25 * 2 ** (number - 10)
        assert late == pytest.approx(expected)
    start = trio.current_time()
    assert await house.live(saying("hello")) == Departure(Reason.CLOSED)
    assert trio.current_time() - start == pytest.approx(1)
    start = trio.current_time()
    assert await house.live(saying("hello")) == Departure(Reason.CLOSED)
    assert trio.current_time() == start


async def test_connections_opened_beforehand_are_no_way_around_the_refusal(
    autojump_clock: trio.testing.MockClock,
) -> None:
    house = House(Limits(max_wrong_keys=3))
    departures = []
    connections = [PlayedConnection() for _ in range(8)]
    async with trio.open_nursery() as nursery:

        async def live(connection: PlayedConnection) -> None:
            departures.append((await house.live(connection)).reason)

        for connection in connections:
            nursery.start_soon(live, connection)
        await wait_all_tasks_blocked()
        for connection in connections:
            connection.say(frame("eve", "guess"))
    assert departures.count(Reason.WRONG_KEY) == 3
    assert departures.count(Reason.REFUSED) == 5


async def test_who_waits_for_its_answer_takes_one_of_the_places_of_those_without_a_key(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    house = House(Limits(max_wrong_keys=100, max_pending=1))
    for _ in range(limits.WRONG_KEYS_FREE):
        house.admission.addresses.wrong_key(PlayedConnection.address)
    guesser, other = PlayedConnection(), PlayedConnection()
    guesser.say(frame("eve", "guess"))
    nursery.start_soon(house.live, guesser)
    await trio.sleep(0.1)
    assert len(house.admission.pending) == 1
    nursery.start_soon(house.live, other)
    await trio.sleep(0.01)
    assert guesser.closed
    assert len(house.admission.pending) == 1
    nursery.cancel_scope.cancel()


async def test_one_read_at_the_line_door_is_no_more_than_may_be_said_at_once(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    """A line may be a single byte, and a frame each."""
    house = House(Limits(rate=1, burst=5))
    connection = PlayedConnection()
    connection.say(b"lin\nkey\n")
    nursery.start_soon(house.live, connection, LINES)
    await trio.sleep(0.1)
    connection.say(b"\n" * 4096)
    await trio.sleep(0.5)
    assert len(cut(bytes(house.listener.taken))) <= 10
    nursery.cancel_scope.cancel()
