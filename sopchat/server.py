"""The server: listeners, admission, shutdown. Stage 4 of the exercise, and the product."""

import contextlib
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import attrs
import trio

from sopchat.connection import Connection
from sopchat.console import Console
from sopchat.departure import Departure, Reason
from sopchat.doors import Door
from sopchat.doors.tcp import SocketConnection, accept
from sopchat.doors.tls import TlsConnection
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
    # With it, what crosses the network is encrypted, by every door.
    _tls: ssl.SSLContext | None = None
    room: Room = attrs.field(init=False)
    _pending: Pending = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.room = Room(
            self._limits.max_clients, watchers=[self._console], shown=self._console.shows_messages
        )
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
        if self._tls is None:
            self._console.unencrypted(listener for group in doors.values() for listener in group)
        entrances = [(door, listener) for door, group in doors.items() for listener in group]
        trio.lowlevel.add_instrument(self.room.turn)
        try:
            async with trio.open_nursery() as nursery:
                for door, listener in entrances:
                    welcome = partial(self._welcome, nursery, door)
                    nursery.start_soon(accept, listener, welcome, self._console.exhausted)
        finally:
            trio.lowlevel.remove_instrument(self.room.turn)
            for _, listener in entrances:
                listener.close()
            self._console.closing()

    def _welcome(self, nursery: trio.Nursery, door: Door, accepted: SocketConnection) -> None:
        connection: Connection = TlsConnection(accepted, self._tls) if self._tls else accepted
        if self.room.full:
            self._turn_away(door, connection)
            return
        session = Session(
            connection,
            door,
            self.room,
            self._pending,
            self._console,
            self._limits,
            self._key,
        )
        nursery.start_soon(session.run)

    def _turn_away(self, door: Door, connection: Connection) -> None:
        departure = Departure(Reason.ROOM_FULL)
        self._console.turned_away(connection.peer, departure)
        if farewell := door.farewell(departure):
            with contextlib.suppress(OSError):
                connection.send_now(farewell)
        connection.close()
