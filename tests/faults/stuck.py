"""One member of a hundred that takes nothing: what it costs the others, and when it is cut."""

import socket
import time

import attrs

from sopchat.limits import Limits
from tests.faults.figures import Figure, Figures, milliseconds, percentile
from tests.faults.party import Party, party_of
from tests.faults.room import Room
from tests.faults.villains import established, make_deaf
from tests.support.clients import PATIENCE
from tests.support.frames import FRAME, frame

STALL = Limits().stall_timeout
# It is looked ten times per stall timeout; and what a busy machine may add (seconds).
_LATE = STALL / 10 + 0.5
# What a stuck member may add to the others' p99 (seconds).
MOST_ADDED = 0.05
# How often it is looked at who is stuck (seconds).
_LOOK = 0.1
# More than the system takes for it (frames).
_FILLS = 400


def run(members: int, turns: int, seconds: float, rate: float = 50) -> Figures:
    """In turns: `rate` words a second to all others, without and with a stuck member."""
    without: list[float] = []
    beside: list[float] = []
    cuts: list[float] = []
    with Room(members=members) as room, party_of(room, *["frame"] * (members - 2)) as party:
        ann = party.members[1]
        for _ in range(turns):
            without += _talk(party, seconds, rate)
            with _join_deaf(room.port) as stuck:
                party.say(ann, _FILLS, b"x")
                party.settle()
                watch = _Watch(stuck)
                beside += _talk(party, seconds, rate, watch)
                assert established(stuck), "it was cut before its time"
                while established(stuck):
                    party.last(_LOOK)
                    watch.look()
                cuts.append(watch.silent)
            assert "too slow for what the others say" in room.stdout
        party.say(ann)
        party.settle()
    added = percentile(beside, 99) - percentile(without, 99)
    assert added < MOST_ADDED, f"a stuck member adds {added:.3f} s to the others' p99"
    assert max(cuts) < STALL + _LATE, f"a stuck member is cut after {max(cuts):.2f} s"
    return {
        "members": Figure(members),
        "words, heard by each of the others": Figure(party.said),
        "from a word to who hears it, p99, without": milliseconds(percentile(without, 99)),
        "beside a stuck member": milliseconds(percentile(beside, 99)),
        "it is cut after it has taken nothing for, at most": Figure(max(cuts), "s"),
    }


def _join_deaf(port: int) -> socket.socket:
    """A member that never reads again."""
    deaf = socket.socket()
    deaf.settimeout(PATIENCE)
    make_deaf(deaf)
    deaf.connect(("127.0.0.1", port))
    deaf.sendall(frame("deaf", "key"))
    assert deaf.recv(FRAME, socket.MSG_WAITALL) == frame("deaf", "key")
    return deaf


@attrs.define
class _Watch:
    """When a member's system last took anything (TCP_INFO, tcpi_bytes_received)."""

    _socket: socket.socket
    _taken: bytes = b""
    _moved: float = 0.0

    def look(self) -> None:
        """Notice what came since the last look."""
        taken = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 136)[128:]
        if taken != self._taken:
            self._taken, self._moved = taken, time.monotonic()
        assert self.silent < PATIENCE, "it is never cut"

    @property
    def silent(self) -> float:
        """Seconds for which nothing was taken."""
        return time.monotonic() - self._moved


def _talk(party: Party, seconds: float, rate: float, watch: _Watch | None = None) -> list[float]:
    """The delays of the words that one member says to all others meanwhile."""
    party.delays.clear()
    for _ in range(round(seconds / _LOOK)):
        party.last(_LOOK, rate, party.members[1:2])
        if watch:
            watch.look()
    party.settle()
    return list(party.delays)
