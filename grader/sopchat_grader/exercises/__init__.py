"""The exercises and their checks."""

from typing import Any

from sopchat_grader.check import Exercise
from sopchat_grader.exercises.frame import FRAME
from sopchat_grader.exercises.line import LINE
from sopchat_grader.exercises.talk import TALK

EXERCISES: dict[str, Exercise[Any]] = {each.name: each for each in (FRAME, LINE, TALK)}
