"""The experiments at full scale: `scripts/reliability [--write] [NAME ...]`.

Prints what each measured, and ends with 1 if something does not hold. With --write the figures
stand in docs/reliability.md, which has a section for each.
"""

import argparse
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.report import machine
from tests.faults import (
    clocks,
    console,
    crowd,
    descriptors,
    endings,
    kills,
    memory,
    namespace,
    network,
    soak,
    stuck,
)
from tests.faults.figures import Figures, Unable
from tests.faults.fuzz import figures as fuzz

PAGE = Path(__file__).parent.parent.parent / "docs" / "reliability.md"

# By the name of its section: each at full scale. One more experiment is one more line here, and
# one more section of the page.
EXPERIMENTS: Mapping[str, Callable[[], Figures]] = {
    "endings": partial(endings.run, rounds=10),
    "stuck": partial(stuck.run, members=100, turns=5, seconds=4.0),
    "crowd": partial(crowd.run, members=1000, seconds=30.0),
    "network": partial(network.run, seconds=20.0),
    "namespace": partial(namespace.run, seconds=20.0, silence=True),
    "descriptors": partial(descriptors.run, crowd=1000, free=100, seconds=20.0),
    "console": partial(console.run, words=200_000),
    "memory": partial(memory.run, members=64, seconds=60.0),
    "clocks": partial(clocks.run, seconds=20.0, jumps=200),
    "fuzz": partial(fuzz.run, inputs=10_000_000, jobs=2),
    "kills": partial(kills.run, kills=100),
    "soak": partial(soak.run, minutes=10.0),
}


def table(figures: Figures) -> list[str]:
    """The lines of a table."""
    rows = [f"| {name} | {figure} |" for name, figure in figures.items()]
    return ["| | |", "| --- | --: |", *rows]


def written(page: str, name: str, lines: Sequence[str]) -> str:
    """The page with the lines between the marks of that name."""
    pattern = rf"(?<=<!-- {name} -->\n).*?(?=<!-- end of {name} -->)"
    text = "".join(line + "\n" for line in lines)
    changed, times = re.subn(pattern, lambda _: text, page, flags=re.DOTALL)
    assert times == 1, f"the page has no place for {name}"
    return changed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run them, and put the figures into the page if that is wanted."""
    parser = argparse.ArgumentParser(prog="reliability", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"put the figures into {PAGE.name}")
    parser.add_argument("name", nargs="*", help=f"all of them, or some: {', '.join(EXPERIMENTS)}")
    options = parser.parse_args(arguments)
    for name in options.name:
        if name not in EXPERIMENTS:
            parser.error(f"no experiment is called {name!r}: there are {', '.join(EXPERIMENTS)}")
    status = 0
    for name in options.name or EXPERIMENTS:
        print(f"{name}:", flush=True)
        start = time.monotonic()
        try:
            lines = table(EXPERIMENTS[name]())
        except Unable as why:
            print(f"not made: {why}\n", flush=True)
            continue
        except AssertionError as broken:
            print(f"DOES NOT HOLD: {broken}\n", flush=True)
            status = 1
            continue
        print("\n".join(lines), f"\n{time.monotonic() - start:.0f} s\n", flush=True)
        if options.write:
            page = written(PAGE.read_text("utf-8"), name, lines)
            PAGE.write_text(written(page, "machine", [machine()]), "utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
