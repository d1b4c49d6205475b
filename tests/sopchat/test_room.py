import tracemalloc
from collections.abc import Callable

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import wait_all_tasks_blocked

from sopchat.departure import Departure, Reason
from sopchat.doors import Chunk
from sopchat.doors.frame import FrameDoor
from sopchat.doors.line import LineDoor
from sopchat.limits import MOST_READ_SIZE, READ_SIZE, RELAY_SIZE, SHOWN_READ_SIZE, Limits
from sopchat.outbox import Outbox
from sopchat.room import Member, Room
from tests.support.connection import PlayedConnection
from tests.support.frames import cut, frame

DOOR = FrameDoor()


def said(frames: bytes) -> Chunk:
    """A chunk as a frame client sends it."""
    return Chunk(frames, frames)


@attrs.define
class Witness:
    """A watcher that writes down what it sees."""

    seen: list[tuple[str, bytes]] = attrs.field(factory=list)

    def joined(self, room: Room, member: Member) -> None:
        self.seen.append((f"joined {len(room)}", member.name))

    def relayed(self, member: Member, frames: bytes) -> None:
        self.seen.append(("relayed", frames))

    def left(self, room: Room, member: Member, departure: Departure) -> None:
        self.seen.append((f"left {len(room)} {departure.reason.name}", member.name))


def a_member(room: Room, name: bytes, window: int = 2**60) -> tuple[Member, PlayedConnection]:
    connection = PlayedConnection(window)
    return Member(name, "peer", DOOR, Outbox(connection, room.pressure, Limits())), connection


async def test_a_frame_reaches_every_other_member_and_not_its_sender() -> None:
    room = Room(4)
    members = [a_member(room, name) for name in (b"ann", b"bob", b"eve")]
    for member, _ in members:
        room.join(member)
    room.broadcast(members[1][0], said(frame("bob", "hi")))
    assert [bytes(connection.taken) for _, connection in members] == [
        frame("bob", "hi"),
        b"",
        frame("bob", "hi"),
    ]


async def test_a_place_is_free_again_when_its_member_has_left() -> None:
    room = Room(2)
    ann, ann_connection = a_member(room, b"ann")
    bob, _ = a_member(room, b"bob")
    room.join(ann)
    assert not room.full
    room.join(bob)
    assert room.full
    room.leave(ann, Departure(Reason.CLOSED))
    assert not room.full
    assert len(room) == 1
    room.broadcast(bob, said(frame("bob", "anybody?")))
    assert ann_connection.taken == b""


async def test_watchers_see_everything_in_the_order_in_which_it_happens() -> None:
    witness = Witness()
    room = Room(4, watchers=[witness])
    ann, _ = a_member(room, b"ann")
    room.join(ann)
    room.broadcast(ann, said(frame("ann", "1")))
    room.leave(ann, Departure(Reason.RESET))
    assert witness.seen == [
        ("joined 1", b"ann"),
        ("relayed", frame("ann", "1")),
        ("left 0 RESET", b"ann"),
    ]


async def test_what_comes_in_one_turn_goes_to_each_of_the_others_with_one_write() -> None:
    room = Room(4)
    members = [a_member(room, name) for name in (b"ann", b"bob", b"eve")]
    for member, _ in members:
        room.join(member)
    room.turn.woken.add(trio.lowlevel.current_task())
    room.broadcast(members[0][0], said(frame("ann", "1")))
    room.settle()
    room.broadcast(members[1][0], said(frame("bob", "2")))
    room.broadcast(members[0][0], said(frame("ann", "3")))
    assert [connection.writes for _, connection in members] == [0, 0, 0]
    room.turn.woken.clear()
    room.settle()
    assert [connection.writes for _, connection in members] == [1, 1, 1]
    assert [bytes(connection.taken) for _, connection in members] == [
        frame("bob", "2"),
        frame("ann", "1") + frame("ann", "3"),
        frame("ann", "1") + frame("bob", "2") + frame("ann", "3"),
    ]


async def test_who_joins_or_leaves_finds_nothing_held_back() -> None:
    room = Room(4)
    (ann, _), (bob, bob_connection), (eve, eve_connection) = (
        a_member(room, name) for name in (b"ann", b"bob", b"eve")
    )
    room.join(ann)
    room.join(bob)
    room.turn.woken.add(trio.lowlevel.current_task())
    room.broadcast(ann, said(frame("ann", "before eve")))
    room.join(eve)
    assert bob_connection.taken == frame("ann", "before eve")
    room.broadcast(ann, said(frame("ann", "after")))
    room.leave(ann, Departure(Reason.CLOSED))
    assert eve_connection.taken == frame("ann", "after")


async def test_what_is_held_back_reaches_every_door_as_it_is_written_there() -> None:
    room = Room(4)
    (ann, _), (bob, _) = a_member(room, b"ann"), a_member(room, b"bob")
    connections = PlayedConnection(), PlayedConnection()
    door = LineDoor()
    lines = [
        Member(name, "peer", door, Outbox(connection, room.pressure, Limits()))
        for name, connection in zip((b"lin", b"lou"), connections, strict=True)
    ]
    for member in (ann, bob, *lines):
        room.join(member)
    room.turn.woken.add(trio.lowlevel.current_task())
    room.broadcast(ann, said(frame("ann", "1")))
    room.broadcast(lines[0], Chunk(frame("lin", "2"), b"2\n"))
    room.broadcast(bob, said(frame("bob", "3")))
    room.turn.woken.clear()
    room.settle()
    assert connections[0].taken == b"ann: 1\r\nbob: 3\r\n"
    assert connections[1].taken == b"ann: 1\r\n2\nbob: 3\r\n"


async def test_a_door_that_fails_to_render_fails_for_the_sender_and_not_for_who_settles() -> None:
    class BadDoor(FrameDoor):
        def render(self, frames: bytes, first: int) -> bytes:
            raise RuntimeError("a defect")

    room = Room(4)
    (ann, _), (bob, _) = a_member(room, b"ann"), a_member(room, b"bob")
    bob.door = BadDoor()
    room.join(ann)
    room.join(bob)
    room.turn.woken.add(trio.lowlevel.current_task())
    with pytest.raises(RuntimeError, match="a defect"):
        room.broadcast(ann, said(frame("ann", "1")))
    room.turn.woken.clear()
    room.settle()


async def test_a_crowd_that_speaks_at_once_costs_each_member_few_writes() -> None:
    room = Room(300)
    members = [a_member(room, b"m%d" % number) for number in range(300)]
    for member, _ in members:
        room.join(member)
    room.turn.woken.add(trio.lowlevel.current_task())
    for member, _ in members:
        room.broadcast(member, said(frame(member.name, "all at once")))
    room.turn.woken.clear()
    room.settle()
    for _, connection in members:
        assert len(cut(bytes(connection.taken))) == 299
        assert connection.writes <= 3


async def test_what_waits_for_those_who_all_speak_at_once_is_shared() -> None:
    room = Room(50)
    members = [a_member(room, b"m%d" % number, window=0) for number in range(50)]
    for member, _ in members:
        room.join(member)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(40):
        room.turn.woken.add(trio.lowlevel.current_task())
        for member, _ in members:
            room.broadcast(member, said(frame(member.name, "nobody reads")))
        room.turn.woken.clear()
        room.settle()
    kept = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert members[0][0].outbox.waiting > 40 * 49 * 500
    # Of its own each member has what it was joined first, and its list of what is shared.
    assert kept < 50 * (50 * 512) * 2 + 40 * 50 * (512 + 50 * 16) * 2


async def test_more_than_is_worth_a_copy_is_not_held_back() -> None:
    room = Room(4)
    (ann, _), (bob, connection) = a_member(room, b"ann"), a_member(room, b"bob")
    room.join(ann)
    room.join(bob)
    room.turn.woken.add(trio.lowlevel.current_task())
    room.broadcast(ann, said(frame("ann", "small")))
    room.broadcast(ann, said(frame("ann", "large") * 129))
    assert connection.taken == frame("ann", "small") + frame("ann", "large") * 129
    assert connection.writes == 2


async def test_reads_grow_while_what_they_make_the_room_write_is_bounded() -> None:
    room = Room(200)
    for number in range(200):
        room.join(a_member(room, b"m%d" % number)[0])
        size = READ_SIZE
        for _ in range(20):
            size = room.larger(size)
            assert size % READ_SIZE == 0
            assert size == READ_SIZE or size * len(room) <= RELAY_SIZE
            assert size <= MOST_READ_SIZE
        assert size > READ_SIZE


@pytest.mark.parametrize("doors", [1, 2])
async def test_reads_grow_less_where_text_is_formatted(doors: int) -> None:
    room = Room(4, shown=doors == 1)
    for number in range(2):
        member, _ = a_member(room, b"m%d" % number)
        if doors == 2 and number == 1:
            member.door = LineDoor()
        room.join(member)
    size = READ_SIZE
    for _ in range(20):
        size = room.larger(size)
    assert size == SHOWN_READ_SIZE


@attrs.define(eq=False)
class Present:
    """A member of the play, with what it must have received."""

    member: Member
    connection: PlayedConnection
    expected: list[bytes] = attrs.field(factory=list)


steps = st.lists(
    st.tuples(
        st.sampled_from(["join", "leave", "send", "send", "send", "open", "wake", "settle"]),
        st.integers(0, 5),
        st.integers(1, 1500),
    ),
    max_size=60,
)


@given(steps)
async def test_every_member_present_gets_every_frame_of_the_others_once_and_in_one_order(
    steps: list[tuple[str, int, int]],
) -> None:
    """Whatever joins, leaves and sends happen, in however many turns of the loop.

    And however much each connection takes at a time.
    """
    room = Room(100)
    present: list[Present] = []
    gone: list[Present] = []
    order: list[bytes] = []

    async with trio.open_nursery() as nursery:

        def join(who: int, size: int) -> None:
            member, connection = a_member(room, b"m%d" % who, window=size)
            room.join(member)
            present.append(Present(member, connection))
            nursery.start_soon(member.outbox.run)

        def leave(who: int, size: int) -> None:
            left = present.pop(who % len(present))
            room.leave(left.member, Departure(Reason.CLOSED))
            gone.append(left)

        def send(who: int, size: int) -> None:
            sender = present[who % len(present)]
            chunk = b"".join(
                frame(sender.member.name, f"{len(order)} {number}")
                for number in range(1 + size % 3)
            )
            order.extend(cut(chunk))
            room.broadcast(sender.member, said(chunk))
            for other in present:
                if other is not sender:
                    other.expected.extend(cut(chunk))

        def open_window(who: int, size: int) -> None:
            present[who % len(present)].connection.open_window(size)

        def wake(who: int, size: int) -> None:
            room.turn.woken.add(trio.lowlevel.current_task())

        def settle(who: int = 0, size: int = 0) -> None:
            room.turn.woken.clear()
            room.settle()

        acts: dict[str, Callable[[int, int], None]] = {
            "join": join,
            "leave": leave,
            "send": send,
            "open": open_window,
            "wake": wake,
            "settle": settle,
        }
        for act, who, size in steps:
            if present or act == "join":
                acts[act](who, size)
                if size % 2:
                    await wait_all_tasks_blocked()
        settle()
        for each in present:
            each.connection.open_window()
        await wait_all_tasks_blocked()
        for each in present:
            assert cut(bytes(each.connection.taken)) == each.expected
        for each in gone:
            assert b"".join(each.expected).startswith(each.connection.taken)
        for each in present + gone:
            places = [order.index(data) for data in each.expected]
            assert places == sorted(places)
        nursery.cancel_scope.cancel()
