"""The frame: 512 bytes, the one message of the frame protocol in both directions.

docs/frame-protocol.md, "On the wire", is the contract.
"""

import struct
from collections.abc import Iterable

import attrs

# What a client writes behind the key's NUL where it wants to be told the number of every frame,
# and what stands there in the answer of a server that will.
ASK_NUMBERS = b"\0number?"
GIVE_NUMBERS = b"\0numbers"
NUMBER_SIZE = 8

NAME_SIZE = 64
TEXT_SIZE = 448
FRAME_SIZE = NAME_SIZE + TEXT_SIZE


class FieldTooLong(ValueError):
    """A name, text or key does not fit its field. Nothing is ever cut silently."""


class FieldHoldsNul(ValueError):
    """A value holds a NUL byte, which would end its field early and hide what follows."""


def field_value(field: bytes) -> bytes:
    """What a field says: its bytes up to the first NUL, or all of them."""
    return field.partition(b"\0")[0]


def padded(value: bytes, size: int, what: str) -> bytes:
    """`value` with NULs up to `size` bytes, as a field holds it.

    Raises FieldTooLong, with a message that calls the value `what`.
    """
    if len(value) > size:
        raise FieldTooLong(f"{what} is {len(value)} bytes long, and at most {size} fit")
    return value.ljust(size, b"\0")


def checked(value: bytes, size: int, what: str) -> bytes:
    """Give back `value` if a field of `size` bytes can say it.

    Raises FieldTooLong or FieldHoldsNul, with a message that calls the value `what`.
    """
    padded(value, size, what)
    if b"\0" in value:
        raise FieldHoldsNul(f"{what} holds a NUL byte, which would end it early")
    return value


def _name_field(value: bytes) -> bytes:
    return padded(value, NAME_SIZE, "the name")


def _text_field(value: bytes) -> bytes:
    return padded(value, TEXT_SIZE, "the text")


@attrs.frozen
class Frame:
    """One frame. A field shorter than its place is padded with NUL.

    `name` and `text` are the whole fields, 64 and 448 bytes, with whatever stands behind
    the first NUL, so that `Frame.decode(data).encode() == data` for every 512 bytes.

    Raises FieldTooLong where a field does not fit.
    """

    name: bytes = attrs.field(converter=_name_field)
    text: bytes = attrs.field(converter=_text_field, default=b"")

    @classmethod
    def decode(cls, data: bytes) -> "Frame":
        """The frame in exactly 512 bytes. Raises ValueError for any other number."""
        if len(data) != FRAME_SIZE:
            raise ValueError(f"a frame is {FRAME_SIZE} bytes, not {len(data)}")
        return cls(data[:NAME_SIZE], data[NAME_SIZE:])

    def encode(self) -> bytes:
        """The 512 bytes on the wire."""
        return self.name + self.text

    @property
    def name_str(self) -> str:
        r"""The name up to its first NUL, as text; bytes that are not UTF-8 as `\xNN`."""
        return field_value(self.name).decode("utf-8", "backslashreplace")

    @property
    def text_str(self) -> str:
        r"""The text up to its first NUL, as text; bytes that are not UTF-8 as `\xNN`."""
        return field_value(self.text).decode("utf-8", "backslashreplace")


@attrs.define(eq=False)
class FrameBuffer:
    """Cuts a byte stream, read in any pieces, into chunks of whole frames.

    A chunk is one bytes object of n x 512 bytes: the relay never makes an object per frame.
    """

    # Bytes of each: more than a frame's own where it is numbered.
    _size: int = FRAME_SIZE
    _held: bytes = attrs.field(default=b"", init=False)
    # Bytes held back because their frame is not whole yet, fewer than a frame has.
    half: int = attrs.field(default=0, init=False)

    def feed(self, data: bytes) -> bytes:
        """Take what was read, give the chunk of frames it completes, which may be empty."""
        if self.half:
            data = self._held + data
        self.half = half = len(data) % self._size
        if not half:
            return data
        self._held = data[-half:]
        return data[:-half]


def numbered(frames: bytes, first: int) -> bytes:
    """Whole frames, each behind its number: 8 bytes, the most significant first."""
    count = len(frames) // FRAME_SIZE
    numbers = struct.pack(f">{count}Q", *range(first, first + count))
    return b"".join(
        numbers[number * NUMBER_SIZE : (number + 1) * NUMBER_SIZE]
        + frames[number * FRAME_SIZE : (number + 1) * FRAME_SIZE]
        for number in range(count)
    )


def encode_texts(name: bytes, texts: Iterable[bytes]) -> bytes:
    r"""The frames in which `name` says each text; one over 448 bytes takes several frames.

    A NUL, which would end the field early, is written `\x00`.
    """
    field = padded(name, NAME_SIZE, "the name")
    return b"".join(
        field + piece.ljust(TEXT_SIZE, b"\0")
        for text in texts
        for piece in split_text(text.replace(b"\0", b"\\x00"))
    )


def name_fields_and_texts(frames: bytes) -> tuple[tuple[bytes, ...], list[bytes]]:
    """The name fields of whole frames, and their texts up to the first NUL."""
    fields = struct.unpack(f"{NAME_SIZE}s{TEXT_SIZE}s" * (len(frames) // FRAME_SIZE), frames)
    return fields[::2], [text.partition(b"\0")[0] for text in fields[1::2]]


def split_text(text: bytes, size: int = TEXT_SIZE) -> list[bytes]:
    """Cut a text into pieces of at most `size` bytes, 4 or more, never inside one character.

    A character is a grapheme cluster of Unicode (UAX 29): an emoji made of several stays whole, if
    it fits at all. Bytes that are not UTF-8 are cut where the piece is full. An empty text is one
    empty piece.
    """
    pieces = []
    start = 0
    while len(text) - start > size:
        cut = _cluster_start(text, start, _character_start(text, start + size))
        pieces.append(text[start:cut])
        start = cut
    pieces.append(text[start:])
    return pieces


def _character_start(text: bytes, cut: int) -> int:
    """The last place at or before `cut` where no UTF-8 character is under way."""
    for place in range(cut, cut - 4, -1):
        byte = text[place]
        if byte & 0xC0 != 0x80:  # not a continuation byte: a character starts here
            return place
    return cut  # four continuation bytes in a row are not UTF-8


def _cluster_start(text: bytes, start: int, cut: int) -> int:
    """The last place at or before `cut` where no cluster is under way.

    It is `cut` itself if the piece from `start` on is not UTF-8, or nothing but one cluster.
    """
    if text[cut] < 0x80:  # nothing is joined to ASCII
        return cut
    try:
        piece = text[start:cut].decode()
    except UnicodeDecodeError:
        return cut
    # Imported here: few texts are longer than a frame.
    from wcwidth import grapheme_boundary_before

    behind = text[cut : cut + 4].decode("utf-8", "replace")[0]
    place = grapheme_boundary_before(piece + behind, len(piece) + 1)
    return start + len(piece[:place].encode()) if place else cut
