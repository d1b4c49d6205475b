import pytest

from sopchat.departure import Departure, Reason
from sopchat.doors import BadOffer, Chunk
from sopchat.doors.talk import TalkDoor
from tests.support.connection import PlayedConnection
from tests.support.frames import frame


def a_door(*, keyed: bool = True) -> TalkDoor:
    return TalkDoor(lambda: [(b"ann", "192.0.2.1:5000")], keyed=keyed)


@pytest.mark.parametrize(
    ("said", "name"),
    [(b"key", b"<unknown>"), (b"ann says: key\n", b"ann"), (b"key\r\n", b"<unknown>")],
)
async def test_the_first_message_carries_the_key_behind_the_greeting(
    said: bytes, name: bytes
) -> None:
    connection = PlayedConnection()
    connection.say(said)
    offer = await a_door().enter().receive_offer(connection)
    assert offer is not None
    assert (offer.name, offer.key, offer.welcome) == (name, b"key", b"")
    assert connection.taken == b"Thank you for connecting"


async def test_without_a_key_the_greeting_is_the_welcome() -> None:
    connection = PlayedConnection()
    offer = await a_door(keyed=False).enter().receive_offer(connection)
    assert offer is not None
    assert (offer.name, offer.welcome) == (b"<unknown>", b"Thank you for connecting")


async def test_a_client_that_leaves_or_cannot_mean_a_key_offers_nothing() -> None:
    connection = PlayedConnection()
    connection.say(b"")
    assert await a_door().enter().receive_offer(connection) is None
    connection.say(b"k" * 449)
    with pytest.raises(BadOffer, match="449"):
        await a_door().enter().receive_offer(connection)


def test_a_message_becomes_frames_a_line_each_and_the_name_is_remembered() -> None:
    doorway = a_door().enter()
    assert doorway.feed(b"") is None
    assert doorway.feed(b"hi") == Chunk(frame("<unknown>", "hi"), b"hi")
    assert doorway.feed(b"ann says: one\ntwo\n") == Chunk(
        frame("ann", "one") + frame("ann", "two"), b"ann says: one\ntwo\n"
    )
    assert doorway.name == b"ann"
    assert doorway.feed(b"three") == Chunk(frame("ann", "three"), b"three")
    assert doorway.half == 0
    doorway.flush()


def test_who_is_answered_and_relayed_to_nobody() -> None:
    answer = b"1 clients connected.\nann connected from 192.0.2.1, 5000.\n"
    assert a_door().enter().feed(b"bob says: /who:") == Chunk(b"", b"", answer)


def test_frames_are_rendered_as_safe_lines() -> None:
    frames = frame("ann", "hello") + frame("bob", "a\nb")
    assert a_door().render(frames, 1) == b"ann says: hello\nbob says: a\\nb\n"


def test_a_client_is_told_why_it_is_disconnected_unless_there_is_no_key() -> None:
    departure = Departure(Reason.WRONG_KEY)
    assert a_door().farewell(departure) == b"You are disconnected: wrong key.\n"
    assert a_door(keyed=False).farewell(departure) == b""
