import pytest

from sopchat.doors.frame import FrameDoorway
from sopchat.limits import READ_SIZE
from tests.support.connection import PlayedConnection
from tests.support.frames import frame


@pytest.mark.sentence("A1", "A3")
@pytest.mark.parametrize("piece", [1, 63, 64, 511, 512])
async def test_the_offer_is_the_first_frame_in_any_pieces_and_not_a_byte_more(piece: int) -> None:
    offer = frame(b"ann\0x", b"key\0y")
    stream = offer + frame("ann", "hello")
    connection = PlayedConnection()
    connection.say(*(stream[place : place + piece] for place in range(0, len(stream), piece)))
    doorway = FrameDoorway()
    received = await doorway.receive_offer(connection)
    assert received is not None
    assert (received.name, received.key, received.welcome) == (b"ann", b"key", offer)
    assert doorway.half == 0
    assert await doorway.receive_frame(connection) is not None


async def test_a_stream_that_ends_within_the_offer_offers_nothing() -> None:
    connection = PlayedConnection()
    connection.say(frame("ann", "key")[:100], b"")
    doorway = FrameDoorway()
    assert await doorway.receive_offer(connection) is None
    assert doorway.half == 100


def test_a_read_is_as_large_as_ends_with_a_whole_frame() -> None:
    doorway = FrameDoorway()
    assert doorway.most(READ_SIZE) == READ_SIZE
    assert READ_SIZE % 512 == 0
    doorway.feed(frame("ann", "hello") + b"half")
    assert doorway.most(READ_SIZE) == READ_SIZE - 4
    assert doorway.half == 4
