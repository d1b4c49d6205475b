import re
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len
from sopchat_client.tui import wrap as module
from sopchat_client.tui.wrap import wrap
from wcwidth import iter_graphemes

from sopchat.wire.display import escape

# Letters of one cell and two, marks and joiners wherever they come, and what several make up.
LETTERS = [*"aé .-日本한ก❤👩🇫", "\u0301", "\u200d", "\ufe0f"]
MARKED = ["e\u0301", "❤\ufe0f", "1\ufe0f\u20e3", "กำ", "நி", "क्ष्म"]
JOINED = ["👍🏽", "👩\u200d👧", "🇩🇪", "\u1112\u1161\u11ab"]
pieces = st.sampled_from([*LETTERS, *MARKED, *JOINED])
texts = st.lists(pieces, max_size=40).map("".join)
rooms = st.integers(2, 20)

# Every letter for which a place is taken to be a cell.
PLAIN = [
    letter
    for letter in map(chr, range(sys.maxunicode + 1))
    if module._PLAIN.fullmatch(letter) and escape(letter) == letter
]


def cut(text: str, first: int, others: int) -> list[str]:
    return [text[start:end] for start, end in wrap(text, first, others)]


@given(texts, rooms, rooms)
@example("aa ", 2, 2)
def test_the_rows_cover_the_text_without_gap_or_overlap(text: str, first: int, others: int) -> None:
    rows = wrap(text, first, others)
    assert "".join(cut(text, first, others)) == text
    assert [start for start, _ in rows] == [0, *(end for _, end in rows[:-1])]
    assert all(start < end for start, end in rows) or rows == [(0, 0)]


@given(texts, rooms, rooms)
@example("a 👩\u200d👧 b", 2, 2)
@example("क्ष्म ", 2, 2)
def test_no_row_is_wider_than_its_room_but_for_the_space_behind_it(
    text: str, first: int, others: int
) -> None:
    for number, row in enumerate(cut(text, first, others)):
        words = row.removesuffix(" ")
        fits = cell_len(words) <= (others if number else first)
        assert fits or len(list(iter_graphemes(words))) == 1


@given(texts, rooms, rooms)
@example("🇩🇪🇫🇷", 3, 3)
@example("aa \u0301aa", 4, 4)
def test_what_is_read_as_one_character_is_never_cut(text: str, first: int, others: int) -> None:
    clusters = list(iter_graphemes(text))
    assert [one for row in cut(text, first, others) for one in iter_graphemes(row)] == clusters


@given(st.text(PLAIN, max_size=60), rooms, rooms)
@example("".join(PLAIN), 7, 9)
def test_a_text_of_plain_letters_is_cut_as_any_other(text: str, first: int, others: int) -> None:
    plain = wrap(text, first, others)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PLAIN", re.compile("(?!)"))
        assert wrap(text, first, others) == plain


@pytest.mark.parametrize(
    ("text", "first", "others", "rows"),
    [
        ("", 2, 2, [""]),
        ("one two three", 13, 2, ["one two three"]),
        ("one two three", 7, 7, ["one two ", "three"]),
        ("one two three", 6, 9, ["one ", "two three"]),
        ("abcdefgh ij", 3, 4, ["abc", "defg", "h ij"]),
        ("日本 日本語", 5, 5, ["日本 ", "日本", "語"]),
        ("日本語", 2, 4, ["日", "本語"]),
    ],
)
def test_rows_end_behind_words_and_take_what_fits(
    text: str, first: int, others: int, rows: list[str]
) -> None:
    assert cut(text, first, others) == rows
