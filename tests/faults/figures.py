"""What an experiment measured."""

from collections.abc import Mapping, Sequence

import attrs


class Unable(Exception):
    """The experiment cannot be made here; the message says why."""


@attrs.frozen
class Figure:
    """A value with its unit; "" is the unit of what is counted."""

    value: float
    unit: str = ""

    def __str__(self) -> str:
        digits = 0 if self.value == int(self.value) or abs(self.value) >= 100 else 2
        return f"{self.value:,.{digits}f} {self.unit}".rstrip()


Figures = Mapping[str, Figure]


def milliseconds(seconds: float) -> Figure:
    """A time that people do not see."""
    return Figure(seconds * 1000, "ms")


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that so many in a hundred of the others do not exceed; there is at least one."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * percent / 100), len(ordered) - 1)]
