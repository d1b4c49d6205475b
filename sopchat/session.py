"""One connection's life: it authenticates, is a member, and departs.

offer ──> join ──┬─ reads its frames into the room ─┬──> departure
                 └─ sends what its outbox holds ────┘
"""

import contextlib
import hmac
from collections.abc import Awaitable, Callable
from functools import partial

import attrs
import trio

from sopchat.connection import Connection
from sopchat.console import Console
from sopchat.departure import Departure, Reason
from sopchat.doors import Door, Offer
from sopchat.limits import Limits
from sopchat.outbox import Outbox
from sopchat.pending import Pending
from sopchat.room import Member, Room
from sopchat.wire.frame import TEXT_SIZE, padded


def key_fits(offered: bytes, key: bytes) -> bool:
    """Whether both are the same bytes, compared in a time that says nothing of the key.

    Both are field values of at most 448 bytes, without NUL: padding them hides the length
    and makes no two of them equal. docs/frame-protocol.md, "A client's life", 4.
    """
    return hmac.compare_digest(
        padded(offered, TEXT_SIZE, "the key"), padded(key, TEXT_SIZE, "the key")
    )


@attrs.define(eq=False)
class Session:
    """One connection from its acceptance to its departure."""

    _connection: Connection
    _door: Door
    _room: Room
    _pending: Pending
    _console: Console
    _limits: Limits
    _key: bytes
    _member: Member | None = attrs.field(default=None, init=False)

    async def run(self) -> Departure:
        """Live through the connection, close it, and say how it ended.

        Cancelled, it departs because the server is stopping.
        """
        departure = Departure(Reason.STOPPING)
        try:
            departure = await self._live()
        except Exception as error:  # a defect of ours costs one connection, not the room
            departure = Departure(Reason.FAULT, repr(error))
        finally:
            departure = attrs.evolve(departure, half=self._door.half)
            if self._member is None:
                self._console.departed(self._connection.peer, departure)
            else:
                self._room.leave(self._member, departure)
            self._connection.close()
        return departure

    async def _live(self) -> Departure:
        offer = await self._authenticate()
        if isinstance(offer, Departure):
            return offer
        outbox = Outbox(self._connection, self._room.pressure, self._limits)
        member = Member(offer.name, self._connection.peer, outbox)
        # The welcome goes out first, and nothing awaits between it and the place.
        outbox.put(offer.welcome)
        self._room.join(member)
        self._member = member
        return await self._be_member(member)

    async def _authenticate(self) -> Offer | Departure:
        """Wait for an offer, bounded in time and number; the departure of who gets no place."""
        with self._pending.entry(self._limits.auth_timeout) as entry:
            try:
                offer = await self._door.receive_offer(self._connection)
            except OSError as error:
                return Departure.from_error(error)
        if entry.cancelled_caught:
            in_time = trio.current_time() < entry.deadline
            return Departure(Reason.CROWDED_OUT if in_time else Reason.AUTH_DEADLINE)
        if offer is None:
            return Departure(Reason.CLOSED)
        fits = key_fits(offer.key, self._key)
        self._console.offered(self._connection.peer, offer, fits)
        if not fits:
            return Departure(Reason.WRONG_KEY)
        if self._room.full:
            return Departure(Reason.ROOM_FULL)
        return offer

    async def _be_member(self, member: Member) -> Departure:
        """Read and send until one of the two ends, which ends the other."""
        ends: list[Departure] = []

        async def until_end(
            part: Callable[[], Awaitable[Departure]], scope: trio.CancelScope
        ) -> None:
            ends.append(await part())
            scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(until_end, member.outbox.run, nursery.cancel_scope)
            await until_end(partial(self._read, member), nursery.cancel_scope)
        return self._read_rest(member, ends[0])

    async def _read(self, member: Member) -> Departure:
        """Relay what the member sends, one chunk a read, until its stream ends or breaks."""
        pressure = self._room.pressure
        try:
            while True:
                if pressure:
                    await pressure.relief()
                data = await self._connection.receive(self._door.most)
                if not data:
                    return Departure(Reason.CLOSED)
                self._relay(member, data)
        except OSError as error:
            return Departure.from_error(error)

    def _read_rest(self, member: Member, departure: Departure) -> Departure:
        """Relay what the member had sent before its connection broke under a write.

        That has come and is waiting in the system, which bounds it. Under pressure it is
        dropped, and the departure says so.
        """
        if not departure.reason.is_broken:
            return departure
        with contextlib.suppress(OSError):  # no more is there, or the end was an error
            while data := self._connection.receive_now(self._door.most):
                if self._room.pressure:
                    return attrs.evolve(departure, detail="the last it sent was dropped")
                self._relay(member, data)
        return departure

    def _relay(self, member: Member, data: bytes) -> None:
        chunk = self._door.frames(data)
        if chunk:
            self._room.broadcast(member, chunk)
