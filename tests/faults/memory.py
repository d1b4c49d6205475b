"""The worst that the rules allow, and the memory it takes."""

import os
import random

from sopchat.limits import CONSOLE_MARK, MOST_READ_SIZE, SHOWN_READ_SIZE, Limits
from tests.faults.figures import Figure, Figures
from tests.faults.party import party_of
from tests.faults.room import Room
from tests.faults.villains import villains
from tests.support.programs import wait_until_listening

_MIB = 1024 * 1024

# A byte that has to be escaped becomes four, \x1b, of which each may take four while they are text.
_ESCAPED = 4
# A member, whoever it is, and a connection that has not authenticated (bytes).
_CONNECTION = 16 * 1024
# Text being formatted: the frames, their fields, the text, and what is made of that at the end.
_FORMATTED = 24


def ceiling(limits: Limits) -> int:
    """Bytes beyond those of an empty room that its clients can make the server use.

    Chunks are shared among the members of a door: so much waits for those who do not read as may
    wait for one of them, and one read more. What is an answer to one member is not shared.
    """
    doors = 3
    waiting = doors * (limits.outbox_mark + _ESCAPED * MOST_READ_SIZE)
    answers = limits.max_clients * limits.outbox_mark
    # Its text, the batch that is being written, and what is being formatted.
    console = 2 * CONSOLE_MARK + _FORMATTED * SHOWN_READ_SIZE
    connections = (limits.max_clients + limits.max_pending) * _CONNECTION
    return waiting + answers + console + connections


def run(members: int, seconds: float, seed: int | None = None) -> Figures:
    """Members who flood, ask and do not read, a crowd without a key, then all; no output moves."""
    seed = random.randrange(10**6) if seed is None else seed
    limits = Limits(max_clients=2 * members)
    floods = {"stuck": members // 2, "deaf_flood": members // 4 + 1, "floods": members // 4}
    lines = {"stuck": members // 2, "long_lines": members // 2, "half": members // 4}
    crowds = [
        {"asks": members},
        floods,
        lines,
        {"silent": 2 * limits.max_pending},
        {**floods, **lines, "asks": members // 2, "silent": 2 * limits.max_pending},
    ]
    reading, writing = os.pipe()
    try:
        with Room(members=limits.max_clients, shown=True, stdout=writing) as room:
            wait_until_listening(room.port)
            empty = room.status("VmRSS") * 1024
            with party_of(room, "frame") as party:
                for kinds in crowds:
                    with villains(room, kinds, seed):
                        party.last(seconds / len(crowds), 5)
                    party.settle()
                silence = max(member.longest_silence for member in party.members)
                heard = party.heard
            peak = room.status("VmHWM") * 1024
    finally:
        os.close(reading)
        os.close(writing)
    most = empty + ceiling(limits)
    assert peak < most, f"{peak / _MIB:.0f} MiB, and {most / _MIB:.0f} are what the limits allow"
    return {
        "members": Figure(limits.max_clients),
        "frames relayed": Figure(heard),
        "the empty server": Figure(empty / _MIB, "MiB"),
        "the most it used": Figure(peak / _MIB, "MiB"),
        "what the limits allow": Figure(most / _MIB, "MiB"),
        "the longest that an honest member heard nothing": Figure(silence, "s"),
    }
