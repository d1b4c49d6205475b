"""What became of checks: values that every report is made from."""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import attrs

from sopchat_grader.check import Check

Status = Literal["passed", "failed", "flaky", "not_assessed", "error"]


@attrs.frozen
class Evidence:
    """What shows that a point was lost."""

    transcript: tuple[str, ...] = ()
    """One line an event, with seconds since the check began."""
    difference: tuple[str, ...] = ()
    """A hex dump around the first byte that differs, if bytes were compared."""
    console: dict[str, str] = attrs.field(factory=dict)
    """The end of what the program printed, by stream."""
    ending: str = ""
    """How the program ended, or that it is still running: `ended with status 1`."""


@attrs.frozen
class Outcome:
    """How one run of a check went."""

    status: Status
    expected: str = ""
    seen: str = ""
    because: str = ""
    evidence: Evidence = attrs.field(factory=Evidence)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return attrs.asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Outcome":
        """The reverse of `to_json`."""
        evidence = values["evidence"]
        return cls(
            **{
                **values,
                "evidence": Evidence(
                    transcript=tuple(evidence["transcript"]),
                    difference=tuple(evidence["difference"]),
                    console=evidence["console"],
                    ending=evidence["ending"],
                ),
            }
        )


@attrs.frozen
class Result:
    """The verdict on one check."""

    check: Check
    outcome: Outcome
    seconds: float
    rerun: str
    """The command that makes this check again."""

    @property
    def points(self) -> float:
        """Points earned. A flaky check earns them: it is told, and may be our fault."""
        return self.check.points if self.outcome.status in ("passed", "flaky") else 0.0


@attrs.frozen
class Report:
    """The verdict on a solution, or as much of it as is known yet."""

    exercise: str
    title: str
    stages: tuple[str, ...]
    command: str
    seed: str
    seconds: float
    checks: tuple[Check, ...]
    """All that are to be made."""
    results: tuple[Result, ...]
    """Those that were made, in the order of `checks`."""

    def points(self, *, bonus: bool = False) -> float:
        """Points earned."""
        return sum(result.points for result in self.results if result.check.bonus == bonus)

    def max_points(self, *, bonus: bool = False) -> float:
        """Points that could be earned."""
        return sum(check.points for check in self.checks if check.bonus == bonus)

    def groups(self) -> Iterator[tuple[str, Sequence[Check]]]:
        """The checks by stage, with a name for each: the bonus comes last."""
        for number, name in enumerate(self.stages, 1):
            found = [check for check in self.checks if check.stage == number and not check.bonus]
            if found:
                yield f"{number} {name}", found
        bonus = [check for check in self.checks if check.bonus]
        if bonus:
            yield "R robustness (bonus)", bonus

    def result_of(self, check: Check) -> Result | None:
        """The result of a check, if it was made."""
        return next((result for result in self.results if result.check.id == check.id), None)

    @property
    def is_full(self) -> bool:
        """Whether no point of the exercise is lost; a bonus is not asked for."""
        return self.points() >= self.max_points()

    @property
    def has_errors(self) -> bool:
        """Whether the grader itself went wrong."""
        return any(result.outcome.status == "error" for result in self.results)
