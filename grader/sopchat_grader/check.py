"""What is checked: checks, and the exercises they belong to."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Generic, TypeVar

import attrs

from sopchat_grader.trial import Trial

AnyTrial = TypeVar("AnyTrial", bound=Trial)
Run = Callable[[AnyTrial], Awaitable[None]]


@attrs.frozen
class Check:
    """One thing a solution must do."""

    id: str
    """Stage and number, `3.2`, or `R.5` for one that is a bonus."""
    title: str
    stage: int
    points: float
    bonus: bool
    """Never a deduction: its points stand beside those of the exercise."""
    sentence: str
    """What the exercise asks for."""
    wire: str
    """What is done on the wire."""
    seen: str
    """What must be seen."""
    after: tuple[str, ...]
    """Its foundation: where one of these failed, nothing can be said here."""
    programs: tuple[int, ...]
    """The stages whose programs it holds for; none named: for all."""
    needs_sources: bool
    """It can only be made where the solution's C sources are at hand."""
    run: Run[Trial]

    def holds_for(self, stage: int) -> bool:
        """Whether a program of this stage is asked for it."""
        return not self.programs or stage in self.programs


class Exercise(Generic[AnyTrial]):
    """The checks of one exercise, in their order."""

    def __init__(
        self,
        name: str,
        title: str,
        *,
        trial: type[AnyTrial],
        form: Sequence[str],
        stages: Sequence[str],
        staged: bool,
    ) -> None:
        """`form`: its arguments with placeholders; `staged`: each stage is a program of its own."""
        self.name = name
        self.title = title
        self.trial = trial
        self.form = tuple(form)
        self.stages = tuple(stages)
        self.staged = staged
        self._checks: dict[str, Check] = {}

    @property
    def checks(self) -> dict[str, Check]:
        """All checks by their identifiers, stage by stage, the bonus last."""
        return dict(sorted(self._checks.items(), key=lambda item: _place(item[1])))

    def check(
        self,
        id: str,  # noqa: A002
        points: float,
        title: str,
        *,
        sentence: str,
        wire: str,
        seen: str,
        after: Sequence[str] = (),
        programs: Sequence[int] = (),
        needs_sources: bool = False,
    ) -> Callable[[Run[AnyTrial]], Run[AnyTrial]]:
        """Make a function a check. Its identifier is its stage and its number there."""
        stage, _, _ = id.partition(".")
        bonus = stage == "R"

        def register(run: Run[AnyTrial]) -> Run[AnyTrial]:
            assert id not in self._checks, f"{id} is there twice"
            self._checks[id] = Check(
                id=id,
                title=title,
                stage=len(self.stages) if bonus else int(stage),
                points=points,
                bonus=bonus,
                sentence=sentence,
                wire=wire,
                seen=seen,
                after=tuple(after),
                programs=tuple(programs),
                needs_sources=needs_sources,
                run=run,  # type: ignore[arg-type]  # a check is run with its exercise's trial
            )
            return run

        return register

    def selection(
        self,
        *,
        every_stage: bool,
        sources: bool,
        stage: int | None,
        only: Iterable[str],
        skip: Iterable[str],
    ) -> list[Check]:
        """The checks to make.

        `every_stage`: there is a program for each stage, so every check can be made; otherwise
        there is the one of `stage` (the last, if none is named), and the checks are those that
        hold for it. A named `stage` keeps only its own checks. `sources`: the solution's C sources
        may be at hand.
        """
        chosen, left = set(only), set(skip)
        return [
            check
            for check in self.checks.values()
            if (every_stage or check.holds_for(stage or len(self.stages)))
            and (stage is None or check.stage == stage)
            and (check.id in chosen if chosen else sources or not check.needs_sources)
            and check.id not in left
        ]

    def program_stage(self, check: Check, *, every_stage: bool, stage: int | None) -> int:
        """Which stage's program the check is made with."""
        if every_stage and self.staged:
            return min(check.programs or (check.stage,), key=lambda one: abs(one - check.stage))
        return stage or len(self.stages)


def _place(check: Check) -> tuple[bool, int, int]:
    return check.bonus, check.stage, int(check.id.partition(".")[2])
