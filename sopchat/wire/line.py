r"""Lines: the messages of the line protocol (docs/line-protocol.md).

A line ends with a newline, whatever comes before it; its text is what stands before `\r\n` or
`\n`.
"""

import attrs

# The most that is held back of a line whose end has not come yet, and the most that one read
# takes (bytes).
LINE_SIZE = 4096


@attrs.define(eq=False)
class LineBuffer:
    """Cuts a byte stream, read in any pieces, into whole lines.

    Nothing is changed or lost: what goes in comes out, in order, and but for the pieces of
    lines over `LINE_SIZE` bytes and what `flush` gives, only with a line's end as the last byte.
    """

    _held: bytes = attrs.field(default=b"", init=False)

    @property
    def half(self) -> int:
        """Bytes held back because their line has not ended yet."""
        return len(self._held)

    def feed(self, data: bytes) -> bytes:
        """Take what was read, give the whole lines it completes, which may be none."""
        data = self._held + data
        cut = data.rfind(b"\n") + 1
        if len(data) - cut >= LINE_SIZE:
            cut = len(data)
        self._held = data[cut:]
        return data[:cut]

    def flush(self) -> bytes:
        """Give what is held back: its end will not be waited for any longer."""
        held, self._held = self._held, b""
        return held


def lines(data: bytes) -> list[bytes]:
    """The text of each line of `data`, without its end; the last may have none."""
    texts = data.split(b"\n")
    if not texts[-1]:
        del texts[-1]
    return [text.removesuffix(b"\r") for text in texts]
