"""The server: listeners, admission, shutdown. Stage 4 of the exercise, and the product."""

import contextlib
import socket
from collections.abc import Iterator, Mapping, Sequence

import attrs
import trio

from sopchat.connection import Connection
from sopchat.console import Console
from sopchat.departure import Departure, Reason
from sopchat.doors import Door
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

    def roster(self) -> Iterator[tuple[bytes, str]]:
        """Name and address of every member."""
        return ((member.name, member.peer) for member in self.room)

    async def serve(self, doors: Mapping[Door, Sequence[socket.socket]]) -> None:
        """Serve who comes by the listening sockets of each door until cancelled; then close all.

        A nursery per server, and in it one task per connection.
        """
        for door, listeners in doors.items():
            self._console.listening(listeners[0].getsockname()[1], door.title)
        entrances = [(door, listener) for door, group in doors.items() for listener in group]
        try:
            async with trio.open_nursery() as nursery:
                for door, listener in entrances:
                    nursery.start_soon(self._accept_all, door, listener, nursery)
        finally:
            for _, listener in entrances:
                listener.close()
            self._console.closing()

    async def _accept_all(self, door: Door, listener: socket.socket, nursery: trio.Nursery) -> None:
        while True:
            connection = await accept(listener, self._console.exhausted)
            if self.room.full:
                self._turn_away(door, connection)
            else:
                nursery.start_soon(self._run_session, door, connection)

    def _turn_away(self, door: Door, connection: Connection) -> None:
        departure = Departure(Reason.ROOM_FULL)
        self._console.turned_away(connection.peer, departure)
        if farewell := door.farewell(departure):
            with contextlib.suppress(OSError):
                connection.send_now(farewell)
        connection.close()

    async def _run_session(self, door: Door, connection: Connection) -> None:
        session = Session(
            connection,
            door,
            self.room,
            self._pending,
            self._console,
            self._limits,
            self._key,
        )
        await session.run()
