"""A network that is slow, takes to pieces, pauses, cuts and falls silent, played by a proxy."""

import random
import time

from sopchat.limits import Limits
from tests.faults.figures import Figure, Figures, milliseconds, percentile
from tests.faults.party import party_of
from tests.faults.proxy import Weather, proxy
from tests.faults.room import Room
from tests.support.clients import Client

STALL = Limits().stall_timeout
# What a busy machine may add (seconds).
_LATE = STALL / 10 + 1.0

# By name, what members live with.
WEATHERS = {
    "far away": Weather(latency=0.15, jitter=0.02),
    "in pieces": Weather(piece=7),
    "lossy": Weather(latency=0.02, jitter=0.05, piece=1000, loss=0.02),
}
# Frames of a flood that no system takes for who reads nothing: some MiB in all systems on the way.
_FLOOD = 16_000


def run(seconds: float, seed: int | None = None) -> Figures:
    """People talk for so long over each network; then one is cut off, one falls silent."""
    seed = random.randrange(10**6) if seed is None else seed
    figures: dict[str, Figure] = {}
    with Room(members=20) as room:
        for name, weather in WEATHERS.items():
            with proxy(room.port, weather, seed) as way, party_of(room, "frame") as party:
                for _ in range(3):
                    party.join(port=way.port)
                party.last(seconds, 40)
                party.settle()
                delays = sorted(party.delays)
            figures[f"{name}: from a word to who hears it, p99"] = milliseconds(
                percentile(delays, 99)
            )
        figures["who is cut off is noticed after"] = milliseconds(_cut(room))
        figures["who falls silent in a flood is cut after"] = Figure(_silence(room), "s")
    return figures


def _cut(room: Room) -> float:
    """Seconds from the end of the ways of two members to their end in the room."""
    with proxy(room.port, Weather(), 1) as way, party_of(room, "frame") as party:
        with Client.join(way.port, "cut-one"), Client.join(way.port, "cut-two"):
            start = time.monotonic()
            way.cut()
            room.wait_for("cut-one left")
            room.wait_for("cut-two left")
            noticed = time.monotonic() - start
        party.say(party.members[1])
        party.settle()
    assert noticed < _LATE, f"noticed after {noticed:.2f} s"
    return noticed


def _silence(room: Room) -> float:
    """Seconds from when the way of a member carries nothing to its end in the room."""
    with proxy(room.port, Weather(), 1) as way, party_of(room, "frame") as party:
        with Client.join(way.port, "hole"):
            start = time.monotonic()
            way.fall_silent()
            party.say(party.members[1], _FLOOD, b"x")
            party.until(lambda: "hole left" in room.stdout, "it is never cut")
            took = time.monotonic() - start
        party.settle()
    assert "too slow for what the others say" in room.stdout
    assert took < STALL + 2 * _LATE, f"cut after {took:.2f} s"
    return took
