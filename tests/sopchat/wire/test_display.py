import re
import sys
import tracemalloc
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sopchat.wire.display import as_lines, coloured, escape, printable
from sopchat.wire.frame import Frame, field_value


@given(st.binary())
def test_whatever_bytes_are_shown_drive_no_terminal_and_forge_no_line(data: bytes) -> None:
    shown = printable(data)
    for character in shown:
        category = unicodedata.category(character)
        assert category not in ("Cc", "Cs", "Zl", "Zp")
        assert category != "Cf" or character in "\u200c\u200d"


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"plain text", "plain text"),
        (b"\x1b[2J", "\\x1b[2J"),
        (b"a\nb\rc", "a\\nb\\rc"),
        (b"\x7f\x00", "\\x7f\\x00"),
        ("\x9b2J".encode(), "\\x9b2J"),
        (b"\x9b2J", "\\x9b2J"),
        ("abc\u202edcba".encode(), "abc\\u202edcba"),
        ("grüß\xa0dich　世界".encode(), "grüß\xa0dich　世界"),
        ("👩‍👧".encode(), "👩‍👧"),
        (b"\xff\xfe", "\\xff\\xfe"),
    ],
)
def test_orders_are_escaped_and_what_people_write_is_not(data: bytes, shown: str) -> None:
    assert printable(data) == shown


@given(
    st.binary()
    | st.lists(st.sampled_from([b"a", b"\xc3", b"\xbc", b"\xe2", b"\x80"])).map(b"".join)
)
def test_bytes_that_are_not_utf8_are_escaped_one_by_one(data: bytes) -> None:
    expected = escape(data.decode("utf-8", "backslashreplace"))
    assert printable(data) == expected


@given(st.lists(st.binary(max_size=448) | st.text(max_size=100).map(str.encode), min_size=1))
@example([b"a\nb", b"c"])
@example([b"a", b""])
@example([b""])
def test_lines_shown_together_are_the_same_as_one_by_one(texts: list[bytes]) -> None:
    said = b"".join(Frame(b"ann", text).encode() for text in texts)
    expected = "".join(f"<ann> {printable(field_value(text))}\r\n" for text in texts)
    assert as_lines(said, lambda name: f"<{name.decode()}> ", "\r\n") == expected


def test_a_name_has_one_colour_and_names_differ() -> None:
    assert coloured("ann") == coloured("ann")
    assert re.fullmatch(r"\x1b\[\d+mann\x1b\[0m", coloured("ann"))
    assert len({coloured(str(number)).replace(str(number), "") for number in range(50)}) > 5


def test_all_characters_that_there_are_leave_little_behind_in_memory() -> None:
    tracemalloc.start()
    try:
        # The first unassigned one makes every other one of its text be looked at.
        for start in range(0x80, sys.maxunicode, 0x4000):
            escape("\u0378" + "".join(map(chr, range(start, start + 0x800))))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 4 * 1024 * 1024
