"""A grading: every check of a selection, several at a time, and the verdicts."""

import os
import selectors
import shlex
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from sopchat_grader.calibration import slowness
from sopchat_grader.check import Check, Exercise
from sopchat_grader.containment import Limits, namespaces_work
from sopchat_grader.result import Outcome, Report, Result
from sopchat_grader.solution import Solution
from sopchat_grader.trial import Setting
from sopchat_grader.worker import ATTEMPT, Worker

# A check that fails is made once more, with more patience: what passes then is flaky.
_ATTEMPTS = 2
_PATIENCE_OF = {1: 1.0, 2: 2.0}

# An attempt ends by itself; its process may still hang in a fault of the grader's own.
_GRACE = 2.0

Progress = Callable[[Report, Iterable[Check]], None]


@attrs.frozen
class Plan:
    """What is graded, and how."""

    exercise: Exercise[Any]
    solution: Solution
    stage: int | None
    """Only this stage, with its program; None: all that can be graded."""
    selection: tuple[Check, ...]
    seed: str
    jobs: int
    timeout_scale: float
    environment: Mapping[str, str]
    limits: Limits = attrs.field(factory=Limits)
    sources: tuple[Path, ...] = ()
    """The solution's C sources, where they are at hand."""
    sanitized: Path | str = "no C sources were named: --source FILE.c"
    """The solution compiled with AddressSanitizer, or why there is none."""

    def sanitized_by(self, program: Path | str) -> "Plan":
        """The same with a program that AddressSanitizer watches, or with why there is none."""
        return attrs.evolve(self, sanitized=program)

    def rerun(self, check: Check) -> str:
        """The command line that makes one check again."""
        words = ["sop-chat-grade", "--exercise", self.exercise.name]
        if self.stage is not None:
            words += ["--stage", str(self.stage)]
        words += [word for source in self.sources for word in ("--source", str(source))]
        words += ["--seed", self.seed, "--only", check.id, "--"]
        return f"{shlex.join(words)} {self.solution}"


@attrs.define
class _Running:
    """An attempt on its way."""

    check: Check
    attempt: int
    worker: Worker
    deadline: float


class Grading:
    """One solution's way through the selected checks. Single-threaded: workers are forked."""

    def __init__(self, plan: Plan, progress: Progress) -> None:
        self._plan = plan
        self._progress = progress
        self._scale = slowness() * plan.timeout_scale
        self._namespaces = namespaces_work()
        self._start = time.monotonic()
        self._waiting = list(plan.selection)
        self._began: dict[str, float] = {}
        self._first_outcomes: dict[str, Outcome] = {}
        self._results: dict[str, Result] = {}
        self._running: dict[int, _Running] = {}
        self._selector = selectors.DefaultSelector()

    def run(self, seconds: float | None = None) -> Report:
        """Make all checks. Those not made after so many seconds are not assessed."""
        limit = None if seconds is None else self._start + seconds
        try:
            while self._waiting or self._running:
                self._launch()
                self._progress(self.report(), [each.check for each in self._running.values()])
                self._collect(limit)
                if limit is not None and time.monotonic() > limit:
                    self.give_up(f"the solution's {seconds:.0f} s were over")
        finally:
            for running in self._running.values():
                running.worker.end()
        report = self.report()
        self._progress(report, [])
        return report

    def report(self) -> Report:
        """What is known so far."""
        plan = self._plan
        results = [self._results[check.id] for check in plan.selection if check.id in self._results]
        return Report(
            exercise=plan.exercise.name,
            title=plan.exercise.title,
            stages=plan.exercise.stages,
            command=str(plan.solution),
            seed=plan.seed,
            seconds=round(time.monotonic() - self._start, 3),
            checks=plan.selection,
            results=tuple(results),
        )

    def _launch(self) -> None:
        """Start what can be started; tell what cannot be assessed any more."""
        while lost := [check for check in self._waiting if self._failed_foundation(check)]:
            for check in lost:
                self._waiting.remove(check)
                self._settle(check, Outcome("not_assessed", because=self._failed_foundation(check)))
        for check in list(self._waiting):
            if len(self._running) >= self._plan.jobs:
                return
            if all(name in self._results for name in self._foundation(check)):
                self._waiting.remove(check)
                self._attempt(check, 1)

    def _foundation(self, check: Check) -> list[str]:
        """What must be known before: only what is selected, too."""
        selected = {each.id for each in self._plan.selection}
        return [name for name in check.after if name in selected]

    def _failed_foundation(self, check: Check) -> str:
        for name in self._foundation(check):
            result = self._results.get(name)
            if result is not None and result.outcome.status not in ("passed", "flaky"):
                return result.outcome.because if _is_inherited(result) else name
        return ""

    def _attempt(self, check: Check, attempt: int) -> None:
        plan = self._plan
        self._began.setdefault(check.id, time.monotonic())
        scale = self._scale * _PATIENCE_OF[attempt]
        stage = plan.exercise.program_stage(
            check, every_stage=plan.solution.has_every_stage, stage=plan.stage
        )
        setting = Setting(
            solution=plan.solution,
            stage=stage,
            seed=f"{plan.seed} {check.id}",
            scale=scale,
            sanitized=plan.sanitized,
        )
        worker = Worker(
            check,
            plan.exercise.trial,
            setting,
            namespaces=self._namespaces,
            limits=plan.limits,
            environment=plan.environment,
        )
        deadline = time.monotonic() + _GRACE * ATTEMPT * scale
        self._running[worker.pipe] = _Running(check, attempt, worker, deadline)
        self._selector.register(worker.pipe, selectors.EVENT_READ)

    def _collect(self, limit: float | None) -> None:
        """Wait for an attempt to end, and take what came out."""
        if not self._running:
            return
        now = time.monotonic()
        until = min(each.deadline for each in self._running.values())
        until = until if limit is None else min(until, limit)
        for key, _ in self._selector.select(max(until - now, 0.0) + 0.001):
            running = self._forget(key.fd)
            self._judge(running, running.worker.outcome())
        now = time.monotonic()
        for pipe, running in list(self._running.items()):
            if now > running.deadline:
                self._forget(pipe)
                running.worker.end()
                because = "the grader's own process for this check did not end"
                self._settle(running.check, Outcome("error", because=because))

    def _forget(self, pipe: int) -> _Running:
        self._selector.unregister(pipe)
        return self._running.pop(pipe)

    def _judge(self, running: _Running, outcome: Outcome) -> None:
        """A failure is tried once more; what the two attempts say together is the verdict."""
        check = running.check
        if outcome.status == "failed" and running.attempt < _ATTEMPTS:
            self._first_outcomes[check.id] = outcome
            self._attempt(check, running.attempt + 1)
            return
        first = self._first_outcomes.get(check.id)
        if outcome.status == "passed" and first is not None:
            outcome = attrs.evolve(
                first, status="flaky", because="it failed once, and passed when made again"
            )
        self._settle(check, outcome)

    def _settle(self, check: Check, outcome: Outcome) -> None:
        began = self._began.get(check.id, time.monotonic())
        seconds = round(time.monotonic() - began, 3)
        self._results[check.id] = Result(check, outcome, seconds, self._plan.rerun(check))

    def give_up(self, because: str) -> Report:
        """Nothing that is not known yet will be."""
        for pipe in list(self._running):
            running = self._forget(pipe)
            running.worker.end()
            self._settle(running.check, Outcome("not_assessed", because=because))
        for check in self._waiting:
            self._settle(check, Outcome("not_assessed", because=because))
        self._waiting.clear()
        return self.report()


def _is_inherited(result: Result) -> bool:
    return result.outcome.status == "not_assessed" and bool(result.outcome.because)


def contained_environment(passed_on: Iterable[str]) -> dict[str, str]:
    """What a program under test finds in its environment: nothing of ours but the PATH.

    `passed_on`: names, whose values are ours, or `NAME=VALUE`.
    """
    found = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    for name in passed_on:
        key, given, value = name.partition("=")
        found[key] = value if given else os.environ.get(key, "")
    return found
