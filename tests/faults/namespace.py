"""A network of the system's own, in a namespace: thin, lossy where the kernel can, and cut.

`python -m tests.faults.namespace SECONDS SILENCE` is what runs there; its loopback device is the
network. A member at an address that is taken away is one whose cable was pulled.
"""

import json
import os
import shutil
import subprocess
import sys
import time

from sopchat import limits
from tests.faults.figures import Figure, Figures, Unable, percentile
from tests.faults.party import party_of
from tests.faults.room import Room
from tests.support.clients import Client
from tests.support.frames import FRAME, frame

# A delay that varies, a loss of 2 %, and a quarter that overtakes; where the kernel has no netem,
# a thin line whose queue drops what it cannot hold.
_NETEM = "netem delay 20ms 10ms loss 2% reorder 25% 50%"
_THIN = "tbf rate 400kbit burst 4kb limit 8kb"
# Where a member lives that will be cut off, and where all connect then.
_HOUSE, _SERVER = "10.9.0.2", "10.9.0.1"
# Seconds without a sign of life, as the server says them, and what may be added.
_SILENCE = limits.KEEPALIVE_IDLE + limits.KEEPALIVE_PROBES * limits.KEEPALIVE_INTERVAL
_LATE = 15.0


def _unshare() -> list[str]:
    """The command that runs another one in a network of its own."""
    for tool in ("unshare", "ip", "tc"):
        if shutil.which(tool) is None:
            raise Unable(f"{tool} is not installed")
    mapped = [] if os.geteuid() == 0 else ["--map-root-user"]
    command = ["unshare", "--net", *mapped]
    up = [*command, "ip", "link", "set", "lo", "up"]
    tried = subprocess.run(up, capture_output=True, text=True)
    if tried.returncode:
        raise Unable(tried.stderr.strip())
    return command


def run(seconds: float, silence: bool = False) -> Figures:
    """People talk for so long over a bad line; then, if wanted, two minutes of silence.

    Raises Unable where the system does not let us.
    """
    inside = [sys.executable, "-m", "tests.faults.namespace", str(seconds), str(int(silence))]
    done = subprocess.run([*_unshare(), *inside], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    return {name: Figure(value, unit) for name, (value, unit) in measured.items()}


def _ip(words: str) -> None:
    subprocess.run(["ip", *words.split()], check=True)


def _weather() -> str:
    """Make the loopback device a bad line, and say of which kind."""
    for line in (_NETEM, _THIN):
        command = ["tc", "qdisc", "replace", "dev", "lo", "root", *line.split()]
        if subprocess.run(command, capture_output=True).returncode == 0:
            return line.split()[0]
    raise AssertionError("tc knows no line that could be bad")


def _talk(seconds: float) -> Figures:
    kind = _weather()
    try:
        with Room() as room, party_of(room, "frame", "frame", "frame") as party:
            party.last(seconds, 20)
            party.settle()
            delays = party.delays
    finally:
        subprocess.run(["tc", "qdisc", "del", "dev", "lo", "root"], check=True)
    return {
        f"{kind}: words said, all heard in one order": Figure(party.said),
        f"{kind}: from a word to who hears it, p50": Figure(percentile(delays, 50) * 1000, "ms"),
        f"{kind}: p99": Figure(percentile(delays, 99) * 1000, "ms"),
    }


def _cut_off() -> Figures:
    """A member whose address is gone, where nobody speaks, and where somebody does."""
    _ip(f"addr add {_SERVER}/24 dev lo")
    _ip(f"addr add {_HOUSE}/32 dev lo")
    with (
        Room() as quiet,
        Room() as busy,
        party_of(busy, "frame") as party,
        Client(quiet.port, _SERVER, source=_HOUSE) as one,
        Client(busy.port, _SERVER, source=_HOUSE) as other,
    ):
        for gone in (one, other):
            gone.send(frame("gone", "key"))
            assert len(gone.receive()) == FRAME
        _ip(f"addr del {_HOUSE}/32 dev lo")
        _ip(f"route add blackhole {_HOUSE}/32")
        start = time.monotonic()
        took: dict[str, float] = {}
        while len(took) < 2 and time.monotonic() - start < _SILENCE + _LATE:
            party.last(0.5, 4)
            for name, room in (("quiet", quiet), ("busy", busy)):
                if name not in took and "gone left" in room.stdout:
                    took[name] = time.monotonic() - start
        party.settle()
    assert len(took) == 2, f"noticed: {took}"
    return {
        f"{name} room: who is gone is noticed after": Figure(t, "s") for name, t in took.items()
    }


def main() -> None:
    """Measure in this namespace, and print names, values and units."""
    seconds, silence = float(sys.argv[1]), bool(int(sys.argv[2]))
    _ip("link set lo up mtu 1500")
    figures = {**_talk(seconds), **(_cut_off() if silence else {})}
    print(json.dumps({name: (figure.value, figure.unit) for name, figure in figures.items()}))


if __name__ == "__main__":
    main()
