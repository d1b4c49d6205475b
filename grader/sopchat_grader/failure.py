"""What a check found wrong, as a value that reports can show."""

import attrs


@attrs.frozen
class Difference:
    """Two runs of bytes that should have been the same."""

    wanted: bytes
    got: bytes

    @property
    def position(self) -> int:
        """The offset of the first byte that differs, or at which one of them ends."""
        pairs = zip(self.wanted, self.got, strict=False)
        shorter = min(len(self.wanted), len(self.got))
        return next((at for at, (want, got) in enumerate(pairs) if want != got), shorter)


@attrs.frozen
class Failed(Exception):
    """The solution did not do what the check wants to see."""

    expected: str
    seen: str
    difference: Difference | None = None


@attrs.frozen
class CannotAssess(Exception):
    """The check cannot be made here: `because` says what is missing. No point is judged."""

    because: str
