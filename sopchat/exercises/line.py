"""`chat-server`: the event-driven exercise (docs/line-protocol.md).

The relay is the room's own, with the line door and without a key. What is of the exercise is the
trace on standard output, written as it happens: the loop's waits by way of Trio's instruments,
and what a client does by way of the connection that its session uses.
"""

import math
import socket
from collections.abc import Callable, Sequence

import attrs
import trio

from sopchat.admission import Admission
from sopchat.console import Console
from sopchat.doors.line import LineDoor
from sopchat.doors.tcp import SocketConnection, accept
from sopchat.limits import UNLIMITED
from sopchat.room import Room
from sopchat.session import Session

Show = Callable[[str], None]


async def serve(listener: socket.socket, show: Show) -> None:
    """Relay lines between the clients of `listener` until cancelled; `show` takes the trace."""
    room = Room(UNLIMITED.max_clients)
    admission = Admission(b"", UNLIMITED)
    door, console = LineDoor(keyed=False), Console(None)
    trace = Trace(listener.fileno(), show)
    trio.lowlevel.add_instrument(trace)
    try:
        async with trio.open_nursery() as nursery:

            def welcome(accepted: SocketConnection) -> None:
                connection = trace.accepted(accepted)
                session = Session(connection, door, room, admission, console)
                nursery.start_soon(session.run)

            await accept(listener, welcome, console.exhausted)
    finally:
        trio.lowlevel.remove_instrument(trace)
        listener.close()
        trace.tell_last()


class Trace(trio.abc.Instrument):
    """Tells the loop's waits, and knows which descriptors are open."""

    def __init__(self, listener: int, show: Show) -> None:
        self._open = {listener}
        self._last: list[int] = []
        self.show = show

    def before_io_wait(self, timeout: float) -> None:
        """A poll that returns at once is no wait."""
        if timeout > 0:
            self.show(f"Waiting on select()...\nMaxFd {max(self._open)}\n")

    def accepted(self, connection: SocketConnection) -> "TracedConnection":
        """A client came."""
        self._open.add(connection.descriptor)
        self.show(f"New incoming connection on sd {connection.descriptor}\n")
        return TracedConnection(connection, connection.descriptor, self)

    def removed(self, descriptor: int) -> None:
        """A client is dropped, whatever the reason."""
        self._open.discard(descriptor)
        if trio.current_effective_deadline() == -math.inf:
            self._last.append(descriptor)  # the server ends: all are told together, in order
        else:
            self.show(f"removing connection with sd {descriptor} \n")

    def tell_last(self) -> None:
        """The clients that the server's own end has dropped."""
        for descriptor in sorted(self._last):
            self.show(f"removing connection with sd {descriptor} \n")


@attrs.define(eq=False)
class TracedConnection:
    """A connection that tells what is done with it."""

    _inner: SocketConnection
    _descriptor: int
    _trace: Trace
    _closed: bool = attrs.field(default=False, init=False)

    @property
    def peer(self) -> str:
        """The client's address."""
        return self._inner.peer

    @property
    def address(self) -> str:
        """The client's host."""
        return self._inner.address

    async def ready(self) -> None:
        """Wait until bytes can be exchanged."""
        await self._inner.ready()

    async def wait_readable(self) -> None:
        """Wait until there is something to receive."""
        await self._inner.wait_readable()

    def receive_now(self, most: int) -> bytes:
        """Receive, and tell that bytes came or that the stream is at its end."""
        readable = f"Descriptor {self._descriptor} is readable\n"
        try:
            data = self._inner.receive_now(most)
        except BlockingIOError:
            raise
        except OSError:
            self._trace.show(readable)
            raise
        came = (
            f"{len(data)} bytes received from sd {self._descriptor}"
            if data
            else f"Connection closed for sd {self._descriptor}"
        )
        self._trace.show(f"{readable}{came}\n")
        return data

    async def send(self, pieces: Sequence[bytes | memoryview]) -> int:
        """Wait until the socket takes bytes."""
        return await self._inner.send(pieces)

    def send_now(self, piece: bytes | memoryview) -> int:
        """The same without waiting."""
        return self._inner.send_now(piece)

    def unacknowledged(self) -> int:
        """Bytes taken that the client's side has not confirmed."""
        return self._inner.unacknowledged()

    def close(self, *, reset: bool = False) -> None:
        """Close, and tell it once."""
        if not self._closed:
            self._closed = True
            self._trace.removed(self._descriptor)
            self._inner.close(reset=reset)
