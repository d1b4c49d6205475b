"""No descriptor left: more clients come than the server may have open."""

import resource
import time

from tests.faults.figures import Figure, Figures, milliseconds, percentile
from tests.faults.party import party_of
from tests.faults.room import Room, allow_descriptors
from tests.support.clients import Client
from tests.support.frames import frame

# The part of a processor that waiting for descriptors may take.
_IDLE = 0.1


def run(crowd: int, free: int, seconds: float) -> Figures:
    """Of `crowd` silent connections `free` find a descriptor, for so long."""
    allow_descriptors(crowd + 100)
    options = ("--max-pending", str(2 * crowd), "--auth-timeout", "600")
    with Room(*options) as room, party_of(room, "frame", "frame") as party:
        begun = room.belongings()
        # Taken from it while it runs, as other programs do that use up the system's.
        most = room.descriptors() + free
        resource.prlimit(room.process.pid, resource.RLIMIT_NOFILE, (most, most))
        silent = [Client(room.port) for _ in range(crowd)]
        room.wait_for("no new clients for now: Too many open files\n")
        before, start = room.processor_time(), time.monotonic()
        party.last(seconds, 50)
        party.settle()
        used = (room.processor_time() - before) / (time.monotonic() - start)
        assert used < _IDLE, f"{used:.0%} of a processor is used for waiting"
        said = room.stdout.count("no new clients for now")
        assert said == 1, f"the console says it {said} times"
        # The system has completed its connection; the server does not know of it yet.
        late = Client(room.port)
        late.send(frame("late", "key"))
        start = time.monotonic()
        for client in silent:
            client.close()
        assert late.receive() == frame("late", "key")
        let_in = time.monotonic() - start
        late.close()
        party.say(party.members[1])
        party.settle()
        room.returns_to(begun)
        return {
            "silent connections": Figure(crowd),
            "descriptors free for them": Figure(free),
            "processor used meanwhile": Figure(used * 100, "%"),
            "from a word to who hears it, p99": milliseconds(percentile(party.delays, 99)),
            "who waited is let in after": milliseconds(let_in),
        }
