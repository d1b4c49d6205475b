"""What the benchmark makes of its figures."""

import json

import pytest

from benchmarks import report
from benchmarks.peers import NATS, NCAT, PLAIN, QUIET, RELAY, SHOWN, Peer
from benchmarks.report import Outcome, shown
from benchmarks.targets import TARGETS, Target
from benchmarks.workloads import FULL, QUICK, workloads


def outcome(*values: float, busy: float = 0.0) -> Outcome:
    return Outcome([{"value": value, "busy": busy} for value in values])


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (2_345_678, "/s", "2.35 M/s"),
        (8_431, "/s", "8.4 k/s"),
        (36.4, "us", "36 µs"),
        (6_612, "us", "6.61 ms"),
        (6_880, "B", "6.7 KiB"),
        (131.2, "ms", "131 ms"),
        (5.678, "s", "5.68 s"),
    ],
)
def test_a_figure_is_shown_in_few_digits(value: float, unit: str, words: str) -> None:
    assert shown(value, unit) == words


def test_a_table_has_medians_faults_and_marks_what_the_load_generator_limits() -> None:
    planned = [next(workloads(FULL))]
    results = {
        planned[0].title: {
            PLAIN.name: outcome(100e3, 300e3, 200e3),
            RELAY.name: outcome(4e6, busy=0.97),
            NCAT.name: Outcome(fault="mixes frames"),
            SHOWN.name: outcome(1.5e6),
        }
    }
    (row,) = (
        line
        for line in report.tables(planned, results).splitlines()
        if line.startswith("| 4 flooding one another | 2")
    )
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[1:] == ["200.0 k/s", "4.00 M/s*", "", "mixes frames", "", "", "", "1.50 M/s", ""]


@pytest.mark.parametrize(
    ("target", "own", "beside", "met"),
    [
        (Target("w", SHOWN, 8, PLAIN), 8.0, 1.0, True),
        (Target("w", SHOWN, 8, PLAIN), 7.9, 1.0, False),
        (Target("w", QUIET, 1.2, RELAY, most=True), 1.2, 1.0, True),
        (Target("w", QUIET, 1.2, RELAY, most=True), 1.3, 1.0, False),
        (Target("w", SHOWN, 120, NATS, most=True, plus=True), 219.0, 100.0, True),
        (Target("w", SHOWN, 120, NATS, most=True, plus=True), 221.0, 100.0, False),
        (Target("w", SHOWN, 8192, most=True), 8192.0, 1.0, True),
        (Target("w", SHOWN, 8192, most=True), 8193.0, 1.0, False),
    ],
)
def test_a_target_is_met_or_not(target: Target, own: float, beside: float, met: bool) -> None:
    assert target.met(own, beside) is met


def test_a_missed_target_stands_out() -> None:
    planned = [next(workloads(FULL))]
    results = {planned[0].title: {PLAIN.name: outcome(1e6), SHOWN.name: outcome(2e6)}}
    assert "2.00 M/s, 2.00 times | **no** |" in report.tables(planned, results)


def test_every_target_is_of_a_workload_that_both_take_part_in() -> None:
    planned = {workload.title: workload for workload in workloads(FULL)}
    for target in TARGETS:
        workload = planned[target.workload]
        others: list[Peer | None] = [None, *workload.peers]
        assert target.peer in workload.peers
        assert target.beside in others or workload.measure is None


def test_the_quick_run_measures_what_the_full_one_does_but_for_some_sizes() -> None:
    full, quick = ({w.title for w in workloads(effort) if not w.size} for effort in (FULL, QUICK))
    assert full == quick


def test_json_has_every_turn() -> None:
    planned = [next(workloads(FULL))]
    results = {planned[0].title: {PLAIN.name: outcome(1, 3), NCAT.name: Outcome(fault="mixes")}}
    everything = json.loads(report.as_json(planned, results, ()))
    assert everything["workloads"][planned[0].title] == {
        "unit": "/s",
        "peers": {
            PLAIN.name: {
                "median": 2,
                "turns": [{"value": 1, "busy": 0}, {"value": 3, "busy": 0}],
            },
            NCAT.name: {"fault": "mixes"},
        },
    }
