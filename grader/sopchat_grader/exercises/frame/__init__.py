"""The frame exercise: an authenticated chat of 512-byte frames, in four stages."""

from sopchat_grader.exercises.frame import (
    robustness_process,
    robustness_wire,
    stage1,
    stage2,
    stage3,
    stage4,
)
from sopchat_grader.exercises.frame.trial import FRAME

__all__ = ["FRAME", "robustness_process", "robustness_wire", "stage1", "stage2", "stage3", "stage4"]
