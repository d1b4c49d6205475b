from hypothesis import example, given
from hypothesis import strategies as st

from sopchat.wire.line import LINE_SIZE, LineBuffer, lines

streams = st.lists(st.sampled_from([b"a", b"\r", b"\n", b"\0", b"\xff", b"x" * 3000])).map(b"".join)


@given(st.data(), streams)
def test_any_cut_of_any_stream_comes_out_whole_and_cut_at_lines(
    data: st.DataObject, stream: bytes
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    buffer = LineBuffer()
    out = [
        buffer.feed(stream[start:end])
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)
    ]
    assert buffer.half < LINE_SIZE
    for piece in out:
        assert piece.endswith(b"\n") or not piece or len(piece) >= LINE_SIZE
    assert b"".join(out) + buffer.flush() == stream
    assert buffer.half == 0


@given(streams)
@example(b"hello\r\n")
def test_a_stream_byte_by_byte_gives_the_lines_it_gives_at_once(stream: bytes) -> None:
    stream = stream.replace(b"x" * 3000, b"x")
    one, other = LineBuffer(), LineBuffer()
    pieces = [one.feed(stream[place : place + 1]) for place in range(len(stream))]
    assert b"".join(pieces) == other.feed(stream)
    assert one.half == other.half


def test_texts_of_lines_have_no_ends() -> None:
    assert lines(b"one\r\ntwo\nthree") == [b"one", b"two", b"three"]
    assert lines(b"\r\n\n") == [b"", b""]
    assert lines(b"") == []
