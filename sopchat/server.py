"""The server: listeners, admission, shutdown. Stage 4 of the exercise, and the product."""

import contextlib
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import attrs
import trio

from sopchat import limits
from sopchat.admission import Admission
from sopchat.connection import Connection
from sopchat.console import Console
from sopchat.departure import Departure, Reason
from sopchat.doors import Door
from sopchat.doors.tcp import SocketConnection, accept, shown_place
from sopchat.doors.tls import TlsConnection
from sopchat.history import History
from sopchat.limits import Limits
from sopchat.room import Room
from sopchat.session import Session


@attrs.define(eq=False)
class Server:
    """One room behind its doors."""

    _key: bytes
    _console: Console
    _limits: Limits = attrs.field(factory=Limits)
    # With it, what crosses the network is encrypted, by every door; not what stays on the machine.
    _tls: ssl.SSLContext | None = None
    # How many frames a newcomer gets of what was said before.
    _history: int = 0
    room: Room = attrs.field(init=False)
    _admission: Admission = attrs.field(init=False)
    _stopped: trio.Event = attrs.field(factory=trio.Event, init=False)

    def __attrs_post_init__(self) -> None:
        self.room = Room(
            self._limits.max_clients,
            watchers=[self._console],
            shown=self._console.shows_messages,
            history=History(self._history),
        )
        self._admission = Admission(self._key, self._limits)

    def roster(self) -> Iterator[tuple[bytes, str]]:
        """Name and address of every member."""
        return ((member.name, member.peer) for member in self.room)

    @property
    def pending(self) -> int:
        """How many connections have not authenticated yet."""
        return len(self._admission.pending)

    def change(self, key: bytes, limits: Limits, tls: ssl.SSLContext | None) -> None:
        """Go on with another key, other limits and another certificate.

        They hold for who comes from now on; who is a member stays one, by the rules it came by.
        """
        self._tls = tls
        self._admission.change(key, limits)
        self.room.limit = limits.max_clients

    def stop(self) -> None:
        """Let `serve` end: nobody new, what is queued goes out within a second, then all is closed.

        Whoever cannot wait for that cancels it.
        """
        self._stopped.set()

    async def serve(self, doors: Mapping[Door, Sequence[socket.socket]]) -> None:
        """Serve who comes by the listening sockets of each door until stopped; then close all.

        Cancelled, it closes all at once. A nursery per server, and in it one task per connection.
        """
        for door, listeners in doors.items():
            for place in dict.fromkeys(map(shown_place, listeners)):
                self._console.listening(place, door.title)
        if self._tls is None:
            self._console.unencrypted(listener for group in doors.values() for listener in group)
        entrances = [(door, listener) for door, group in doors.items() for listener in group]
        trio.lowlevel.add_instrument(self.room.turn)
        try:
            async with trio.open_nursery() as sessions:
                async with trio.open_nursery() as accepting:
                    for door, listener in entrances:
                        welcome = partial(self._welcome, sessions, door)
                        accepting.start_soon(accept, listener, welcome, self._console.exhausted)
                    await self._stopped.wait()
                    accepting.cancel_scope.cancel()
                for _, listener in entrances:
                    listener.close()
                await self._drain()
                sessions.cancel_scope.cancel()
        finally:
            trio.lowlevel.remove_instrument(self.room.turn)
            for _, listener in entrances:
                listener.close()
            self._console.closing()

    async def _drain(self) -> None:
        """Read nothing more, and let what is queued reach the members, if they take it in time."""
        self._admission.pending.close()
        self.room.pressure.rise()
        with trio.move_on_after(limits.DRAIN_TIMEOUT):
            # What the far side has confirmed no event tells: it has to be looked up.
            while any(member.outbox.unsent for member in self.room):  # noqa: ASYNC110
                await trio.sleep(limits.DRAIN_LOOK)

    def _welcome(self, sessions: trio.Nursery, door: Door, accepted: SocketConnection) -> None:
        connection: Connection = accepted
        if self._tls is not None and not accepted.local:
            connection = TlsConnection(accepted, self._tls)
        refusal = self._admission.addresses.refusal(accepted.address)
        if refusal is None and self.room.full:
            refusal = Departure(Reason.ROOM_FULL)
        if refusal is not None:
            self._turn_away(door, connection, refusal)
            return
        session = Session(connection, door, self.room, self._admission, self._console)
        sessions.start_soon(session.run)

    def _turn_away(self, door: Door, connection: Connection, departure: Departure) -> None:
        self._console.turned_away(connection.peer, departure)
        if farewell := door.farewell(departure):
            with contextlib.suppress(OSError):
                connection.send_now(farewell)
        connection.close()
