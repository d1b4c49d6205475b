"""An output that nobody reads: a pipe, and a terminal that Ctrl-S stopped."""

import contextlib
import os
import re
import select
import time
from collections.abc import Callable, Iterator

import attrs

from sopchat.limits import CONSOLE_MARK
from tests.faults.figures import Figure, Figures, milliseconds, percentile
from tests.faults.party import party_of
from tests.faults.room import Room
from tests.support.clients import PATIENCE
from tests.support.programs import wait_until_listening

# What waits for the output, formatted, joined, and as it is being formatted: so much memory in all.
_MOST_GROWTH = 4 * CONSOLE_MARK

_FILLER = b"x" * 400


@attrs.frozen
class Output:
    """Where the server writes, and the end from which we read; stopped and moving again."""

    inner: int
    outer: int
    stop: Callable[[], object]
    move: Callable[[], object]


@contextlib.contextmanager
def pipe() -> Iterator[Output]:
    """A pipe, stopped by not being read."""
    outer, inner = os.pipe()
    yield Output(inner, outer, lambda: None, lambda: None)
    os.close(outer)
    os.close(inner)


@contextlib.contextmanager
def terminal() -> Iterator[Output]:
    """A terminal, stopped by Ctrl-S and moved by Ctrl-Q."""
    outer, inner = os.openpty()
    yield Output(inner, outer, lambda: os.write(outer, b"\x13"), lambda: os.write(outer, b"\x11"))
    os.close(outer)
    os.close(inner)


def _read_until(output: Output, text: bytes) -> bytes:
    """What the server shows, until it shows the text."""
    shown = bytearray()
    end = time.monotonic() + PATIENCE
    while text not in shown[-65536:]:
        assert time.monotonic() < end, f"{text!r} is not shown after {bytes(shown[-300:])!r}"
        if select.select([output.outer], [], [], 0.1)[0]:
            shown += os.read(output.outer, 65536)
    return bytes(shown)


def _stuck(output: Output, words: int) -> tuple[int, float, float]:
    """Lines that were not shown; bytes by which the server grew; seconds, p99, of a word."""
    with contextlib.ExitStack() as stack:
        room = stack.enter_context(Room(shown=True, stdout=output.inner, env={"NO_COLOR": "1"}))
        wait_until_listening(room.port)
        party = stack.enter_context(party_of(room, "frame", "frame"))
        ann = party.members[1]
        _read_until(output, b"honest-3 joined")
        output.stop()
        memory = room.status("VmRSS")
        for _ in range(words // 100):
            party.say(ann, 100, _FILLER)
            party.turn()
        party.settle()
        party.delays.clear()
        party.last(1.0, 100)
        party.settle()
        growth = (room.status("VmHWM") - memory) * 1024
        assert growth < _MOST_GROWTH, f"the server grew by {growth} bytes"
        output.move()
        shown = _read_until(output, b"lines so far not shown: the output did not take them")
        party.say(ann)
        party.settle()
        shown += _read_until(output, b"honest-2: %d " % (ann.said - 1))
        counts = re.findall(rb"(\d+) lines so far not shown", shown)
        unshown = int(counts[-1])
        lines = len(re.findall(rb"^honest-\d: \d+ \d+x*\r?$", shown, re.MULTILINE))
        # The very last line may still be on its way to its end.
        assert lines + unshown in (party.said - 1, party.said), f"{lines} + {unshown}"
        return unshown, growth, percentile(party.delays, 99)


def run(words: int) -> Figures:
    """So many words are said while the output is stuck."""
    figures: dict[str, Figure] = {"messages, of 420 bytes each": Figure(words)}
    for name, kind in (("pipe", pipe), ("terminal", terminal)):
        with kind() as output:
            unshown, growth, delay = _stuck(output, words)
        assert 0 < unshown < words
        figures[f"{name}: lines not shown, as it is told after"] = Figure(unshown)
        figures[f"{name}: the server grows by"] = Figure(growth / 2**20, "MiB")
        figures[f"{name}: from a word to who hears it, p99"] = milliseconds(delay)
    return figures
