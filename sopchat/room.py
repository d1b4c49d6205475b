"""The room: members, one order for all, broadcast. Synchronous; knows no socket."""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Protocol

import attrs

from sopchat.departure import Departure
from sopchat.doors import Chunk, Door
from sopchat.outbox import Outbox
from sopchat.pressure import Pressure


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
    pressure: Pressure = attrs.field(factory=Pressure, init=False)
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

    def join(self, member: Member) -> None:
        """Give `member` a place. The caller has seen that the room is not full."""
        self._members.setdefault(member.door, {})[member] = None
        for watcher in self.watchers:
            watcher.joined(self, member)

    def broadcast(self, sender: Member, chunk: Chunk) -> None:
        """Put a chunk into every outbox but its sender's.

        At the sender's door it goes through as it came; for every other door its frames are
        rendered once, however many members are there.
        """
        for door, members in self._members.items():
            data = chunk.raw if door is sender.door else door.render(chunk.frames)
            for member in members:
                if member is not sender:
                    member.outbox.put(data)
        for watcher in self.watchers:
            watcher.relayed(sender, chunk.frames)

    def leave(self, member: Member, departure: Departure) -> None:
        """Take `member`'s place back."""
        members = self._members[member.door]
        del members[member]
        if not members:
            del self._members[member.door]
        for watcher in self.watchers:
            watcher.left(self, member, departure)
