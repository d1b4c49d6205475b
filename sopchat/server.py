"""The server: listeners, admission, shutdown. Stage 4 of the exercise, and the product."""

import socket
from collections.abc import Sequence

import attrs
import trio

from sopchat.connection import Connection
from sopchat.console import Console
from sopchat.departure import Departure, Reason
from sopchat.doors.frame import FrameDoor
from sopchat.doors.tcp import accept
from sopchat.limits import Limits
from sopchat.pending import Pending
from sopchat.room import Room
from sopchat.session import Session


@attrs.define(eq=False)
class Server:
    """One room behind its doors."""

    _key: bytes
    _console: Console
    _limits: Limits = attrs.field(factory=Limits)
    room: Room = attrs.field(init=False)
    _pending: Pending = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.room = Room(self._limits.max_clients, watchers=[self._console])
        self._pending = Pending(self._limits.max_pending)

    async def serve(self, listeners: Sequence[socket.socket]) -> None:
        """Serve clients of the listening sockets until cancelled; then everything is closed.

        A nursery per server, and in it one task per connection.
        """
        self._console.listening(listeners[0].getsockname()[1])
        try:
            async with trio.open_nursery() as nursery:
                for listener in listeners:
                    nursery.start_soon(self._accept_all, listener, nursery)
        finally:
            for listener in listeners:
                listener.close()
            self._console.closing()

    async def _accept_all(self, listener: socket.socket, nursery: trio.Nursery) -> None:
        while True:
            connection = await accept(listener, self._console.exhausted)
            if self.room.full:
                self._console.departed(connection.peer, Departure(Reason.ROOM_FULL))
                connection.close()
            else:
                nursery.start_soon(self._run_session, connection)

    async def _run_session(self, connection: Connection) -> None:
        session = Session(
            connection,
            FrameDoor(),
            self.room,
            self._pending,
            self._console,
            self._limits,
            self._key,
        )
        await session.run()
