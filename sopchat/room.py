"""The room: members, one order for all, broadcast. Synchronous; knows no socket."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Protocol

import attrs

from sopchat.departure import Departure
from sopchat.doors import Chunk, Door
from sopchat.history import History
from sopchat.limits import HOLD_SIZE, MOST_READ_SIZE, READ_SIZE, RELAY_SIZE, SHOWN_READ_SIZE
from sopchat.outbox import Outbox
from sopchat.pressure import Pressure
from sopchat.turn import Turn
from sopchat.wire.frame import FRAME_SIZE


@attrs.define(eq=False)
class Member:
    """Somebody in the room."""

    # The name it goes by: the one it authenticated with, or what its door has seen since.
    name: bytes
    # Its address, as it is shown.
    peer: str
    # The door it came in by, shared with all who did.
    door: Door
    outbox: Outbox


class Watcher(Protocol):
    """Sees what happens in the room, in the order in which it happens. Must never wait."""

    def joined(self, room: "Room", member: Member) -> None:
        """`member` is in the room now."""

    def relayed(self, member: Member, frames: bytes) -> None:
        """Whole frames from `member` are on their way to all others."""

    def left(self, room: "Room", member: Member, departure: Departure) -> None:
        """`member` is no longer in the room."""


@attrs.define(eq=False)
class Room:
    """At most `limit` members, each of whom gets what every other one sends.

    `broadcast` never awaits. That is what makes the order the same for all members, and it
    needs no lock.
    """

    limit: int
    watchers: Sequence[Watcher] = ()
    # Whether a watcher formats what is said.
    shown: bool = False
    # What was said last, which a newcomer gets first.
    history: History = attrs.field(factory=lambda: History(0))
    # How many frames have been accepted so far: the number of the last one.
    sequence: int = 0
    pressure: Pressure = attrs.field(factory=Pressure, init=False)
    turn: Turn = attrs.field(factory=Turn, init=False)
    # What was held back in this turn of the loop, in order, as each door gets it; and its bytes.
    _held: list[tuple[Member, dict[Door, bytes]]] = attrs.field(factory=list, init=False)
    _held_size: int = attrs.field(default=0, init=False)
    # By the door they came in by. Inner dictionaries for their order and quick removal; their
    # values say nothing.
    _members: dict[Door, dict[Member, None]] = attrs.field(factory=dict, init=False)

    def __len__(self) -> int:
        """Members present."""
        return sum(map(len, self._members.values()))

    def __iter__(self) -> Iterator[Member]:
        """The members present; those of one door in the order in which they joined."""
        return chain.from_iterable(self._members.values())

    @property
    def full(self) -> bool:
        """No place is free."""
        return len(self) >= self.limit

    def larger(self, size: int) -> int:
        """The read to make after a full one of `size` bytes: twice that, or as much as is fair."""
        fair = RELAY_SIZE // len(self) // READ_SIZE * READ_SIZE
        formats = self.shown or len(self._members) > 1
        most = SHOWN_READ_SIZE if formats else MOST_READ_SIZE
        return max(min(2 * size, fair, most), READ_SIZE)

    def join(self, member: Member) -> None:
        """Give `member` a place. The caller has seen that the room is not full.

        It gets the history first, and all that is said from now on: nothing is missed in between,
        and nothing comes twice.
        """
        self._flush()
        if said := self.history.rendered(member.door, self.sequence):
            member.outbox.put_first(said)
        self._members.setdefault(member.door, {})[member] = None
        for watcher in self.watchers:
            watcher.joined(self, member)

    def broadcast(self, sender: Member, chunk: Chunk) -> None:
        """Put a chunk into every outbox but its sender's.

        At the sender's door it goes through as it came; for every other door its frames are
        rendered once, however many members are there.

        While readers have been woken that have not run yet, it is held back until the last of
        them has: then all get what came in this turn of the loop with one write. `settle` sees
        to that.
        """
        holds_back = bool(self.turn.woken or self._held)
        rendered = {}
        for door, members in self._members.items():
            own = door is sender.door and door.verbatim
            data = chunk.raw if own else door.render(chunk.frames, self.sequence + 1)
            if holds_back:
                rendered[door] = data
                continue
            for member in members:
                if member is not sender:
                    member.outbox.put(data)
        if holds_back:
            if self._held_size + len(chunk.frames) > HOLD_SIZE:
                self._flush()
            self._held.append((sender, rendered))
            self._held_size += len(chunk.frames)
            if not self.turn.woken or self._held_size > HOLD_SIZE:
                self._flush()
        self.sequence += len(chunk.frames) // FRAME_SIZE
        if self.history.limit:
            self.history.add(chunk.frames)
        for watcher in self.watchers:
            watcher.relayed(sender, chunk.frames)

    def settle(self) -> None:
        """Let go of what was held back, if no reader is still to run in this turn.

        A reader calls it whenever it is about to wait, or ends.
        """
        if self._held and not self.turn.woken:
            self._flush()

    def _flush(self) -> None:
        held, self._held, self._held_size = self._held, [], 0
        if not held:
            return
        senders = {sender for sender, _ in held}
        for door, members in self._members.items():
            pieces = [(sender, rendered[door]) for sender, rendered in held]
            whole = b"".join([piece for _, piece in pieces])
            for member in members:
                if member not in senders:
                    member.outbox.put(whole)
                    continue
                others = [piece for sender, piece in pieces if sender is not member]
                # What is joined for one member alone is worth it only if it goes out at once:
                # what waits must be shared, or the mark would bound nothing.
                for piece in others if member.outbox.waiting else [b"".join(others)]:
                    if piece:
                        member.outbox.put(piece)

    def leave(self, member: Member, departure: Departure) -> None:
        """Take `member`'s place back."""
        self._flush()
        members = self._members[member.door]
        del members[member]
        if not members:
            del self._members[member.door]
        for watcher in self.watchers:
            watcher.left(self, member, departure)
