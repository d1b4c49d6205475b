"""Anybody's bytes as text that is safe everywhere."""

import json
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st
from sopchat_grader.failure import Difference
from sopchat_grader.printable import printable, printable_lines
from sopchat_grader.transcript import hex_dump, summary


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_what_is_printable_can_stand_in_any_report(data: bytes) -> None:
    for text in (printable(data), printable_lines(data), summary(data)):
        assert all(character.isprintable() or character in "\n " for character in text)
        text.encode()
        assert json.loads(json.dumps(text)) == text
        element = ElementTree.Element("text")
        element.text = text
        assert (ElementTree.fromstring(ElementTree.tostring(element)).text or "") == text


@given(st.text(st.characters(categories=["L", "N", "P", "S"]) | st.just(" ")))
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert printable(text.encode()) == text


def test_what_is_unsafe_is_escaped() -> None:
    assert printable(b"a\x1b[31m\xff\n") == "a\\x1b[31m\\xff\\n"
    assert printable("\u202e".encode()) == "\\u202e"
    assert printable_lines(b"a\r\nb\n") == "a\nb\n"


def test_a_summary_shortens_padding_and_length() -> None:
    assert summary(b"ann".ljust(64, b"\0") + b"hello".ljust(448, b"\0")) == "512 bytes 'ann·hello'"
    assert summary(b"x" * 5000).endswith("' ...")
    assert summary(b"") == "0 bytes ''"


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_a_hex_dump_marks_the_first_byte_that_differs(wanted: bytes, got: bytes) -> None:
    difference = Difference(wanted, got)
    at = difference.position
    assert wanted[:at] == got[:at]
    assert wanted[at : at + 1] != got[at : at + 1] or wanted == got
    rows = hex_dump(difference)
    assert rows[0] == f"first difference at byte {at} (0x{at:x})"
    marked = [row for row in rows if row.startswith(">")]
    assert len(marked) == 2
    assert all(int(row.split()[1], 16) <= at for row in marked)
