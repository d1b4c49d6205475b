"""`scripts/fuzz`: runs targets side by side, and prints what they did as a table."""

import argparse
import concurrent.futures
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import attrs

from sopchat.arguments import at_least
from tests.faults.fuzz import corpus
from tests.faults.fuzz.targets import Target, targets

ROOT = Path(__file__).parent.parent.parent.parent
# What was found, from run to run; not in the repository.
WORK = ROOT / ".fuzz"

# With a number of inputs to run, targets take turns of so many seconds until it is reached. Each
# gets at least such a part of what would be its equal share.
TURN = 10.0
_FAIR = 10

# An input that takes longer hangs; a shared machine may stand still for a while (seconds).
_HANG = 30

# A worker that takes more leaks (MiB).
_MOST_MEMORY = 768

# Blocks that Python objects took at the last look and not at the one before, when there had been
# half as many inputs: more than so many for each input and altogether is a leak.
_LEAK_PER_INPUT, _LEAK = 1.0, 20_000

_FAULTS = {70: "it hangs", 71: "it takes too much memory", 77: "it fails"}

# What a worker says: at each look inputs and blocks, and at a failure a traceback.
_LOOK = re.compile(r"^(\d+) (\d+)$", re.MULTILINE)
_TRACE = re.compile(r"Traceback .*", re.DOTALL)

# So many characters of the end of what libFuzzer said are shown where there is no traceback.
_TOLD = 2000


@attrs.define
class Run:
    """What came of a target so far."""

    target: Target
    inputs: int = 0
    seconds: float = 0.0
    coverage: int = 0
    features: int = 0
    # Blocks of memory for each input between the last two looks.
    growth: float = 0.0
    fault: str = ""

    @property
    def found(self) -> Path:
        """Where the inputs are that added coverage."""
        return WORK / self.target.name

    def go_on(self, seconds: float, seed: int) -> None:
        """Run for so long."""
        if importlib.util.find_spec("atheris") is None:
            sys.exit("atheris is missing: it is there for Linux on x86-64 and Python 3.11 to 3.14")
        self.found.mkdir(parents=True, exist_ok=True)
        kept = corpus.CORPUS / self.target.name
        command = [
            *(sys.executable, "-m", "tests.faults.fuzz.worker"),
            *(self.target.name, self.target.subject),
            f"-max_total_time={max(round(seconds), 1)}",
            f"-max_len={self.target.size}",
            f"-seed={seed}",
            f"-timeout={_HANG}",
            f"-rss_limit_mb={_MOST_MEMORY}",
            f"-artifact_prefix={WORK}/{self.target.name}-",
            *("-print_final_stats=1", "-reload=0"),
            *map(str, [self.found, *([kept] if kept.exists() else [])]),
        ]
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=seconds + 3 * _HANG,  # libFuzzer has ended it by then
            )
        except subprocess.TimeoutExpired:
            self.fault = "it hangs, and nothing could end it"
            return
        self._note(done.stderr.decode(errors="replace"), done.stdout.decode(), done.returncode)
        self.seconds += seconds

    def _note(self, told: str, looks: str, status: int) -> None:
        """Take in what a worker said."""
        for inputs in re.findall(r"stat::number_of_executed_units: *(\d+)", told):
            self.inputs += int(inputs)
        for coverage, features in re.findall(r" cov: (\d+) ft: (\d+) ", told)[-1:]:
            self.coverage, self.features = int(coverage), int(features)
        seen = [(int(one[0]), int(one[1])) for one in _LOOK.findall(looks)]
        if len(seen) > 1:
            (inputs_before, blocks_before), (inputs_last, blocks_last) = seen[-2:]
            grown = blocks_last - blocks_before
            self.growth = grown / (inputs_last - inputs_before)
            if self.growth > _LEAK_PER_INPUT and grown > _LEAK:
                self.fault = f"it leaks: {grown} blocks in the last {inputs_before} inputs"
        if status:
            written = re.search(r"Test unit written to (\S+)", told)
            again = f"\n  scripts/fuzz --input {written[1]} {self.target.name}" if written else ""
            trace = _TRACE.search(looks)
            why = trace[0] if trace else told[-_TOLD:]
            self.fault = f"{_FAULTS.get(status, f'status {status}')}{again}\n{why}".rstrip()

    def figures(self) -> dict[str, object]:
        """As plain values."""
        return {
            "promise": " ".join(self.target.promise.split()),
            "inputs": self.inputs,
            "per_second": round(self.inputs / self.seconds) if self.seconds else 0,
            "coverage": self.coverage,
            "features": self.features,
            "corpus": len(corpus.inputs(corpus.CORPUS / self.target.name)),
            "growth": round(self.growth, 3) + 0.0,  # never -0.0
            "fault": self.fault,
        }


def run_all(chosen: Sequence[Target], seconds: float, jobs: int, inputs: int = 0) -> list[Run]:
    """Run each for so many seconds, and again until all have had their inputs, or one fails.

    `inputs` are wanted over all, and of each target a share: some promises take a thousand times
    as long to check as others.
    """
    runs = [Run(target) for target in chosen]
    share = inputs // len(runs) // _FAIR
    start = int(time.time())
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        left = runs
        for number in range(1, sys.maxsize):
            list(pool.map(lambda run, seed=start + number: run.go_on(seconds, seed), left))
            done = sum(run.inputs for run in runs)
            left = [run for run in runs if done < inputs or run.inputs < share]
            if not left or any(run.fault for run in runs):
                break
            print(f"{done} inputs after {number} turns ...", file=sys.stderr, flush=True)
    return runs


def show(runs: Sequence[Run]) -> None:
    """The table, and then the faults."""
    columns = ("inputs", "per_second", "coverage", "features", "corpus", "growth")
    print(f"{'target':<18}" + "".join(f"{column.replace('_', ' '):>12}" for column in columns))
    for run in runs:
        figures = run.figures()
        print(f"{run.target.name:<18}" + "".join(f"{figures[column]:>12}" for column in columns))
    print(f"{'all':<18}{sum(run.inputs for run in runs):>12}")
    for run in runs:
        if run.fault:
            print(f"\n{run.target.name}: {run.fault}")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("target", nargs="*", help="by default all")
    much = parser.add_mutually_exclusive_group()
    much.add_argument(
        "--seconds", type=at_least(1, float), metavar="N", help="for all together; by default 60"
    )
    much.add_argument(
        "--runs", type=at_least(1, int), metavar="N", help="inputs at least, over all targets"
    )
    much.add_argument("--input", type=Path, metavar="FILE", help="check this one input alone")
    much.add_argument("--list", action="store_true", help="say what each target promises")
    parser.add_argument("-j", "--jobs", type=at_least(1, int), default=os.cpu_count())
    parser.add_argument("--keep", action="store_true", help="make the kept corpora anew")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    options = parser.parse_args(arguments)
    known = targets()
    for name in options.target:
        if name not in known:
            parser.error(f"no target '{name}'; there are: {', '.join(known)}")
    if options.input is not None and len(options.target) != 1:
        parser.error("an input is for one target: --input FILE TARGET")
    options.chosen = [known[name] for name in options.target or known]
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 1 where a target fails, hangs or leaks."""
    options = parse(arguments)
    if options.list:
        for target in options.chosen:
            print(f"{target.name:<18} {' '.join(target.promise.split())}")
        return 0
    if options.input is not None:
        options.chosen[0].check(options.input.read_bytes())
        print("its promise holds for this input")
        return 0
    jobs, count = options.jobs, len(options.chosen)
    turn = TURN if options.runs else (options.seconds or 60.0) * min(jobs, count) / count
    start = time.monotonic()
    runs = run_all(options.chosen, turn, jobs, options.runs or 0)
    failed = any(run.fault for run in runs)
    if options.keep and not failed:
        for run in runs:
            corpus.keep(run.target, run.found)
    show(runs)
    if options.json is not None:
        figures = {
            "seconds": round(time.monotonic() - start),
            "jobs": options.jobs,
            "inputs": sum(run.inputs for run in runs),
            "targets": {run.target.name: run.figures() for run in runs},
        }
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return int(failed)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
