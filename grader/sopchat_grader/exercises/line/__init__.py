"""The line exercise: an event-driven relay of lines that tells each of its steps."""

from sopchat_grader.exercises.line import checks
from sopchat_grader.exercises.line.trial import LINE

__all__ = ["LINE", "checks"]
