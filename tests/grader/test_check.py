"""The lists of checks, as they are told to the user."""

import pytest
from sopchat_grader.exercises import EXERCISES


@pytest.mark.parametrize("exercise", EXERCISES)
def test_every_check_stands_on_earlier_or_later_ones_without_a_circle(exercise: str) -> None:
    checks = EXERCISES[exercise].checks
    settled: set[str] = set()
    while len(settled) < len(checks):
        ready = {
            name
            for name, check in checks.items()
            if name not in settled and set(check.after) <= settled
        }
        assert ready, f"a circle, or a check that is not there: {set(checks) - settled}"
        settled |= ready


@pytest.mark.parametrize("exercise", EXERCISES)
def test_every_check_explains_itself(exercise: str) -> None:
    for check in EXERCISES[exercise].checks.values():
        for text in (check.title, check.sentence, check.wire, check.seen):
            assert text.strip()
        assert check.points > 0


def test_the_stages_of_the_frame_exercise_are_worth_what_the_course_says() -> None:
    checks = EXERCISES["frame"].checks.values()
    points = {
        stage: sum(check.points for check in checks if check.stage == stage and not check.bonus)
        for stage in (1, 2, 3, 4)
    }
    assert points == {1: 5, 2: 4, 3: 8, 4: 4}


@pytest.mark.parametrize(
    ("every_stage", "stage", "points"),
    [(True, None, 21), (False, None, 16.5), (True, 2, 4), (False, 1, 5), (False, 3, 8)],
)
def test_a_selection_is_what_holds_for_the_program(
    every_stage: bool, stage: int | None, points: float
) -> None:
    selection = EXERCISES["frame"].selection(
        every_stage=every_stage, sources=True, stage=stage, only=(), skip=()
    )
    assert sum(check.points for check in selection if not check.bonus) == points


def test_with_a_program_for_each_stage_each_check_has_that_of_its_own() -> None:
    exercise = EXERCISES["frame"]
    stages = {
        name: exercise.program_stage(check, every_stage=True, stage=None)
        for name, check in exercise.checks.items()
    }
    assert all(stages[name] == int(name[0]) for name in stages if not name.startswith("R"))
    assert stages["R.8"] == 4
