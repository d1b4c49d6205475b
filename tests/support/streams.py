"""What a played server does with a Trio stream."""

import trio

from tests.support.frames import FRAME


async def exactly(stream: trio.abc.ReceiveStream, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = await stream.receive_some(size - len(data))
        assert more
        data += more
    return data


async def let_in(stream: trio.abc.Stream) -> None:
    """Echo the authentication frame, as a server does with a member."""
    await stream.send_all(await exactly(stream, FRAME))
