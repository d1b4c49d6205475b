"""A link with played servers, on a played clock."""

import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import attrs
import pytest
import trio
from sopchat_client import CannotConnect, connect
from sopchat_client.link import (
    Event,
    Link,
    Lost,
)
from trio.testing import memory_stream_pair

from tests.support.frames import FRAME, cut
from tests.support.streams import exactly, let_in

Stream = trio.abc.HalfCloseableStream

# What came, and when.
Arrivals = list[tuple[float, bytes]]

# How a server treats one connection; None: nobody listens.
Server = Callable[[Stream, Arrivals], Awaitable[None]] | None


def takes(seconds: float = math.inf, most: int = 2**60) -> Server:
    """Lets the client in and reads for so long, or so many bytes, or until the client leaves."""

    async def play(stream: Stream, arrivals: Arrivals) -> None:
        await let_in(stream)
        left = most
        with trio.move_on_after(seconds):
            while left and (data := await stream.receive_some(left)):
                left -= len(data)
                arrivals.append((trio.current_time(), bytes(data)))

    return play


async def refuses(stream: Stream, arrivals: Arrivals) -> None:
    await exactly(stream, FRAME)


async def never_closes(stream: Stream, arrivals: Arrivals) -> None:
    await let_in(stream)
    await trio.sleep_forever()


@attrs.define
class Told:
    """What a link told, and when."""

    events: list[tuple[float, Event]] = attrs.field(factory=list, init=False)
    _came: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)

    def __call__(self, event: Event) -> None:
        self.events.append((trio.current_time(), event))
        self._came.unpark_all()

    def times_of(self, kind: type[Event]) -> list[float]:
        return [time for time, event in self.events if isinstance(event, kind)]

    def delays(self) -> list[float]:
        return [event.again_in for _, event in self.events if isinstance(event, Lost)]

    async def until(self, kind: type[Event], times: int = 1) -> None:
        """Wait until something of that kind has been told so many times."""
        while len(self.times_of(kind)) < times:
            await self._came.park()


@attrs.define
class Scene:
    """A link, and one server after the other."""

    nursery: trio.Nursery
    to_come: deque[Server]
    pair: Callable[[], tuple[Stream, Stream]]
    told: Told = attrs.field(factory=Told, init=False)
    link: Link = attrs.field(init=False)
    # For each connection what its server has received.
    arrivals: list[Arrivals] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.link = Link(partial(connect, "played", 1, "ann", "key"), self.told)

    async def open(self, host: str, port: int) -> Stream:
        server = self.to_come.popleft()
        if server is None:
            raise CannotConnect("nobody listens")
        ours, theirs = self.pair()
        self.arrivals.append([])

        async def serve() -> None:
            async with theirs:
                await server(theirs, self.arrivals[-1])

        self.nursery.start_soon(serve)
        return ours

    def frames(self) -> list[tuple[float, str]]:
        """The whole frames that came: when, and the text."""
        frames = []
        for arrivals in self.arrivals:
            half = b""
            for time, data in arrivals:
                half += data
                whole = len(half) // FRAME * FRAME
                frames += [(time, one[64:].rstrip(b"\0").decode()) for one in cut(half[:whole])]
                half = half[whole:]
        return frames

    def texts(self) -> list[str]:
        return [text for _, text in self.frames()]


@asynccontextmanager
async def played(
    *servers: Server, pair: Callable[[], tuple[Stream, Stream]] = memory_stream_pair
) -> AsyncIterator[Scene]:
    """The servers are there; the test runs the link."""
    with pytest.MonkeyPatch.context() as patch:
        async with trio.open_nursery() as nursery:
            scene = Scene(nursery, deque(servers), pair)
            patch.setattr("sopchat_client.chat._open", scene.open)
            yield scene
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def member(
    *servers: Server, pair: Callable[[], tuple[Stream, Stream]] = memory_stream_pair
) -> AsyncIterator[Scene]:
    """The link runs; at the end of the block it leaves, and must be a member then."""
    async with played(*servers, pair=pair) as scene, trio.open_nursery() as nursery:
        nursery.start_soon(scene.link.run)
        yield scene
        scene.link.leave()
