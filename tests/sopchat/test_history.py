from collections.abc import Sequence

import attrs
from hypothesis import given
from hypothesis import strategies as st

from sopchat.departure import Departure, Reason
from sopchat.doors import Chunk
from sopchat.doors.frame import FrameDoor
from sopchat.doors.line import LineDoor
from sopchat.history import History
from sopchat.limits import Limits
from sopchat.outbox import Outbox
from sopchat.room import Member, Room
from tests.support.connection import PlayedConnection
from tests.support.frames import FRAME, cut, frame

FRAMES = FrameDoor()


@given(st.integers(0, 20), st.lists(st.integers(1, 30), max_size=20))
def test_it_holds_the_last_frames_in_order_however_they_came(
    limit: int, sizes: Sequence[int]
) -> None:
    history = History(limit)
    said: list[bytes] = []
    for size in sizes:
        chunk = [frame("ann", str(len(said) + number)) for number in range(size)]
        history.add(b"".join(chunk))
        said += chunk
        assert cut(history.rendered(FRAMES, 99)) == (said[-limit:] if limit else [])


def test_each_door_gets_it_as_it_is_written_there() -> None:
    history, lines = History(2), LineDoor()
    history.add(frame("ann", "1") + frame("bob", "2"))
    assert history.rendered(lines, 99) == b"ann: 1\r\nbob: 2\r\n"
    history.add(frame("eve", "3"))
    assert history.rendered(lines, 99) == b"bob: 2\r\neve: 3\r\n"


def test_those_who_join_together_share_it() -> None:
    history = History(5)
    history.add(frame("ann", "1"))
    assert history.rendered(FRAMES, 99) is history.rendered(FRAMES, 99)


def test_it_does_not_keep_much_more_than_it_gives() -> None:
    history = History(10)
    history.add(bytes(1000 * FRAME))
    for _ in range(1000):
        history.add(frame("ann", "x"))
    assert history._size <= 10 * FRAME


@attrs.define
class Heard:
    """A member, what it has heard, and what had been said when it joined."""

    member: Member
    connection: PlayedConnection
    before: int
    own: list[int] = attrs.field(factory=list)


@given(
    st.integers(1, 8),
    st.lists(st.tuples(st.sampled_from(("join", "leave", "say", "hold")), st.integers(0, 7))),
)
async def test_nothing_is_missed_and_nothing_comes_twice_between_history_and_live(
    limit: int, steps: list[tuple[str, int]]
) -> None:
    """Also where what is said is held back for others that speak in the same turn."""
    room = Room(100, history=History(limit))
    present: list[Heard] = []
    said: list[bytes] = []
    someone = object()
    for what, which in steps:
        if what == "join":
            connection = PlayedConnection()
            outbox = Outbox(connection, room.pressure, Limits())
            heard = Heard(Member(b"m", "peer", FRAMES, outbox), connection, len(said))
            room.join(heard.member)
            present.append(heard)
        elif what == "hold":
            room.turn.woken ^= {someone}  # type: ignore[arg-type]
        elif present and what == "leave":
            room.leave(present.pop(which % len(present)).member, Departure(Reason.CLOSED))
        elif present:
            speaker = present[which % len(present)]
            text = frame("m", str(len(said)))
            speaker.own.append(len(said))
            said.append(text)
            room.broadcast(speaker.member, Chunk(text, text))
    room.turn.woken.clear()
    room.settle()
    for heard in present:
        first = max(heard.before - limit, 0)
        expected = [
            text
            for number, text in enumerate(said)
            if number >= first and (number < heard.before or number not in heard.own)
        ]
        assert cut(bytes(heard.connection.taken)) == expected
    assert room.sequence == len(said)
