"""How much one member may say: a token bucket, counted in frames."""

import attrs


@attrs.define(eq=False)
class Rate:
    """`per_second` frames for long, `burst` at once. Times are Trio's (seconds)."""

    per_second: float
    burst: int
    # When `_left` was counted.
    _at: float
    # Frames that may be said now; below 0 they have been said before their time.
    _left: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._left = self.burst

    def __str__(self) -> str:
        return f"{self.per_second:g} messages a second"

    def said(self, frames: int, now: float) -> float:
        """So many more have been said: seconds until the next may come, 0 for at once."""
        self._left = min(self.burst, self._left + (now - self._at) * self.per_second) - frames
        self._at = now
        return max(0.0, -self._left / self.per_second)

    def rested(self, now: float) -> bool:
        """Whether a whole burst may be said again."""
        return self._left + (now - self._at) * self.per_second >= self.burst
