"""What the bytes of one input mean."""

import attrs

# Letters that join, turn, take two cells or none, and what tears frames, lines and messages.
_ALPHABET = [
    *'ab :{}[]"\\/=#@.-0',
    *("\n", "\r", "\t", "\0", "\x1b", "\x7f", "\x85", "\x9b", "\u2028", "\u2029"),
    *("\u0301", "\u200d", "\u200b", "\u202e", "\u2066", "\ufe0f", "\ufeff", "\u00ad"),
    *"é日한กำ👩👧👍🏽🇩🇪❤கक्ष",
    *(" says: ", "/who:", "\x1b[200~", "\x1b[201~", "\x1b\r", "\r\n", "true", '"text"'),
]

# The most bytes of a stream that is repeated.
_STREAM = 6000


@attrs.define
class Material:
    """The bytes of one input: numbers and pieces are taken from the front until none is left.

    Where nothing is left a number is 0 and a piece is empty, so every input means something.
    """

    _data: bytes

    def __bool__(self) -> bool:
        """Whether something is left."""
        return bool(self._data)

    def take(self, size: int) -> bytes:
        """At most `size` bytes."""
        taken, self._data = self._data[:size], self._data[size:]
        return taken

    def number(self, most: int) -> int:
        """A number from 0 to `most`."""
        return int.from_bytes(self.take(1 if most < 256 else 2), "big") % (most + 1)

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data))

    def text(self) -> str:
        """All that is left as text: the characters it is in UTF-8, or one of the above a byte."""
        if self.number(1):
            return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in self.rest())
        return self.rest().decode("utf-8", "ignore")

    def stream(self) -> bytes:
        """All that is left, several times over: so that few bytes make many frames.

        Long enough for a line that is too long, and not much longer.
        """
        times, data = 1 + self.number(15), self.rest()
        return data * max(min(times, _STREAM // max(len(data), 1)), 1)

    def pieces(self) -> list[bytes]:
        """A stream, cut where the input says: into 1 to 8 pieces, or into single bytes."""
        cuts = [self.number(65535) for _ in range(self.number(8))]
        stream = self.stream()
        if len(cuts) == 8:
            return [stream[place : place + 1] for place in range(len(stream))]
        places = sorted(cut % (len(stream) + 1) for cut in cuts)
        return [stream[start:end] for start, end in zip([0, *places], [*places, None], strict=True)]
