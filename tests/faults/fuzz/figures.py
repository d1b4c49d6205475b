"""Bytes that nobody expects, as an experiment of the laboratory."""

import importlib
import importlib.util
from collections.abc import Sequence

from tests.faults.figures import Figure, Figures, Unable
from tests.faults.fuzz.__main__ import TURN, Run, run_all
from tests.faults.fuzz.targets import SUBJECTS, Target, targets


def run(inputs: int, jobs: int, chosen: Sequence[Target] = (), turn: float = TURN) -> Figures:
    """At least so many inputs over the chosen targets, or all; each takes turns (seconds).

    Asserts that none breaks a promise, hangs or leaks. Raises Unable without what drives them.
    """
    if importlib.util.find_spec("atheris") is None:
        raise Unable("atheris is missing: scripts/fuzz installs it, where there is one")
    runs = run_all(chosen or list(targets().values()), turn, jobs, inputs)
    for one in runs:
        assert not one.fault, f"{one.target.name}: {one.fault}"
    rows = {_row(subject, runs): Figure(_inputs(runs, subject)) for subject in SUBJECTS}
    return {name: figure for name, figure in rows.items() if figure.value} | {
        "promises": Figure(len(runs)),
        "inputs for all": Figure(sum(one.inputs for one in runs)),
        "inputs for one at least": Figure(min(one.inputs for one in runs)),
        "time, of one processor": Figure(sum(one.seconds for one in runs) / 60, "min"),
        "inputs that broke a promise, hung, or took too much memory": Figure(
            sum(bool(one.fault) for one in runs)
        ),
    }


def _inputs(runs: Sequence[Run], subject: str) -> int:
    return sum(one.inputs for one in runs if one.target.subject == subject)


def _row(subject: str, runs: Sequence[Run]) -> str:
    """What a subject is about, in its own words, and how many promises there are."""
    about = importlib.import_module(f"tests.faults.fuzz.{subject}").__doc__ or ""
    count = sum(one.target.subject == subject for one in runs)
    return f"{about.strip().rstrip('.')} ({count} promise{'s' * (count != 1)})"
