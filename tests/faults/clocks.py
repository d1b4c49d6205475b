"""A wall clock that jumps: the server lives on the monotonic one."""

import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import attrs

from tests.faults.figures import Figure, Figures, milliseconds, percentile
from tests.faults.party import party_of
from tests.faults.room import Room
from tests.support.clients import Client
from tests.support.programs import require_tool

_SHIM = Path(__file__).parent / "clock_shim.c"
_DAY = 24 * 3600
# How much later than it says the server may disconnect who does not authenticate (seconds).
_LATE = 1.0


@attrs.frozen
class WallClock:
    """The wall clock of the programs that are started with `env`."""

    _folder: Path

    @classmethod
    def make(cls, compiler: str, folder: Path) -> "WallClock":
        """Compile the shim; the clock is right at first."""
        flags = ("-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror")
        library = folder / "clock_shim.so"
        subprocess.run([compiler, *flags, "-o", library, _SHIM, "-ldl"], check=True)
        clock = cls(folder)
        (folder / "shift").write_bytes(bytes(8))
        return clock

    @property
    def env(self) -> dict[str, str]:
        """The environment of a program that reads this clock."""
        library, shift = self._folder / "clock_shim.so", self._folder / "shift"
        return {"LD_PRELOAD": str(library), "CLOCK_SHIM": str(shift)}

    def jump(self, seconds: int) -> None:
        """The clock is off by so much from now on."""
        with (self._folder / "shift").open("r+b") as file:
            file.write(seconds.to_bytes(8, sys.byteorder, signed=True))

    def seen(self) -> float:
        """By how much it is off for a program that asks (seconds)."""
        program = "import time; print(time.time())"
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=True)
        return float(done.stdout) - time.time()


def run(seconds: float, jumps: int, seed: int = 1) -> Figures:
    """The clock jumps so many times, by up to a day, while people talk for so long."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        clock = WallClock.make(require_tool("gcc"), Path(folder))
        clock.jump(-_DAY)
        assert -_DAY - 10 < clock.seen() < -_DAY + 10, "the shim does not shift the clock"
        auth_timeout = seconds / 2
        options = ("--auth-timeout", str(auth_timeout))
        with (
            Room(*options, env=clock.env) as room,
            party_of(room, "frame", "frame") as party,
            Client(room.port) as silent,
        ):
            arrived, cut = time.monotonic(), 0.0
            silent.socket.setblocking(False)
            for _ in range(jumps):
                clock.jump(chance.randrange(-_DAY, _DAY))
                party.last(seconds / jumps, 100)
                if not cut and _has_ended(silent):
                    cut = time.monotonic() - arrived
            party.settle()
            assert auth_timeout - seconds / jumps <= cut <= auth_timeout + _LATE, f"cut after {cut}"
            assert max(member.longest_silence for member in party.members) < _LATE
            return {
                "jumps of up to a day": Figure(jumps),
                "words said, all heard": Figure(party.said),
                "from a word to who hears it, p99": milliseconds(percentile(party.delays, 99)),
                "who is silent is disconnected after": Figure(cut, "s"),
                "as was said to the server": Figure(auth_timeout, "s"),
            }


def _has_ended(client: Client) -> bool:
    try:
        return client.socket.recv(1) == b""
    except BlockingIOError:
        return False
