"""The talk exercise: the Python course's chat server, which knows who is there."""

from sopchat_grader.exercises.talk import checks
from sopchat_grader.exercises.talk.trial import TALK

__all__ = ["TALK", "checks"]
