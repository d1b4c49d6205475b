"""Everything at random, for long: `scripts/soak MINUTES`."""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from sopchat.arguments import at_least
from tests.faults.figures import Figure, Figures, milliseconds, percentile
from tests.faults.party import Party, party_of
from tests.faults.room import Room
from tests.faults.villains import KINDS, villains
from tests.support.programs import eventually, wait_until_listening

# Members at most, and of these honest ones who come and go.
_MEMBERS, _VISITORS = 120, 12
# Honest ones who stay, the witness among them, and at which doors.
_DOORS = ("frame", "frame", "frame", "line", "talk")
_RESIDENTS = len(_DOORS) + 1
# Seconds for which the same kinds misbehave.
_EPISODE = 10.0
# By how much the server may be larger in the end than after the warm-up (KiB): the worst of the
# coincidences may come after it, and allocators keep what they had once. A leak has no end.
_TOLERANCE = 32 * 1024
# The part of the time that is for warming up, and for no longer than this (seconds).
_WARM_UP, _LONGEST_WARM_UP = 0.5, 300.0


def run(minutes: float, seed: int | None = None, tell: Callable[[str], None] = print) -> Figures:
    """Members come, go, flood, reset, and are stuck, at all doors, all the time."""
    seed = random.randrange(10**6) if seed is None else seed
    tell(f"seed {seed}")
    chance = random.Random(seed)
    lives: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "shown").open("wb") as shown:
        with Room(members=_MEMBERS, shown=True, stdout=shown.fileno()) as room:
            wait_until_listening(room.port)
            with party_of(room, *_DOORS) as party:
                party.last(0.5, 50)
                party.settle()
                begun = room.belongings()
                start, whole = time.monotonic(), minutes * 60
                _live(party, chance, start + min(whole * _WARM_UP, _LONGEST_WARM_UP), lives)
                warm = room.status("VmRSS")
                while (left := start + whole - time.monotonic()) > 0:
                    _live(party, chance, time.monotonic() + min(60.0, left), lives)
                    tell(f"{room.status('VmRSS') / 1024:.1f} MiB, {party.said} words heard by all")
                for visitor in party.members[_RESIDENTS:]:
                    party.leave(visitor)
                room.returns_to(begun)
                eventually(
                    lambda: room.status("VmRSS") < warm + _TOLERANCE,
                    f"{room.status('VmRSS')} KiB, and {warm} after the warm-up",
                )
                now, end = room.belongings(), room.status("VmRSS")
                assert now.threads <= begun.threads + 1, f"{now.threads} threads"
        text = (Path(folder) / "shown").read_text("utf-8", "replace")
        assert "internal error" not in text, text[text.index("internal error") - 1000 :][:2000]
    return {
        "minutes": Figure(minutes),
        "seed": Figure(seed),
        "lives of who misbehaves": Figure(sum(lives.values())),
        "words of the honest, heard by all in one order": Figure(party.said),
        "frames relayed": Figure(party.heard),
        "from a word to who hears it, p50": milliseconds(percentile(party.delays, 50)),
        "memory after the warm-up": Figure(warm / 1024, "MiB"),
        "memory at the end": Figure(end / 1024, "MiB"),
        "descriptors more than at the start": Figure(now.descriptors - begun.descriptors),
    }


def _live(party: Party, chance: random.Random, end: float, lives: Counter[str]) -> None:
    """Until then: honest members talk, others of them come and go, and some kinds misbehave."""
    # At the other doors what is said may be cut in two, while everybody waits for a slow member.
    speakers = [member for member in party.members[1:_RESIDENTS] if member.door == "frame"]
    while (left := end - time.monotonic()) > 0:
        kinds = {kind: chance.randint(1, 5) for kind in chance.sample(sorted(KINDS), 4)}
        seed, episode = chance.randrange(10**6), time.monotonic() + min(left, _EPISODE)
        with villains(party.room, kinds, seed, burst=chance.randint(1, 400)) as led:
            while (left := episode - time.monotonic()) > 0:
                visitors = party.members[_RESIDENTS:]
                if len(visitors) < chance.randrange(_VISITORS + 1):
                    party.join()
                elif visitors:
                    party.leave(chance.choice(visitors))
                party.last(min(chance.uniform(0, 0.5), left), 40, speakers)
        party.settle()
        lives.update(led)


def main() -> int:
    """Soak for so many minutes; exit status 1 if something does not hold."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("minutes", type=at_least(0.05, float))
    parser.add_argument("--seed", type=int, help="the seed of a run that is to be made again")
    options = parser.parse_args()
    try:
        figures = run(options.minutes, options.seed, lambda line: print(line, flush=True))
    except AssertionError as broken:
        print(f"soak: {broken}", file=sys.stderr)
        return 1
    for name, figure in figures.items():
        print(f"{name}: {figure}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
