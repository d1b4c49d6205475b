import pytest

from sopchat.departure import Departure, Reason
from sopchat.doors import BadOffer, Chunk
from sopchat.doors.line import LineDoor
from tests.support.connection import PlayedConnection
from tests.support.frames import frame


@pytest.mark.parametrize("piece", [1, 3, 1000])
async def test_name_and_key_are_asked_for_and_what_comes_behind_is_kept(piece: int) -> None:
    connection = PlayedConnection()
    stream = b"ann\r\nthe key\r\nfirst line\r\nsecond"
    connection.say(*(stream[place : place + piece] for place in range(0, len(stream), piece)))
    doorway = LineDoor().enter()
    offer = await doorway.receive_offer(connection)
    assert offer is not None
    assert (offer.name, offer.key, offer.welcome) == (b"ann", b"the key", b"Welcome.\r\n")
    assert connection.taken == b"Your name: The key: "
    chunks = [doorway.feed(b""), *[doorway.feed(data) for data in list(connection.incoming)]]  # type: ignore[arg-type]
    raw = b"".join(chunk.raw for chunk in chunks if chunk is not None)
    assert raw == b"first line\r\n"
    assert doorway.half == 6


@pytest.mark.parametrize("said", [b"", b"ann", b"ann\r\n", b"ann\r\nkey"])
async def test_a_stream_that_ends_before_the_answers_offers_nothing(said: bytes) -> None:
    connection = PlayedConnection()
    connection.say(said, b"") if said else connection.say(b"")
    assert await LineDoor().enter().receive_offer(connection) is None


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"n" * 65 + b"\nkey\n", "the name is 65 bytes long"),
        (b"ann\n" + b"k" * 449 + b"\n", "the key is 449 bytes long"),
        (b"a\0\nkey\n", "the name holds a NUL"),
        (b"x" * 5000, "an answer of more than 4096 bytes"),
    ],
)
async def test_what_no_frame_can_hold_is_a_bad_offer(said: bytes, why: str) -> None:
    connection = PlayedConnection()
    connection.say(said)
    with pytest.raises(BadOffer, match=why):
        await LineDoor().enter().receive_offer(connection)


async def test_without_a_key_nothing_is_asked() -> None:
    connection = PlayedConnection()
    offer = await LineDoor(keyed=False).enter().receive_offer(connection)
    assert offer is not None
    assert (offer.name, offer.key, offer.welcome) == (b"", b"", b"")
    assert connection.taken == b""


async def test_a_line_becomes_a_frame_and_a_long_one_several() -> None:
    connection = PlayedConnection()
    connection.say(b"ann\nkey\n")
    doorway = LineDoor().enter()
    await doorway.receive_offer(connection)
    raw = b"hello\r\n" + ("ü" * 300).encode() + b"\n"
    assert doorway.feed(raw) == Chunk(
        frame("ann", "hello") + frame("ann", "ü" * 224) + frame("ann", "ü" * 76), raw
    )
    assert doorway.feed(b"nul\0 and \xff\n") == Chunk(
        frame("ann", b"nul\\x00 and \xff"), b"nul\0 and \xff\n"
    )
    assert doorway.feed(b"held") is None
    assert doorway.half == 4
    assert doorway.flush() == Chunk(frame("ann", "held"), b"held")
    assert doorway.flush() is None


def test_frames_are_rendered_as_safe_lines() -> None:
    frames = frame("ann", "hello") + frame("ann", "x\nroot: forged \x1b") + frame(b"b\xff", "ü")
    assert LineDoor().render(frames, 1) == (
        "ann: hello\r\nann: x\\nroot: forged \\x1b\r\nb\\xff: ü\r\n".encode()
    )


def test_a_client_is_told_why_it_is_disconnected_unless_there_is_no_key() -> None:
    departure = Departure(Reason.WRONG_KEY)
    assert LineDoor().farewell(departure) == b"You are disconnected: wrong key.\r\n"
    assert LineDoor(keyed=False).farewell(departure) == b""
