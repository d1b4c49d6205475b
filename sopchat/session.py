"""One connection's life: it authenticates, is a member, and departs.

offer ──> join ──┬─ reads its frames into the room ─┬──> departure
                 └─ sends what its outbox holds ────┘
"""

import contextlib
import math

import attrs
import trio

from sopchat.admission import Admission
from sopchat.connection import Connection
from sopchat.console import Console
from sopchat.departure import Departure, Reason
from sopchat.doors import BadOffer, Chunk, Door, Doorway, Offer
from sopchat.limits import MOST_READ_SIZE, READ_SIZE
from sopchat.outbox import Outbox
from sopchat.rate import Rate
from sopchat.room import Member, Room
from sopchat.wire.frame import FRAME_SIZE

# Reads of what a member had sent before it was disconnected: 8 MiB, more than a system keeps.
_LAST_READS = 128


@attrs.define(eq=False)
class Session:
    """One connection from its acceptance to its departure."""

    _connection: Connection
    _door: Door
    _room: Room
    _admission: Admission
    _console: Console
    _doorway: Doorway = attrs.field(init=False)
    _member: Member | None = attrs.field(default=None, init=False)
    # How much the member may say, where that is limited; when it may say more (Trio's clock), and
    # whether it has been told.
    _rate: Rate | None = attrs.field(default=None, init=False)
    _silent_until: float = attrs.field(default=-math.inf, init=False)
    _told: bool = attrs.field(default=False, init=False)
    # As long as there is no sender task beside the session's own. Cancelled at the deadline for
    # authenticating, by a newer connection, or when the first frame has to wait.
    _alone: trio.CancelScope = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._doorway = self._door.enter()
        # Here, where the order is that in which the connections came: Trio starts tasks in any.
        self._alone = self._admission.enter(self._connection.address)

    async def run(self) -> Departure:
        """Live through the connection, close it, and say how it ended.

        Cancelled, it departs because the server is stopping.
        """
        departure = Departure(Reason.STOPPING)
        try:
            departure = await self._live()
            if self._member is not None:
                self._relay(self._member, self._doorway.flush())
        except Exception as error:  # a defect of ours costs one connection, not the room
            departure = Departure(Reason.FAULT, repr(error))
        finally:
            departure = attrs.evolve(departure, half=self._doorway.half)
            if departure.reason is Reason.STOPPING and self._told:
                departure = attrs.evolve(departure, detail="what its rate held back is dropped")
            try:
                if self._member is None:
                    self._console.turned_away(self._connection.peer, departure)
                else:
                    self._member.outbox.close()
                    self._room.leave(self._member, departure)
                    if self._rate is not None:
                        self._admission.addresses.keep_rate(self._connection.address, self._rate)
                self._say_farewell(departure)
            finally:
                self._admission.addresses.leave(self._connection.address)
                # Who takes nothing would leave megabytes behind in the system, for ever.
                self._connection.close(reset=departure.reason is Reason.TOO_SLOW)
        return departure

    async def _live(self) -> Departure:
        with self._alone:
            offer = await self._authenticate()
            if isinstance(offer, Departure):
                return offer
            self._alone.deadline = math.inf
            return await self._read(self._join(offer))
        if self._member is not None:
            return await self._read_and_send(self._member)
        if self._admission.pending.closed:
            return Departure(Reason.STOPPING)
        in_time = trio.current_time() < self._alone.deadline
        return Departure(Reason.CROWDED_OUT if in_time else Reason.AUTH_DEADLINE)

    async def _authenticate(self) -> Offer | Departure:
        """Wait for an offer; the departure of who gets no place."""
        peer, address = self._connection.peer, self._connection.address
        try:
            await self._connection.ready()
            offer = await self._doorway.receive_offer(self._connection)
            if offer is None:
                return Departure(Reason.CLOSED)
            departure = await self._admission.judge(offer, peer, address, self._console)
            if departure is not None:
                return departure
        except OSError as error:
            return Departure.from_error(error)
        except BadOffer as error:
            return Departure(Reason.BAD_OFFER, str(error))
        finally:
            self._admission.pending.leave(self._alone)
        return Departure(Reason.ROOM_FULL) if self._room.full else offer

    def _join(self, offer: Offer) -> Member:
        """Welcome the client and give it its place, with nothing in between."""
        limits = self._admission.limits
        outbox = Outbox(self._connection, self._room.pressure, limits, self._alone)
        outbox.put(offer.welcome)
        self._member = member = Member(
            offer.name, self._connection.peer, offer.door or self._door, outbox
        )
        self._room.join(member)
        self._rate = self._admission.addresses.rate(self._connection.address)
        self._relay(member, self._doorway.feed(b""))
        return member

    async def _read_and_send(self, member: Member) -> Departure:
        """Read, and send what waits in the outbox, until one of both ends the other.

        Where sending failed, that is why the member leaves.
        """
        failed: list[Departure] = []
        ended: Departure | None = None

        async def send(scope: trio.CancelScope) -> None:
            failed.append(await self._send(member))
            scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, nursery.cancel_scope)
            ended = await self._read(member)
            nursery.cancel_scope.cancel()
        departure = failed[0] if failed else ended
        assert departure is not None
        return departure

    async def _send(self, member: Member) -> Departure:
        """Send what the outbox holds until the connection breaks or is too slow.

        What the member had sent before that is relayed: it has come and is waiting in the
        system. One that is still there may go on sending, so `_LAST_READS` bounds it; beyond, or
        under pressure, it is dropped, and the departure says so.
        """
        departure = await member.outbox.run()
        # Shielded: that reading has ended meanwhile is no reason to leave something out.
        with trio.CancelScope(shield=True), contextlib.suppress(OSError):
            for _ in range(_LAST_READS):  # till no more is there, or the end was an error
                data = self._connection.receive_now(self._doorway.most(READ_SIZE))
                if not data:
                    return departure
                if self._room.pressure.over:
                    break
                self._relay(member, self._doorway.feed(data))
                # Megabytes to be escaped take seconds: others have their turn.
                await trio.lowlevel.checkpoint()
            return attrs.evolve(departure, detail="the last it sent was dropped")
        return departure

    async def _read(self, member: Member) -> Departure:
        """Relay what the member sends, one chunk a read, until its stream ends or breaks.

        Cancelled, it has read nothing that it has not relayed.
        """
        connection, doorway, room = self._connection, self._doorway, self._room
        pressure, turn = room.pressure, room.turn
        holds_back = doorway.patience < math.inf
        # With a rate, one read takes no more than may be said at once.
        rate = self._rate
        largest = MOST_READ_SIZE if rate is None else rate.burst * doorway.shortest
        size = smallest = min(READ_SIZE, largest)
        task = turn.add_reader()
        try:
            while True:
                room.settle()
                if holds_back and doorway.half:
                    await self._wait_in_patience(member)
                else:
                    await connection.wait_readable()
                turn.ran(task)
                while pressure.over:
                    room.settle()
                    await pressure.relief()
                    turn.ran(task)
                if rate is not None and self._silent_until > trio.current_time():
                    await self._slow_down(member)
                    turn.ran(task)
                    continue
                most = doorway.most(size)
                if rate is not None:
                    most = min(most, largest)
                try:
                    data = connection.receive_now(most)
                except BlockingIOError:  # woken for nothing
                    continue
                if not data:
                    return Departure(Reason.CLOSED)
                if len(data) == most:
                    size = min(room.larger(size), largest)
                elif size > smallest > len(data):
                    size = smallest
                self._relay(member, doorway.feed(data))
        except OSError as error:
            return Departure.from_error(error)
        finally:
            turn.remove_reader(task)
            room.settle()

    async def _wait_in_patience(self, member: Member) -> None:
        """Wait until there is something to read; relay what is held back if that takes long."""
        with trio.move_on_after(self._doorway.patience):
            await self._connection.wait_readable()
            return
        self._relay(member, self._doorway.flush())

    async def _slow_down(self, member: Member) -> None:
        """Wait until the member may say more; tell it so the first time until it has rested."""
        assert self._rate is not None
        if not self._told:
            self._told = True
            self._console.slowed(member, self._rate)
            if notice := self._door.notice(f"You are slowed down: {self._rate} are let through."):
                member.outbox.put(notice)
        self._room.settle()
        await trio.sleep_until(self._silent_until)

    def _relay(self, member: Member, chunk: Chunk | None) -> None:
        if chunk is None:
            return
        member.name = self._doorway.name
        if chunk.frames:
            self._room.broadcast(member, chunk)
            if self._rate is not None:
                now = trio.current_time()
                self._told = self._told and not self._rate.rested(now)
                self._silent_until = now + self._rate.said(len(chunk.frames) // FRAME_SIZE, now)
        if chunk.reply:
            member.outbox.put(chunk.reply)

    def _say_farewell(self, departure: Departure) -> None:
        """Tell the client why, where its protocol can, if it takes it without waiting."""
        if departure.reason is Reason.CLOSED:  # by its own doing
            return
        text = self._door.farewell(departure)
        if text and (self._member is None or not self._member.outbox.waiting):
            with contextlib.suppress(OSError):
                self._connection.send_now(text)
