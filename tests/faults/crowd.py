"""A large room of which a tenth misbehave."""

import random
import time

from tests.faults.figures import Figure, Figures, milliseconds, percentile
from tests.faults.party import party_of
from tests.faults.room import Room, allow_descriptors
from tests.faults.villains import villains

_KINDS = ("stuck", "trickle", "half", "resets", "floods", "garbage")


def run(members: int, seconds: float, rate: float = 10, seed: int | None = None) -> Figures:
    """So many members, of whom a tenth misbehave, and honest ones who say `rate` words a second."""
    allow_descriptors(3 * members)
    seed = random.randrange(10**6) if seed is None else seed
    bad = members // 10
    honest = members - bad
    kinds = {kind: (bad + place) // len(_KINDS) for place, kind in enumerate(_KINDS)}
    # Places for those who come again before the server knows that they left.
    with Room(members=2 * members) as room, party_of(room, *["frame"] * (honest - 1)) as party:
        begun = room.belongings()
        speakers = party.members[1:11]
        with villains(room, kinds, seed, burst=50, pause=5.0) as lives:
            start = time.monotonic()
            party.last(seconds, rate, speakers)
            party.settle()
            took = time.monotonic() - start
        party.settle()
        memory = room.status("VmHWM") / 1024
        room.returns_to(begun)
        return {
            "members who keep to the rules": Figure(honest),
            "who misbehave, at any time": Figure(bad),
            "lives that those led": Figure(sum(lives.values())),
            "frames heard by each, in one order": Figure(party.heard),
            "from a word to who hears it, p50": milliseconds(percentile(party.delays, 50)),
            "p99": milliseconds(percentile(party.delays, 99)),
            "memory, at most": Figure(memory, "MiB"),
            "seconds": Figure(took, "s"),
        }
