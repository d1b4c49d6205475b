"""The inputs that are kept: a folder for each target, its files named by their SHA-1.

They are few: together they reach every step from line to line that all known inputs reach, and the
shorter ones are taken first.
"""

import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from tests.faults.fuzz.targets import Target

CORPUS = Path(__file__).parent / "corpus"

# A step from one line to another in one of our packages.
Step = tuple[CodeType, int, int]

_PACKAGES = ("/sopchat/", "/sopchat_client/", "/sopchat_grader/")

# Of long inputs the last steps are rarely worth their bytes.
_MOST_FILES = 9


def inputs(folder: Path) -> list[bytes]:
    """What is kept in a folder, the shortest first; nothing where there is none."""
    return sorted((file.read_bytes() for file in folder.glob("*")), key=lambda one: (len(one), one))


def minimised(target: Target, known: Iterable[bytes]) -> list[bytes]:
    """Of the inputs those that reach something that shorter ones do not, at most `_MOST_FILES`."""
    reached = {one: _steps(target, one) for one in sorted(set(known), key=len)}
    kept: list[bytes] = []
    seen: set[Step] = set()
    while reached and len(kept) < _MOST_FILES:
        best = max(reached, key=lambda one: (len(reached[one] - seen), -len(one)))
        if not reached[best] - seen:
            break
        kept.append(best)
        seen |= reached.pop(best)
    return kept or [b""]


def keep(target: Target, found: Path) -> None:
    """Make the target's corpus anew from itself and from what was found."""
    folder = CORPUS / target.name
    kept = {
        hashlib.sha1(one, usedforsecurity=False).hexdigest(): one
        for one in minimised(target, [*inputs(folder), *inputs(found)])
    }
    folder.mkdir(parents=True, exist_ok=True)
    for file in folder.iterdir():
        if file.name not in kept:
            file.unlink()
    for name, one in kept.items():
        (folder / name).write_bytes(one)


def _steps(target: Target, one: bytes) -> set[Step]:
    """The steps that checking an input takes in our packages."""
    steps: set[Step] = set()
    last: dict[FrameType, int] = {}

    def step(frame: FrameType, event: str, _: object) -> Any:
        if event == "call" and not any(part in frame.f_code.co_filename for part in _PACKAGES):
            return None
        steps.add((frame.f_code, last.get(frame, 0), frame.f_lineno))
        last[frame] = frame.f_lineno
        return step

    before = sys.gettrace()
    sys.settrace(step)
    try:
        target.check(one)
    finally:
        sys.settrace(before)
    return steps
