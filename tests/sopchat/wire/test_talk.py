import pytest

from sopchat.wire.talk import asks_who, parse, who


@pytest.mark.parametrize(
    ("message", "name", "text"),
    [
        (b"ann says: hello", b"ann", b"hello"),
        (b"ann says: bob says: hello\n", b"ann", b"bob says: hello"),
        (b"hello", None, b"hello"),
        (b" says: hello", None, b" says: hello"),
        (b"ann says:hello", None, b"ann says:hello"),
        (b"two\nlines says: x", None, b"two\nlines says: x"),
        (b"n" * 64 + b" says: x", b"n" * 64, b"x"),
        (b"n" * 65 + b" says: x", None, b"n" * 65 + b" says: x"),
        (b"ann says: ", b"ann", b""),
        (b"a\0 says: x", None, b"a\0 says: x"),
    ],
)
def test_a_name_stands_before_says(message: bytes, name: bytes | None, text: bytes) -> None:
    assert parse(message) == (name, text)


def test_the_question_is_who_with_a_colon_alone() -> None:
    assert asks_who(b"/who:")
    assert asks_who(b" /who: ")
    assert not asks_who(b"/who")
    assert not asks_who(b"who is /who:")


def test_the_answer_counts_and_lists() -> None:
    members = [(b"ann", "192.0.2.1:5000"), (b"<unknown>", "[2001:db8::1]:6000")]
    assert who(members) == (
        b"2 clients connected.\n"
        b"ann connected from 192.0.2.1, 5000.\n"
        b"<unknown> connected from 2001:db8::1, 6000.\n"
    )
    assert who([]) == b"0 clients connected.\n"


def test_a_name_in_the_answer_forges_no_line_and_drives_no_terminal() -> None:
    assert who([(b"\x1b[2Jeve connected from 10.0.0.1, 1.\nboss", "192.0.2.1:5000")]) == (
        b"1 clients connected.\n"
        b"\\x1b[2Jeve connected from 10.0.0.1, 1.\\nboss connected from 192.0.2.1, 5000.\n"
    )
