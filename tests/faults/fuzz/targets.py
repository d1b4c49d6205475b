"""What a target is, and all there are."""

import importlib
from collections.abc import Callable

import attrs

from tests.faults.fuzz.material import Material

# The modules of this package that hold targets.
SUBJECTS = (
    *("wire", "display", "doors", "rooms", "client", "screen", "commands", "grader"),
    *("logs", "encryption", "trust", "service", "entrance"),
)

_TARGETS: dict[str, "Target"] = {}


@attrs.frozen
class Target:
    """A check that must pass for every input. Raises whatever says that it does not."""

    name: str
    subject: str
    # What must hold.
    promise: str
    # The longest input worth trying (bytes).
    size: int
    _check: Callable[[Material], None]

    def check(self, data: bytes) -> None:
        """Check one input."""
        self._check(Material(data))


def target(size: int = 1024) -> Callable[[Callable[[Material], None]], Callable[[Material], None]]:
    """Register a check under its name; inputs have at most `size` bytes."""

    def register(check: Callable[[Material], None]) -> Callable[[Material], None]:
        assert check.__doc__, f"{check.__name__} does not say what must hold"
        name, subject = check.__name__, check.__module__.rpartition(".")[2]
        assert name not in _TARGETS, f"two targets are called {name}"
        _TARGETS[name] = Target(name, subject, check.__doc__, size, check)
        return check

    return register


def targets(*subjects: str) -> dict[str, Target]:
    """The targets of these subjects, or all, by name."""
    wanted = subjects or SUBJECTS
    for subject in wanted:
        importlib.import_module(f"tests.faults.fuzz.{subject}")
    return {name: one for name, one in sorted(_TARGETS.items()) if one.subject in wanted}
