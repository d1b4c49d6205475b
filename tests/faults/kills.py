"""A server is killed at random moments, again and again: its log loses a torn tail at most."""

import random
import signal
import tempfile
import time
from pathlib import Path

from sopchat.log.page import Group
from sopchat.log.reader import scan
from tests.faults.figures import Figure, Figures
from tests.support.clients import PATIENCE, Client
from tests.support.frames import cut, frame
from tests.support.programs import SOP_CHAT, Program, reserved_port


def run(kills: int, seed: int = 0) -> Figures:
    """Kill a flooded server so many times, on one log.

    Raises AssertionError: the log is damaged or has a gap after a restart, or holds what was not
    sent, or lost what it had before.
    """
    chance = random.Random(seed)
    torn = 0
    with tempfile.TemporaryDirectory() as folder, reserved_port() as port:
        log = Path(folder) / "log"
        known = 0
        for number in range(kills + 1):
            options = ("--quiet", "--log", str(log), "--log-size", "4M", str(port), "key")
            with Program(SOP_CHAT, *options) as server:
                server.wait_for("listening")
                torn += "torn" in server.stdout
                frames = _checked(log)
                assert frames >= known, "what had been restored once is gone"
                known = frames
                if number < kills:
                    _flood(port, number, log, chance)
                server.process.send_signal(signal.SIGKILL)
                server.wait()
        return {
            "kills, of a flooded server": Figure(kills),
            "frames in the log, none missing": Figure(known),
            "restarts that cut a torn tail off": Figure(torn),
        }


def _flood(port: int, number: int, log: Path, chance: random.Random) -> None:
    """Send until the log has grown by a random number of frames, each time other chunks."""
    inode, size = log.stat().st_ino, log.stat().st_size + chance.randrange(512, 2_000_000)
    frames = range(chance.choice((1, 3, 50, 400)))
    with Client.join(port, "ann") as ann:
        chunk = b"".join(frame("ann", f"{number} {place}") for place in frames)
        end = time.monotonic() + PATIENCE
        while (state := log.stat()).st_ino == inode and state.st_size < size:
            ann.send(chunk)
            assert time.monotonic() < end, "the log does not grow"


def _checked(log: Path) -> int:
    """The number of frames in the log; each is one that was sent, and none is missing."""
    following = 1
    for part in scan(log):
        assert isinstance(part, Group), part
        assert part.sequence == following
        assert not part.lost
        following = part.end
        for one in cut(part.frames):
            number, _, place = one[64:].rstrip(b"\0").partition(b" ")
            assert one == frame("ann", f"{int(number)} {int(place)}")
    return following - 1
