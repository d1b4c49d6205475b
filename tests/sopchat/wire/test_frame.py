import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sopchat.wire.frame import (
    FieldHoldsNul,
    FieldTooLong,
    Frame,
    FrameBuffer,
    checked,
    field_value,
    split_text,
)
from tests.support import frames as by_hand

frames = st.builds(
    lambda name, text: by_hand.frame(name, text), st.binary(max_size=64), st.binary(max_size=448)
)


@pytest.mark.sentence("W1", "W2")
def test_a_frame_is_512_bytes_name_first_then_text() -> None:
    data = Frame(b"ann", b"hello").encode()
    assert data == b"ann" + bytes(61) + b"hello" + bytes(443)


@given(st.binary(min_size=512, max_size=512))
def test_any_512_bytes_are_a_frame_that_encodes_to_the_same_bytes(data: bytes) -> None:
    assert Frame.decode(data).encode() == data


@given(st.binary(max_size=1500).filter(lambda data: len(data) != 512))
def test_any_other_number_of_bytes_is_no_frame(data: bytes) -> None:
    with pytest.raises(ValueError, match="512"):
        Frame.decode(data)


@pytest.mark.parametrize(("name", "text"), [(65, 0), (0, 449), (1000, 1000)])
def test_a_field_that_is_too_long_is_an_error_and_never_cut(name: int, text: int) -> None:
    with pytest.raises(FieldTooLong, match="at most"):
        Frame(b"n" * name, b"t" * text)


@pytest.mark.sentence("W3")
def test_a_field_ends_at_its_first_nul_or_its_end() -> None:
    full = Frame(b"n" * 64, b"t" * 448)
    assert (full.name_str, full.text_str) == ("n" * 64, "t" * 448)
    short = Frame(b"ann\0behind", b"hi\0behind\0")
    assert (short.name_str, short.text_str) == ("ann", "hi")
    assert field_value(b"") == b""


def test_bytes_that_are_not_utf8_read_as_escapes() -> None:
    assert Frame(b"an\xff", "grün".encode() + b"\xc3").text_str == "grün\\xc3"
    assert Frame(b"an\xff").name_str == "an\\xff"


def test_a_frame_equals_another_of_the_same_bytes_and_cannot_change() -> None:
    assert Frame(b"ann", b"hi") == Frame.decode(by_hand.frame("ann", "hi"))
    with pytest.raises(AttributeError):
        Frame(b"ann").name = b"bob"  # type: ignore[misc]


def test_a_value_with_nul_cannot_be_said_in_a_field() -> None:
    assert checked(b"k" * 448, 448, "the key") == b"k" * 448
    with pytest.raises(FieldHoldsNul, match="the key"):
        checked(b"a\0b", 448, "the key")
    with pytest.raises(FieldTooLong, match="the key is 449 bytes"):
        checked(b"k" * 449, 448, "the key")


@pytest.mark.sentence("W5", "W6")
@given(st.data(), st.lists(frames, max_size=8), st.binary(max_size=511))
def test_any_cut_of_any_stream_gives_the_same_frames(
    data: st.DataObject, sent: list[bytes], half: bytes
) -> None:
    stream = b"".join(sent) + half
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    buffer = FrameBuffer()
    received = b""
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        chunk = buffer.feed(stream[start:end])
        assert len(chunk) % 512 == 0
        received += chunk
    assert received == b"".join(sent)
    assert buffer.half == len(half)


@pytest.mark.sentence("W5")
def test_a_frame_in_512_pieces_comes_out_with_its_last_byte() -> None:
    buffer = FrameBuffer()
    frame = by_hand.frame("ann", "hello")
    chunks = [buffer.feed(frame[place : place + 1]) for place in range(512)]
    assert chunks == [b""] * 511 + [frame]


def test_whole_frames_pass_the_buffer_without_a_copy() -> None:
    frame = by_hand.frame("ann", "hello") * 128
    assert FrameBuffer().feed(frame) is frame


@given(st.text(), st.integers(4, 50))
def test_text_is_cut_between_characters_and_nothing_is_lost(text: str, size: int) -> None:
    pieces = split_text(text.encode("utf-8", "surrogatepass"), size)
    assert all(len(piece) <= size for piece in pieces)
    assert "".join(piece.decode("utf-8", "surrogatepass") for piece in pieces) == text


@given(st.binary(max_size=3000))
@example(b"\x80" * 3000)
def test_bytes_that_are_not_text_are_cut_without_loss_and_nearly_full(data: bytes) -> None:
    pieces = split_text(data)
    assert b"".join(pieces) == data
    assert all(445 <= len(piece) <= 448 for piece in pieces[:-1])
    assert len(pieces[-1]) <= 448


def test_a_text_of_just_448_bytes_is_one_piece_and_an_empty_one_too() -> None:
    assert split_text(b"x" * 448) == [b"x" * 448]
    assert split_text(b"x" * 449) == [b"x" * 448, b"x"]
    assert split_text(b"") == [b""]


FAMILY, FLAG, ACCENTED = (
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\U0001f1ee\U0001f1f8",
    "e\u0301",
)


@pytest.mark.parametrize("one", [FAMILY, FLAG, ACCENTED])
@given(lead=st.integers(0, 60))
def test_what_is_read_as_one_character_is_never_cut(one: str, lead: int) -> None:
    pieces = split_text(("x" * lead + one * 300).encode())
    for piece in pieces:
        assert piece.decode().lstrip("x").replace(one, "") == ""
        assert len(piece) <= 448
    assert all(len(piece) > 448 - len(one.encode()) for piece in pieces[:-1])


def test_a_character_longer_than_a_frame_is_cut_where_the_frame_is_full() -> None:
    pieces = split_text(("e" + "\u0301" * 600).encode())
    assert [len(piece) for piece in pieces] == [447, 448, 306]
