"""`talk-server`: the Python course's chat (docs/talk-protocol.md).

The relay is the room's own, with the talk door and without a key.
"""

import socket
from collections.abc import Iterator, Sequence

import attrs

from sopchat.console import Console
from sopchat.departure import Departure
from sopchat.doors.talk import TalkDoor
from sopchat.doors.tcp import shown_place
from sopchat.limits import UNLIMITED
from sopchat.room import Member, Room
from sopchat.server import Server
from sopchat.wire.display import printable


async def serve(listeners: Sequence[socket.socket], log: Console) -> None:
    """Serve talk clients of the listeners until cancelled; `log` shows what happens."""
    server = Server(b"", Console(None), UNLIMITED)
    server.room.watchers = [TalkLog(log)]

    def roster() -> Iterator[tuple[bytes, str]]:
        log.show(f"/who: asked, {len(server.room)} connected")
        return server.roster()

    log.listening(shown_place(listeners[0]))
    await server.serve({TalkDoor(roster, keyed=False): listeners})


@attrs.frozen
class TalkLog:
    """A line for every new connection, departure and resend."""

    _log: Console

    def joined(self, room: Room, member: Member) -> None:
        """A client connected."""
        self._log.show(f"connection from {member.peer}, {len(room)} connected")

    def relayed(self, member: Member, frames: bytes) -> None:
        """A message was sent on to all others."""
        self._log.show(f"resent to all others: a message of {self._who(member)}")

    def left(self, room: Room, member: Member, departure: Departure) -> None:
        """A client is gone."""
        self._log.show(f"{self._who(member)} left, {len(room)} connected: {departure}")

    def _who(self, member: Member) -> str:
        return f"{printable(member.name)} ({member.peer})"
