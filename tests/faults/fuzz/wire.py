"""Frames, lines and talk messages."""

import contextlib

import pytest

from sopchat.wire import talk
from sopchat.wire.frame import (
    FieldHoldsNul,
    FieldTooLong,
    Frame,
    FrameBuffer,
    checked,
    encode_texts,
    field_value,
    name_fields_and_texts,
    numbered,
    split_text,
)
from sopchat.wire.line import LINE_SIZE, LineBuffer, lines
from tests.faults.fuzz.material import Material
from tests.faults.fuzz.targets import target


@target()
def frame_buffer(material: Material) -> None:
    """However a stream is cut, out come its whole frames in order, and `half` is what is left."""
    buffer, taken, given = FrameBuffer(), b"", b""
    for piece in material.pieces():
        taken += piece
        given += buffer.feed(piece)
        whole = len(taken) // 512 * 512
        assert given == taken[:whole]
        assert buffer.half == len(taken) - whole


@target(600)
def frame(material: Material) -> None:
    """512 bytes are a frame that encodes to them, any other number is refused.

    What it says has no NUL and fits the fields it came from.
    """
    data = material.rest()
    if len(data) != 512:
        with pytest.raises(ValueError, match=f"512 bytes, not {len(data)}"):
            Frame.decode(data)
        data = data.ljust(512, b"\0")[-512:]
    frame = Frame.decode(data)
    assert frame.encode() == data
    assert (frame.name, frame.text) == (data[:64], data[64:])
    for field, told in ((frame.name, frame.name_str), (frame.text, frame.text_str)):
        value = field_value(field)
        assert field.startswith(value)
        assert value == field or field[len(value)] == 0
        assert "\0" not in told
        with contextlib.suppress(UnicodeDecodeError):
            assert told.encode() == value or value.decode() != told
    again = Frame(field_value(frame.name), field_value(frame.text))
    assert (again.name_str, again.text_str) == (frame.name_str, frame.text_str)


@target(600)
def field(material: Material) -> None:
    """A value is said as it is or refused: too long for its field, or with a NUL in it."""
    size, value = 1 + material.number(447), material.rest()
    try:
        assert checked(value, size, "it") == value
    except FieldTooLong:
        assert len(value) > size
    except FieldHoldsNul:
        assert b"\0" in value
        assert len(value) <= size
    else:
        assert len(value) <= size
        assert b"\0" not in value


@target()
def line_buffer(material: Material) -> None:
    """However a stream is cut and whenever it is flushed, nothing is changed, lost or kept long.

    Only a piece of a line that is too long goes out before its end.
    """
    buffer, taken, given = LineBuffer(), b"", b""
    flush = material.number(255)
    for number, piece in enumerate(material.pieces()):
        taken += piece
        out = buffer.feed(piece)
        given += out
        assert not out or out.endswith(b"\n") or len(out.rpartition(b"\n")[2]) >= LINE_SIZE
        assert buffer.half == len(taken) - len(given) < LINE_SIZE
        assert b"\n" not in taken[len(given) :]
        if flush >> (number % 8) & 1:
            given += buffer.flush()
            assert buffer.half == 0
        assert taken.startswith(given)
    assert given + buffer.flush() == taken


@target()
def line_texts(material: Material) -> None:
    """The texts of lines stand in the data one behind the other, with a line end between."""
    data = material.stream()
    place = 0
    for text in lines(data):
        assert b"\n" not in text
        assert data.startswith(text, place)
        place += len(text)
        end = next(end for end in (b"\r\n", b"\n", b"\r", b"") if data.startswith(end, place))
        assert end.endswith(b"\n") or place + len(end) == len(data)
        place += len(end)
    assert place == len(data)


@target()
def talk_message(material: Material) -> None:
    """A message has a name that a frame can hold, or none; said again it is the same."""
    data = material.stream()
    name, text = talk.parse(data)
    assert data.rstrip(b"\r\n").endswith(text)
    assert not text.endswith((b"\r", b"\n"))
    if name is None:
        assert text == data.rstrip(b"\r\n")
    else:
        checked(name, 64, "the name")
        assert name
        assert b"\n" not in name
        assert talk.parse(talk.says(name, text)) == (name, text)
        assert talk.says(name, text) == data.rstrip(b"\r\n") or not text
    assert talk.asks_who(text) == (text.split() == [b"/who:"])
    here = name or talk.UNKNOWN
    answer = talk.who([(here, "192.0.2.1:5"), (here, "[2001:db8::1]:5")]).split(b"\n")
    assert answer == [
        b"2 clients connected.",
        here + b" connected from 192.0.2.1, 5.",
        here + b" connected from 2001:db8::1, 5.",
        b"",
    ]


@target(2048)
def text_pieces(material: Material) -> None:
    """The pieces of a text are the text, each fits, none is empty, no character is cut."""
    size = 4 + material.number(444)
    data = material.text().encode() if material.number(1) else material.stream()
    pieces = split_text(data, size)
    assert b"".join(pieces) == data
    assert all(0 < len(piece) <= size for piece in pieces) or pieces == [b""]
    with contextlib.suppress(UnicodeDecodeError):
        data.decode()
        for piece in pieces:
            piece.decode()


@target(2048)
def texts_in_frames(material: Material) -> None:
    r"""Texts said in frames are read out of them again; a NUL reads `\x00`."""
    name = material.take(material.number(64)).replace(b"\0", b"0")
    texts = material.stream().split(b"\n")
    frames = encode_texts(name, texts)
    assert len(frames) % 512 == 0
    fields, said = name_fields_and_texts(frames)
    assert set(fields) == {name.ljust(64, b"\0")}
    assert b"".join(said) == b"".join(texts).replace(b"\0", b"\\x00")
    assert len(said) >= len(texts)
    assert said == [
        field_value(Frame.decode(frames[place : place + 512]).text)
        for place in range(0, len(frames), 512)
    ]


@target()
def numbered_frames(material: Material) -> None:
    """Frames behind their numbers, cut anywhere, are the same frames with the same numbers."""
    first, data = material.number(255), material.rest()
    frames = data[: len(data) // 512 * 512] or data.ljust(512, b"\0")[:512]
    buffer, given = FrameBuffer(520), b""
    stream = numbered(frames, first)
    for cut in range(0, len(stream), 1 + first * 7):
        given += buffer.feed(stream[cut : cut + 1 + first * 7])
    assert not buffer.half
    records = [given[place : place + 520] for place in range(0, len(given), 520)]
    assert b"".join(record[8:] for record in records) == frames
    assert [int.from_bytes(record[:8]) for record in records] == [
        first + number for number in range(len(frames) // 512)
    ]
