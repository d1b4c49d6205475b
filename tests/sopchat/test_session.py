import errno

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from sopchat.admission import Admission, key_fits
from sopchat.connection import Connection
from sopchat.console import Console
from sopchat.departure import Departure, Reason
from sopchat.doors import Chunk, Offer
from sopchat.doors.frame import FrameDoor, FrameDoorway
from sopchat.limits import READ_SIZE, Limits
from sopchat.outbox import Outbox
from sopchat.room import Member, Room
from sopchat.session import Session
from tests.support.connection import PlayedConnection
from tests.support.frames import frame

DOOR = FrameDoor()
LIMITS = Limits(outbox_mark=10_000, max_pending=2)


@attrs.define(eq=False)
class House:
    """A room and what stands around it, with a listener already in it."""

    room: Room
    admission: Admission
    listener: PlayedConnection

    def session(self, connection: Connection, door: FrameDoor | None = None) -> Session:
        return Session(
            connection,
            door or DOOR,
            self.room,
            self.admission,
            Console(None),
        )

    def start(self, nursery: trio.Nursery, connection: Connection) -> list[Departure]:
        """Let a client live; its departure stands in the list when it has ended."""
        ended: list[Departure] = []

        async def live() -> None:
            ended.append(await self.session(connection).run())

        nursery.start_soon(live)
        return ended


@pytest.fixture
def house() -> House:
    room, connection = Room(2), PlayedConnection()
    room.join(Member(b"listener", "peer", DOOR, Outbox(connection, room.pressure, LIMITS)))
    return House(room, Admission(b"key", LIMITS), connection)


@pytest.mark.sentence("A7", "A8")
@pytest.mark.parametrize(
    "offered",
    [b"", b"ke", b"keyy", b"Key", b"KEY", b" key", b"key ", b"key\n", b"1key", b"\xffkey"],
)
def test_no_near_miss_of_the_key_fits(offered: bytes) -> None:
    assert not key_fits(offered, b"key")
    assert key_fits(b"key", b"key")


@pytest.mark.sentence("A8")
def test_keys_are_not_numbers() -> None:
    assert not key_fits(b"42", b"042")
    assert not key_fits(b"42abc", b"42")
    assert not key_fits(b"4.2e1", b"42")


@pytest.mark.sentence("A7", "W3")
@given(st.binary(max_size=448), st.binary(max_size=448))
def test_a_key_fits_only_itself(one: bytes, other: bytes) -> None:
    one, other = one.replace(b"\0", b""), other.replace(b"\0", b"")
    assert key_fits(one, one)
    assert key_fits(one, other) == (one == other)


@pytest.mark.sentence("A9")
def test_keys_are_compared_in_constant_time_at_full_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared = []

    def compare_digest(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return one == other

    monkeypatch.setattr("hmac.compare_digest", compare_digest)
    key_fits(b"k", b"key")
    key_fits(b"k" * 448, b"key")
    assert compared == [(448, 448), (448, 448)]


async def test_a_member_is_welcomed_relayed_and_closed(house: House) -> None:
    connection = PlayedConnection()
    connection.say(frame("ann", "key"), frame("ann", "1") + frame("ann", "2"), b"")
    assert await house.session(connection).run() == Departure(Reason.CLOSED)
    assert connection.taken == frame("ann", "key")
    assert house.listener.taken == frame("ann", "1") + frame("ann", "2")
    assert connection.closed
    assert len(house.room) == 1


@pytest.mark.sentence("E13")
async def test_a_half_frame_at_the_end_is_dropped_and_counted(house: House) -> None:
    connection = PlayedConnection()
    connection.say(frame("ann", "key"), frame("ann", "1") + b"half", b"")
    assert await house.session(connection).run() == Departure(Reason.CLOSED, half=4)
    assert house.listener.taken == frame("ann", "1")


@pytest.mark.parametrize(
    ("said", "departure"),
    [
        ([frame("ann", "no")], Departure(Reason.WRONG_KEY)),
        ([frame("ann", "key")[:9], b""], Departure(Reason.CLOSED, half=9)),
        ([b""], Departure(Reason.CLOSED)),
        ([OSError(errno.ECONNRESET, "reset")], Departure(Reason.RESET)),
        (
            [frame("ann", "key")[:9], OSError(errno.ECONNRESET, "reset")],
            Departure(Reason.RESET, half=9),
        ),
        ([frame("ann", "key"), OSError(errno.ECONNRESET, "reset")], Departure(Reason.RESET)),
        (
            [frame("ann", "key"), OSError(errno.ETIMEDOUT, "timed out")],
            Departure(Reason.LOST, "timed out"),
        ),
    ],
)
async def test_every_end_has_its_reason_and_closes_the_connection(
    house: House, said: list[bytes | OSError], departure: Departure
) -> None:
    connection = PlayedConnection()
    connection.say(*said)
    assert await house.session(connection).run() == departure
    assert connection.closed
    assert len(house.room) == 1
    assert len(house.admission.pending) == 0


@pytest.mark.sentence("E2")
async def test_who_authenticates_when_the_room_is_full_gets_no_byte(house: House) -> None:
    other = PlayedConnection()
    house.room.join(Member(b"second", "peer", DOOR, Outbox(other, house.room.pressure, LIMITS)))
    connection = PlayedConnection()
    connection.say(frame("ann", "key"))
    assert await house.session(connection).run() == Departure(Reason.ROOM_FULL)
    assert connection.taken == b""


@pytest.mark.sentence("E6")
async def test_who_is_silent_or_half_done_at_the_deadline_is_closed(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    connection = PlayedConnection()
    connection.say(b"half")
    start = trio.current_time()
    departure = await house.session(connection).run()
    assert departure == Departure(Reason.AUTH_DEADLINE, half=4)
    assert trio.current_time() - start == pytest.approx(LIMITS.auth_timeout)
    assert connection.closed


@pytest.mark.sentence("E5")
async def test_too_many_silent_connections_push_out_only_the_oldest(
    house: House, nursery: trio.Nursery
) -> None:
    ended: dict[int, Departure] = {}
    connections = [PlayedConnection() for _ in range(3)]

    async def live(number: int) -> None:
        ended[number] = await house.session(connections[number]).run()

    for number in range(3):
        nursery.start_soon(live, number)
        await wait_all_tasks_blocked()
    assert ended == {0: Departure(Reason.CROWDED_OUT)}
    assert connections[0].closed
    connections[2].say(frame("ann", "key"))
    await wait_all_tasks_blocked()
    assert connections[2].taken == frame("ann", "key")
    nursery.cancel_scope.cancel()


@pytest.mark.sentence("E8")
async def test_a_broken_write_ends_the_member_though_it_reads_nothing(
    house: House, nursery: trio.Nursery
) -> None:
    connection = PlayedConnection()
    connection.say(frame("ann", "key"))
    ended = house.start(nursery, connection)
    await wait_all_tasks_blocked()
    connection.error = OSError(errno.EPIPE, "Broken pipe")
    (other, *_) = house.room
    house.room.broadcast(other, Chunk(frame("listener", "hello"), frame("listener", "hello")))
    await wait_all_tasks_blocked()
    assert ended == [Departure(Reason.BROKEN_PIPE)]
    assert len(house.room) == 1


@pytest.mark.parametrize("pressed", [False, True])
async def test_what_a_member_had_sent_before_its_connection_broke_is_relayed(
    house: House, nursery: trio.Nursery, pressed: bool
) -> None:
    """Unless the room is under pressure: then it is dropped, and the departure says so."""
    connection = PlayedConnection()
    connection.say(frame("ann", "key"))
    ended = house.start(nursery, connection)
    await wait_all_tasks_blocked()
    if pressed:
        house.room.pressure.rise()
    # The last frames are there, and the writer meets the error before the reader wakes.
    connection.incoming.extend([frame("ann", "last"), OSError(errno.ECONNRESET, "reset")])
    connection.error = OSError(errno.ECONNRESET, "Connection reset by peer")
    (other, *_) = house.room
    house.room.broadcast(other, Chunk(frame("listener", "hello"), frame("listener", "hello")))
    await wait_all_tasks_blocked()
    detail = "the last it sent was dropped" if pressed else ""
    assert ended == [Departure(Reason.RESET, detail)]
    assert house.listener.taken == (b"" if pressed else frame("ann", "last"))


async def test_others_have_their_turn_while_the_last_of_a_member_is_relayed(
    house: House, nursery: trio.Nursery
) -> None:
    connection = PlayedConnection()
    connection.say(frame("ann", "key"))
    ended = house.start(nursery, connection)
    await wait_all_tasks_blocked()
    connection.incoming.extend([frame("ann", str(number)) for number in range(50)])
    connection.incoming.append(OSError(errno.ECONNRESET, "reset"))
    connection.error = OSError(errno.EPIPE, "Broken pipe")
    (other, *_) = house.room
    house.room.broadcast(other, Chunk(frame("listener", "hello"), frame("listener", "hello")))
    relayed = set()
    while not ended:
        relayed.add(len(house.listener.taken))
        await trio.lowlevel.checkpoint()
    assert len(relayed) > 10
    assert house.listener.taken == b"".join(frame("ann", str(number)) for number in range(50))
    assert ended == [Departure(Reason.BROKEN_PIPE)]


async def test_a_reader_that_finds_pressure_again_is_not_waited_for_by_the_room(
    house: House, nursery: trio.Nursery
) -> None:
    trio.lowlevel.add_instrument(house.room.turn)
    connection, pressure = PlayedConnection(), house.room.pressure
    connection.say(frame("ann", "key"))
    nursery.start_soon(house.session(connection).run)
    await wait_all_tasks_blocked()
    pressure.rise()
    connection.say(frame("ann", "waits"))
    await wait_all_tasks_blocked()
    pressure.fall()
    pressure.rise()
    await wait_all_tasks_blocked()
    (other, *_) = house.room
    house.room.broadcast(other, Chunk(frame("listener", "hello"), frame("listener", "hello")))
    assert connection.taken == frame("ann", "key") + frame("listener", "hello")
    assert house.listener.taken == b""
    pressure.fall()
    await wait_all_tasks_blocked()
    assert house.listener.taken == frame("ann", "waits")
    trio.lowlevel.remove_instrument(house.room.turn)
    nursery.cancel_scope.cancel()


async def test_who_leaves_in_the_turn_in_which_it_gets_too_much_leaves_no_pressure(
    house: House, nursery: trio.Nursery
) -> None:
    connection = PlayedConnection()
    connection.say(frame("ann", "key"))
    ended = house.start(nursery, connection)
    await wait_all_tasks_blocked()
    house.room.turn.woken.add(trio.lowlevel.current_task())
    (other, *_) = house.room
    house.room.broadcast(other, Chunk(*[frame("listener", "held back") * 100] * 2))
    connection.window = 0
    connection.say(b"")
    await wait_all_tasks_blocked()
    assert ended == [Departure(Reason.CLOSED)]
    assert house.room.pressure.over == 0


async def test_reads_grow_while_they_are_full_and_are_small_again_after_a_small_one(
    house: House, nursery: trio.Nursery
) -> None:
    asked: list[int] = []

    class Asked(PlayedConnection):
        def receive_now(self, most: int) -> bytes:
            asked.append(most)
            return super().receive_now(most)

    connection = Asked()
    connection.say(frame("ann", "key"))
    nursery.start_soon(house.session(connection).run)
    await wait_all_tasks_blocked()
    asked.clear()
    connection.say(frame("ann", "much") * 8192)
    await wait_all_tasks_blocked()
    assert asked[:6] == [READ_SIZE << doubled for doubled in (0, 1, 2, 3, 4, 4)]
    connection.say(frame("ann", "little"))
    await wait_all_tasks_blocked()
    connection.say(frame("ann", "little"))
    await wait_all_tasks_blocked()
    assert asked[-1] == READ_SIZE
    assert len(house.listener.taken) == 8194 * 512
    nursery.cancel_scope.cancel()


async def test_a_reader_waits_while_a_member_cannot_keep_up(
    house: House, nursery: trio.Nursery
) -> None:
    connection = PlayedConnection()
    connection.say(frame("ann", "key"))
    nursery.start_soon(house.session(connection).run)
    await wait_all_tasks_blocked()
    house.room.pressure.rise()
    connection.say(frame("ann", "1"), frame("ann", "2"))
    await wait_all_tasks_blocked()
    assert house.listener.taken == b""
    house.room.pressure.fall()
    await wait_all_tasks_blocked()
    assert house.listener.taken == frame("ann", "1") + frame("ann", "2")
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("member", [False, True])
async def test_a_cancelled_session_says_that_the_server_stops_and_closes(
    house: House, nursery: trio.Nursery, member: bool
) -> None:
    departures: list[Departure] = []

    @attrs.define
    class Witness:
        def joined(self, room: Room, member: Member) -> None:
            pass

        def relayed(self, member: Member, frames: bytes) -> None:
            pass

        def left(self, room: Room, member: Member, departure: Departure) -> None:
            departures.append(departure)

    house.room.watchers = [Witness()]
    connection = PlayedConnection()
    if member:
        connection.say(frame("ann", "key"), b"xyz")
    nursery.start_soon(house.session(connection).run)
    await wait_all_tasks_blocked()
    nursery.cancel_scope.cancel()
    with trio.CancelScope(shield=True):
        await wait_all_tasks_blocked()
    assert connection.closed
    assert departures == ([Departure(Reason.STOPPING, half=3)] if member else [])


class FaultyDoorway(FrameDoorway):
    """A doorway with a defect in it."""

    async def receive_offer(self, connection: Connection) -> Offer | None:
        raise ZeroDivisionError("a defect")


class FaultyDoor(FrameDoor):
    def enter(self) -> FrameDoorway:
        return FaultyDoorway()


async def test_a_defect_costs_one_connection_and_not_the_room(house: House) -> None:
    connection = PlayedConnection()
    departure = await house.session(connection, FaultyDoor()).run()
    assert departure == Departure(Reason.FAULT, "ZeroDivisionError('a defect')")
    assert connection.closed
