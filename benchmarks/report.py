"""The figures as tables in Markdown, and as JSON for whoever follows them over time."""

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path

import attrs

import sopchat
from benchmarks.peers import NATS, NCAT, PEERS, QUIET, Peer
from benchmarks.targets import TARGETS
from benchmarks.workloads import Figures, Workload

# From this part of the time on for which the load generator had its processors, it may be what
# limits a figure.
BUSY = 0.9


@attrs.define
class Outcome:
    """What the turns of one workload with one peer gave."""

    turns: list[Figures] = attrs.field(factory=list)
    # What the peer did wrong, if it did.
    fault: str = ""

    @property
    def median(self) -> float:
        """Of all turns. Raises StatisticsError without any."""
        return statistics.median(turn["value"] for turn in self.turns)

    @property
    def limited(self) -> bool:
        """Whether the load generator may be what limits the figure."""
        return statistics.median(turn.get("busy", 0) for turn in self.turns) >= BUSY


# By the title of the workload and the name of the peer.
Results = Mapping[str, Mapping[str, Outcome]]


def shown(value: float, unit: str) -> str:
    """A figure in few digits, with its unit."""
    if unit == "/s":
        return f"{value / 1e6:.2f} M/s" if value >= 1e6 else f"{value / 1e3:.1f} k/s"
    if unit == "us":
        return f"{value / 1e3:.2f} ms" if value >= 1e3 else f"{value:.0f} µs"
    if unit == "B":
        return f"{value / 1024:.1f} KiB"
    if unit == "s":
        return f"{value:.2f} s"
    return f"{value:.0f} ms"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"| {' | '.join(['---'] + ['--:'] * (len(head) - 1))} |"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _cells(workload: Workload, results: Results, peers: Sequence[str]) -> Iterator[str]:
    outcomes = results.get(workload.title, {})
    for name in peers:
        outcome = outcomes.get(name)
        if outcome is None:
            yield ""
        elif outcome.fault:
            yield outcome.fault
        else:
            yield shown(outcome.median, workload.unit) + ("*" if outcome.limited else "")


def tables(planned: Sequence[Workload], results: Results) -> str:
    """The machine, every workload with its peers, the growth curve, and the targets."""
    names = [peer.name for peer in PEERS]
    lines = [f"{machine()}.", ""]
    apart = [workload for workload in planned if {peer.name for peer in workload.peers} - {*names}]
    rows = [
        [workload.title, *_cells(workload, results, names)]
        for workload in planned
        if not workload.size and workload not in apart
    ]
    if rows:
        lines += _table(["workload", *names], rows)
    for workload in apart:
        others = [peer.name for peer in workload.peers]
        rows = [[workload.title, *_cells(workload, results, others)]]
        lines += _table(["workload", *others], rows)
    curve = [workload for workload in planned if workload.size]
    if curve:
        names = [peer.name for peer in curve[0].peers]
        rows = [[workload.title, *_cells(workload, results, names)] for workload in curve]
        lines += _table(["members", *names], rows)
    lines += _table(["target", "of", "is", "measured", "met"], list(_targets(planned, results)))
    return "\n".join(lines).rstrip() + "\n"


def _targets(planned: Sequence[Workload], results: Results) -> Iterator[list[str]]:
    units = {workload.title: workload.unit for workload in planned}
    for target in TARGETS:
        outcomes = results.get(target.workload, {})
        own = outcomes.get(target.peer.name)
        beside = outcomes.get(target.beside.name) if target.beside else Outcome([{"value": 1.0}])
        if own is None or beside is None or own.fault or beside.fault:
            continue
        unit = units[target.workload]
        measured = shown(own.median, unit)
        if target.beside:
            measured += (
                f", {own.median - beside.median:+.0f}"
                if target.plus
                else f", {own.median / beside.median:.2f} times"
            )
        met = "yes" if target.met(own.median, beside.median) else "**no**"
        yield [target.workload, target.peer.name, target.words, measured, met]


def machine() -> str:
    """What the figures were measured on."""
    model = platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = f"{line.partition(':')[2].strip()}, {model}"
            break
    processors = len(os.sched_getaffinity(0))
    return (
        f"{processors} processors ({model}), {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, Trio {version('trio')}, loopback"
    )


def versions(peers: Sequence[Peer]) -> dict[str, str]:
    """What the servers from elsewhere call themselves."""
    found = {QUIET.name: sopchat.__version__}
    for peer in (NATS, NCAT):
        if peer in peers:
            command = [peer.command[0], "--version"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            found[peer.name] = (done.stdout + done.stderr).strip().partition("\n")[0]
    return found


def as_json(planned: Sequence[Workload], results: Results, peers: Sequence[Peer]) -> str:
    """Everything that was measured."""
    return (
        json.dumps(
            {
                "date": date.today().isoformat(),
                "machine": machine(),
                "versions": versions(peers),
                "workloads": {
                    workload.title: {
                        "unit": workload.unit,
                        "peers": {
                            name: {"fault": outcome.fault}
                            if outcome.fault
                            else {"median": outcome.median, "turns": outcome.turns}
                            for name, outcome in results.get(workload.title, {}).items()
                        },
                    }
                    for workload in planned
                },
            },
            indent=1,
        )
        + "\n"
    )
