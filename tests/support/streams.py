"""What a played server does with a Trio stream."""

import trio

from tests.support.frames import FRAME, cut


async def exactly(stream: trio.abc.ReceiveStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = await stream.receive_some(size - len(data))
        assert more
        data += more
    return data


async def receive(stream: trio.abc.ReceiveStream, count: int) -> list[bytes]:
    """The next frames, so many of them."""
    data = bytearray()
    while len(data) < count * FRAME:
        more = await stream.receive_some(count * FRAME - len(data))
        assert more, f"closed after {len(data)} bytes"
        data += more
    return cut(bytes(data))


async def let_in(stream: trio.abc.Stream) -> None:
    """Echo the authentication frame, as a server does with a member."""
    await stream.send_all(await exactly(stream, FRAME))
