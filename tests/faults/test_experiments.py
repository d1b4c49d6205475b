"""Every experiment at a small scale. What must hold, each asserts itself."""

import importlib.util
import os
import re
from pathlib import Path

import pytest

from tests.faults import (
    clocks,
    console,
    crowd,
    descriptors,
    endings,
    memory,
    namespace,
    network,
    reliability,
    soak,
    stuck,
)
from tests.faults.figures import Figure, Unable
from tests.faults.fuzz import figures as fuzz
from tests.faults.fuzz.__main__ import Run
from tests.faults.fuzz.targets import targets
from tests.support.programs import require_tool


def test_connections_that_end_at_any_point_leave_nothing_behind() -> None:
    figures = endings.run(rounds=1, auth_timeout=0.5)
    assert figures["connections ended"].value > 100


def test_a_stuck_member_costs_the_others_nothing_and_is_cut_in_time() -> None:
    figures = stuck.run(members=20, turns=1, seconds=1.0)
    cut = figures["it is cut after it has taken nothing for, at most"].value
    assert cut > 0.9 * stuck.STALL


def test_in_a_crowd_of_which_a_tenth_misbehaves_the_others_hear_all_in_one_order() -> None:
    figures = crowd.run(members=60, seconds=2.0)
    assert figures["frames heard by each, in one order"].value >= 20


def test_a_bad_network_delays_and_loses_nothing_and_who_is_cut_off_is_noticed() -> None:
    figures = network.run(seconds=0.5)
    # The way there and back is played: each word takes at least that.
    assert figures["far away: from a word to who hears it, p99"].value > 300


def test_a_bad_network_of_the_system_delays_and_loses_nothing() -> None:
    for tool in ("unshare", "ip", "tc"):
        require_tool(tool)
    try:
        figures = namespace.run(seconds=1.0)
    except Unable as why:
        pytest.skip(str(why))
    assert max(figure.value for name, figure in figures.items() if "p99" in name) > 1


def test_without_descriptors_the_members_go_on_and_who_waits_gets_in() -> None:
    figures = descriptors.run(crowd=60, free=20, seconds=1.0)
    assert figures["processor used meanwhile"].value > 0


def test_a_stuck_console_disturbs_nobody_and_tells_what_it_did_not_show() -> None:
    figures = console.run(words=30_000)
    for output in ("pipe", "terminal"):
        assert 0 < figures[f"{output}: lines not shown, as it is told after"].value < 30_000


def test_the_worst_that_the_rules_allow_stays_under_the_ceiling() -> None:
    figures = memory.run(members=8, seconds=2.0)
    assert figures["the empty server"].value < figures["the most it used"].value


def test_a_wall_clock_that_jumps_changes_nothing() -> None:
    figures = clocks.run(seconds=1.0, jumps=10)
    assert figures["words said, all heard"].value >= 90


def test_parsers_keep_their_promises_for_some_inputs_of_any_kind() -> None:
    chosen = targets("commands")
    try:
        figures = fuzz.run(1000, 2, [chosen["port"], chosen["size"]], turn=1.0)
    except Unable as why:
        if os.environ.get("CI") == "true":
            pytest.fail(str(why))
        pytest.skip(str(why))
    assert figures["inputs for all"].value >= 1000
    assert figures["inputs for one at least"].value > 0


def test_a_parser_that_breaks_its_promise_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    def goes(run: Run, seconds: float, seed: int) -> None:
        run.inputs, run.fault = 7, "it hangs"

    monkeypatch.setattr(Run, "go_on", goes)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    with pytest.raises(AssertionError, match="port: it hangs"):
        fuzz.run(7, 1, [targets("commands")["port"]])


def test_a_short_soak_leaves_nothing_behind() -> None:
    told: list[str] = []
    figures = soak.run(0.1, tell=told.append)
    assert told[0] == f"seed {figures['seed'].value}"
    assert figures["lives of who misbehaves"].value > 0


def test_the_page_has_a_section_for_every_experiment_and_no_other() -> None:
    marks = re.findall(r"<!-- (\w+) -->\n", reliability.PAGE.read_text("utf-8"))
    assert sorted(marks) == sorted([*reliability.EXPERIMENTS, "machine"])


def test_figures_are_written_into_their_section_and_what_does_not_hold_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> dict[str, Figure]:
        raise AssertionError("the order is another")

    page = tmp_path / "reliability.md"
    marks = ("good", "bad", "machine")
    page.write_text("".join(f"<!-- {mark} -->\nold\n<!-- end of {mark} -->\n" for mark in marks))
    monkeypatch.setattr(reliability, "PAGE", page)
    experiments = {"good": lambda: {"cut after": Figure(5.25, "s")}, "bad": broken}
    monkeypatch.setattr(reliability, "EXPERIMENTS", experiments)
    assert reliability.main(["--write"]) == 1
    assert "DOES NOT HOLD: the order is another" in capsys.readouterr().out
    good, bad, machine = page.read_text().split("-->\n<!--")
    assert good.endswith("| cut after | 5.25 s |\n<!-- end of good ")
    assert "old" in bad
    assert "old" not in machine
    assert reliability.main(["good"]) == 0
    with pytest.raises(SystemExit) as refused:
        reliability.main(["ugly"])
    assert refused.value.code == 2
