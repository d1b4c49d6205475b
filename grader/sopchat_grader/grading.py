"""A grading: every check of a selection, several at a time, and the verdicts."""

import selectors
import shlex
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import attrs

from sopchat_grader.calibration import slowness
from sopchat_grader.check import Check, Exercise
from sopchat_grader.containment import Limits, contained_environment, namespaces_work
from sopchat_grader.forking import signals_held
from sopchat_grader.result import Outcome, Report, Result
from sopchat_grader.solution import Solution
from sopchat_grader.trial import Setting
from sopchat_grader.worker import ATTEMPT, Worker

# A check that fails is made once more, with more patience: what passes then is flaky.
_PATIENCE = (1.0, 2.0)

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
    passed_on: tuple[str, ...]
    """What the solution finds in its environment besides: `contained_environment`."""
    limits: Limits = attrs.field(factory=Limits)
    sources: tuple[Path, ...] = ()
    """The solution's C sources, where they are at hand."""
    sanitized: Path | str = "no C sources were named: --source FILE.c"
    """The solution compiled with AddressSanitizer, or why there is none."""

    @property
    def environment(self) -> Mapping[str, str]:
        """The solution's environment."""
        return contained_environment(self.passed_on)

    def rerun(self, check: Check) -> str:
        """The command line that makes one check again."""
        words = ["sop-chat-grade", "--exercise", self.exercise.name]
        if self.timeout_scale != 1:
            words += ["--timeout-scale", f"{self.timeout_scale:g}"]
        words += [word for given in self.passed_on for word in ("--env", given)]
        if self.stage is not None:
            words += ["--stage", str(self.stage)]
        words += [word for source in self.sources for word in ("--source", str(source))]
        words += ["--seed", self.seed, "--only", check.id, "--"]
        return f"{shlex.join(words)} {self.solution}"

    def report(self, results: Mapping[str, Result], seconds: float) -> Report:
        """The results so far, by the checks' identifiers, in the checks' order."""
        return Report(
            exercise=self.exercise.name,
            title=self.exercise.title,
            stages=self.exercise.stages,
            command=str(self.solution),
            seed=self.seed,
            seconds=round(seconds, 3),
            checks=self.selection,
            results=tuple(results[check.id] for check in self.selection if check.id in results),
        )

    def nothing(self, because: str) -> Report:
        """The report on what cannot be graded at all."""
        outcome = Outcome("not_assessed", because=because)
        results = {
            check.id: Result(check, outcome, 0.0, self.rerun(check)) for check in self.selection
        }
        return self.report(results, 0.0)


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
                    self._give_up(f"the solution's {seconds:.0f} s were over")
        finally:
            for running in self._running.values():
                running.worker.end()
        report = self.report()
        self._progress(report, [])
        return report

    def report(self) -> Report:
        """What is known so far."""
        return self._plan.report(self._results, time.monotonic() - self._start)

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
                self._attempt(check, 0)

    def _foundation(self, check: Check) -> list[str]:
        """What must be known before: only what is selected, too."""
        selected = {each.id for each in self._plan.selection}
        return [name for name in check.after if name in selected]

    def _failed_foundation(self, check: Check) -> str:
        for name in self._foundation(check):
            result = self._results.get(name)
            if result is None or result.outcome.status in ("passed", "flaky"):
                continue
            return result.outcome.because if result.outcome.status == "not_assessed" else name
        return ""

    def _attempt(self, check: Check, attempt: int) -> None:
        plan = self._plan
        self._began.setdefault(check.id, time.monotonic())
        scale = self._scale * _PATIENCE[attempt]
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
        deadline = time.monotonic() + _GRACE * ATTEMPT * scale
        with signals_held():  # nobody else would end a worker that is not entered here
            worker = Worker(
                check,
                plan.exercise.trial,
                setting,
                namespaces=self._namespaces,
                limits=plan.limits,
                environment=plan.environment,
            )
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
            with signals_held():  # until its process and its folder are gone
                running = self._forget(key.fd)
                outcome = running.worker.outcome()
            self._judge(running, outcome)
        now = time.monotonic()
        for pipe, running in list(self._running.items()):
            if now > running.deadline:
                with signals_held():
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
        if outcome.status == "failed" and running.attempt + 1 < len(_PATIENCE):
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

    def _give_up(self, because: str) -> None:
        """Nothing that is not known yet will be."""
        for pipe in list(self._running):
            with signals_held():
                running = self._forget(pipe)
                running.worker.end()
            self._settle(running.check, Outcome("not_assessed", because=because))
        for check in self._waiting:
            self._settle(check, Outcome("not_assessed", because=because))
        self._waiting.clear()
