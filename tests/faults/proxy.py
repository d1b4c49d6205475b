"""A network between clients and the server: slow, in pieces, with pauses, cut or silent.

TCP hides from programs that packets are lost or come in another order: they see a pause, and then
much at once. That is what is played here, where the system's own means (`network.py`) are missing.
"""

import contextlib
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator

import attrs
import trio

# Pieces of up to 64 KiB that are on the way at once, in one direction.
_ON_THE_WAY = 16


@attrs.frozen
class Weather:
    """What becomes of what is sent, in either direction."""

    # Seconds on the way, and up to so many more.
    latency: float = 0.0
    jitter: float = 0.0
    # The most bytes that arrive together.
    piece: int = 65536
    # How often out of a hundred pieces one is lost, and the pause that makes (seconds).
    loss: float = 0.0
    pause: float = 0.2


@attrs.define(eq=False)
class Proxy:
    """Takes connections at `port` and carries them to the server's; lives in a thread."""

    _server: int
    _weather: Weather
    _chance: random.Random
    port: int = 0
    # Both ends of what is carried.
    _streams: list[trio.SocketStream] = attrs.field(factory=list)
    _silent: bool = False
    _token: trio.lowlevel.TrioToken | None = None
    _stopped: trio.Event = attrs.field(factory=trio.Event)

    def cut(self) -> None:
        """End all connections at once, as when a router forgets them: with a reset."""
        self._call(self._cut)

    def fall_silent(self) -> None:
        """Carry nothing any more, in no direction, and end nothing: a black hole."""
        self._silent = True

    def stop(self) -> None:
        """The network is no more."""
        self._call(self._stopped.set)

    def _call(self, what: Callable[[], object]) -> None:
        assert self._token is not None
        self._token.run_sync_soon(what)

    def _cut(self) -> None:
        for stream in self._streams:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            stream.socket.close()

    async def run(self, listening: threading.Event) -> None:
        """Carry what comes until it is stopped."""
        self._token = trio.lowlevel.current_trio_token()
        async with trio.open_nursery() as nursery:
            [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
            self.port = listener.socket.getsockname()[1]
            nursery.start_soon(trio.serve_listeners, self._carry, [listener])
            listening.set()
            await self._stopped.wait()
            nursery.cancel_scope.cancel()

    async def _carry(self, client: trio.SocketStream) -> None:
        server = await trio.open_tcp_stream("127.0.0.1", self._server)
        ends = (client, server)
        self._streams += ends
        try:
            async with client, server, trio.open_nursery() as nursery:
                for source, target in (ends, ends[::-1]):
                    put, take = trio.open_memory_channel[tuple[float, bytes]](_ON_THE_WAY)
                    nursery.start_soon(self._take, source, put)
                    nursery.start_soon(self._give, take, target)
        finally:
            for stream in ends:
                self._streams.remove(stream)

    async def _take(
        self, source: trio.SocketStream, put: trio.MemorySendChannel[tuple[float, bytes]]
    ) -> None:
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError), put:
            while data := await source.receive_some(65536):
                await put.send((trio.current_time() + self._weather.latency, data))

    async def _give(
        self, take: trio.MemoryReceiveChannel[tuple[float, bytes]], target: trio.SocketStream
    ) -> None:
        weather = self._weather
        with contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            async for due, data in take:
                await trio.sleep_until(due + self._chance.uniform(0, weather.jitter))
                rest = data
                while rest:
                    size = self._chance.randint(1, weather.piece)
                    if self._chance.random() < weather.loss:
                        await trio.sleep(weather.pause)
                    if self._silent:
                        await trio.sleep_forever()
                    await target.send_all(rest[:size])
                    rest = rest[size:]
            await target.send_eof()


@contextlib.contextmanager
def proxy(server: int, weather: Weather, seed: int) -> Iterator[Proxy]:
    """A network to the server's port, while the block runs."""
    made = Proxy(server, weather, random.Random(seed))
    listening = threading.Event()
    thread = threading.Thread(target=trio.run, args=(made.run, listening))
    thread.start()
    try:
        assert listening.wait(10)
        yield made
    finally:
        made.stop()
        thread.join()
