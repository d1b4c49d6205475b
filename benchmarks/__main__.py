"""`scripts/bench`: measures sop-chat beside its peers and prints the tables."""

import argparse
import contextlib
import os
import re
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import attrs
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks import chart, report
from benchmarks.peers import PEERS, QUIET, SHOWN, Peer, PeerFault, build, running
from benchmarks.report import Outcome
from benchmarks.workloads import (
    FULL,
    IMPORT_TRIO,
    QUICK,
    Effort,
    Figures,
    Workload,
    run_to_end,
    start,
    workloads,
)

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
PAGE = DOCS / "performance.md"
# Descriptors that a server and the load generator need beside those of the members.
SPARE_DESCRIPTORS = 64
# Between these two the page holds what the last `--write` measured.
FIGURES = re.compile(r"(?<=<!-- figures -->\n).*(?=<!-- end of figures -->)", re.DOTALL)


class Run:
    """All rounds of all workloads, with progress on standard error."""

    def __init__(self, planned: Sequence[Workload], effort: Effort) -> None:
        self._planned = planned
        self._effort = effort
        self.results: dict[str, dict[str, Outcome]] = {}
        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )

    def __call__(self) -> None:
        """Measure everything: round by round, and within one the peers in turn."""
        with self._progress:
            task = self._progress.add_task("", total=self._effort.rounds * len(self._planned))
            for number in range(self._effort.rounds):
                for workload in self._planned:
                    here = f"round {number + 1} of {self._effort.rounds}: {workload.title}"
                    self._progress.update(task, description=here)
                    if self._progress.disable:
                        self._console.print(here)
                    self._round(workload, number)
                    self._progress.advance(task)

    def _round(self, workload: Workload, number: int) -> None:
        peers = [peer for peer in workload.peers if not peer.missing]
        # Nobody is always the first.
        place = number % len(peers)
        peers = peers[place:] + peers[:place]
        if workload.measure is None:
            for _ in range(workload.turns):
                self._outcome(workload, IMPORT_TRIO).turns.append(run_to_end(IMPORT_TRIO))
                for peer in peers:
                    self._turn(workload, peer, partial(start, peer))
            return
        with contextlib.ExitStack() as stack:
            servers = {}
            for peer in peers:
                try:
                    servers[peer] = stack.enter_context(running(peer))
                except PeerFault as fault:
                    self._note(workload, peer, fault)
            for _ in range(workload.turns):
                for peer, server in servers.items():
                    self._turn(workload, peer, partial(workload.measure, server))

    def _turn(self, workload: Workload, peer: Peer, measure: Callable[[], Figures]) -> None:
        outcome = self._outcome(workload, peer)
        if not outcome.fault:
            try:
                outcome.turns.append(measure())
            except PeerFault as fault:
                self._note(workload, peer, fault)

    def _note(self, workload: Workload, peer: Peer, fault: PeerFault) -> None:
        self._outcome(workload, peer).fault = str(fault)
        self._console.print(f"{peer.name}, {workload.title}: {fault}")

    def _outcome(self, workload: Workload, peer: Peer) -> Outcome:
        return self.results.setdefault(workload.title, {}).setdefault(peer.name, Outcome())

    def own_faults(self) -> Iterator[str]:
        """What sop-chat did wrong."""
        for title, outcomes in self.results.items():
            for peer in (SHOWN, QUIET):
                if peer.name in outcomes and outcomes[peer.name].fault:
                    yield f"{peer.name}, {title}: {outcomes[peer.name].fault}"


def allow_descriptors() -> int:
    """As many as the system lets this user have; the members for whom that is enough."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most - SPARE_DESCRIPTORS


def parse() -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(
        prog="bench",
        description="Measures sop-chat beside its peers, in one run, in turn. Every figure is the"
        " median of the rounds; compare only within a run. Needs gcc; with ncat installed, that is"
        " measured as well.",
    )
    parser.add_argument("--quick", action="store_true", help="one short round, under a minute")
    parser.add_argument(
        "--processors", type=int, metavar="N", help="run everything on N processors (default: all)"
    )
    parser.add_argument("--rounds", type=int, metavar="N", help="default: 5; with --quick: 1")
    parser.add_argument(
        "--only", metavar="TEXT", action="append", help="workloads with TEXT in their title only"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    parser.add_argument("--charts", type=Path, metavar="FOLDER", help="draw them there")
    parser.add_argument(
        "--write", action="store_true", help="write tables, JSON and charts into docs/"
    )
    options = parser.parse_args()
    options.effort = QUICK if options.quick else FULL
    if options.rounds is not None:
        options.effort = attrs.evolve(options.effort, rounds=options.rounds)
    options.planned = [
        workload
        for workload in workloads(options.effort)
        if not options.only or any(text in workload.title for text in options.only)
    ]
    if not options.planned:
        parser.error(f"no workload has {' or '.join(options.only)} in its title")
    if options.effort.rounds < 1 or (options.processors or 1) < 1:
        parser.error("at least one round, on at least one processor")
    return options


def possible(planned: Sequence[Workload]) -> list[Workload]:
    """The workloads for which this machine allows enough descriptors; tells the others."""
    members = allow_descriptors()
    for workload in planned:
        if workload.members > members:
            print(f"bench: too few descriptors are allowed for: {workload.title}", file=sys.stderr)
    return [workload for workload in planned if workload.members <= members]


def main() -> int:
    """Build, measure, print.

    Status 1 if sop-chat lost or harmed a frame, and, where CI is set, if a peer is missing.
    """
    options = parse()
    build()
    missing = [f"{peer.name}: {peer.missing} is not installed" for peer in PEERS if peer.missing]
    for what in missing:
        print(f"bench: left out is {what}", file=sys.stderr)
    if missing and os.environ.get("CI"):
        return 1
    if options.processors:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options.processors])
    planned = possible(options.planned)
    run = Run(planned, options.effort)
    run()
    tables = report.tables(planned, run.results)
    print(tables, end="")
    if options.json or options.write:
        figures = report.as_json(planned, run.results, PEERS)
        (options.json or DOCS / "performance.json").write_text(figures)
    if options.charts or options.write:
        chart.draw(options.charts or DOCS, planned, run.results)
    if options.write:
        PAGE.write_text(FIGURES.sub(lambda _: tables, PAGE.read_text()))
    faults = list(run.own_faults())
    for fault in faults:
        print(f"bench: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
