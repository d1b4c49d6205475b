"""The room: members, one order for all, broadcast. Synchronous; knows no socket."""

from collections.abc import Iterable
from typing import Protocol

import attrs

from sopchat.departure import Departure
from sopchat.outbox import Outbox
from sopchat.pressure import Pressure


@attrs.frozen(eq=False)
class Member:
    """Somebody in the room."""

    # The name it authenticated with: the bytes up to the first NUL of the field.
    name: bytes
    # Its address, as it is shown.
    peer: str
    outbox: Outbox


class Watcher(Protocol):
    """Sees what happens in the room, in the order in which it happens. Must never wait."""

    def joined(self, room: "Room", member: Member) -> None:
        """`member` is in the room now."""

    def relayed(self, member: Member, chunk: bytes) -> None:
        """The chunk of whole frames from `member` is on its way to all others."""

    def left(self, room: "Room", member: Member, departure: Departure) -> None:
        """`member` is no longer in the room."""


@attrs.define(eq=False)
class Room:
    """At most `limit` members, each of whom gets what every other one sends.

    `broadcast` never awaits. That is what makes the order the same for all members, and it
    needs no lock.
    """

    limit: int
    watchers: Iterable[Watcher] = ()
    pressure: Pressure = attrs.field(factory=Pressure, init=False)
    # A dictionary for its order and its quick removal; the values say nothing.
    _members: dict[Member, None] = attrs.field(factory=dict, init=False)

    def __len__(self) -> int:
        """Members present."""
        return len(self._members)

    @property
    def full(self) -> bool:
        """No place is free."""
        return len(self._members) >= self.limit

    def join(self, member: Member) -> None:
        """Give `member` a place. The caller has seen that the room is not full."""
        self._members[member] = None
        for watcher in self.watchers:
            watcher.joined(self, member)

    def broadcast(self, sender: Member, chunk: bytes) -> None:
        """Put a chunk of whole frames into every outbox but its sender's."""
        for member in self._members:
            if member is not sender:
                member.outbox.put(chunk)
        for watcher in self.watchers:
            watcher.relayed(sender, chunk)

    def leave(self, member: Member, departure: Departure) -> None:
        """Take `member`'s place back."""
        del self._members[member]
        for watcher in self.watchers:
            watcher.left(self, member, departure)
