import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from sopchat_client.tui import scrollback as module
from sopchat_client.tui.scrollback import INDENT, Entry, Kind, Scrollback

words = st.text("ab 日👩", max_size=60)
entries = st.builds(Entry, st.sampled_from(Kind), st.just("12:00"), words, words)
widths = st.integers(2, 100)


def message(text: str, name: str = "ann") -> Entry:
    return Entry(Kind.MESSAGE, "12:00", text, name)


def holding(*texts: str, width: int = 80) -> Scrollback:
    scrollback = Scrollback(width)
    for text in texts:
        scrollback.append(message(text))
    return scrollback


def texts_of(scrollback: Scrollback) -> list[str]:
    return [entry.text for entry in scrollback.entries]


Step = Callable[[Scrollback], object]

appending = entries.map(lambda entry: lambda scrollback: scrollback.append(entry))
resizing = widths.map(lambda width: lambda scrollback: scrollback.resize(width))
removing = st.integers(0, 20).map(
    lambda place: (
        lambda scrollback: [
            scrollback.remove(entry) for entry in scrollback.entries[place : place + 1]
        ]
    )
)


@given(widths, st.lists(st.one_of(appending, appending, resizing, removing), max_size=40))
def test_rows_and_entries_agree_whatever_is_added_dropped_removed_and_wrapped_anew(
    width: int, steps: list[Step]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "KEPT", 8)
        patch.setattr(module, "_SLACK", 3)
        scrollback = Scrollback(width)
        for step in steps:
            step(scrollback)
    stands = [
        (place, part)
        for place, entry in enumerate(scrollback.entries)
        for part in range(len(scrollback.rows(entry)))
    ]
    assert scrollback.height == len(stands)
    assert [scrollback.at(row) for row in range(len(stands))] == stands
    tops = [stands.index((place, 0)) for place in range(len(scrollback.entries))]
    assert list(map(scrollback.row_of, scrollback.entries)) == tops


def test_the_oldest_are_dropped_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 8)
    monkeypatch.setattr(module, "_SLACK", 3)
    scrollback = Scrollback(20)  # 7 cells in an entry's first row, 16 in the next
    kept = []
    for number in range(15):
        rows = [1, 2, 3, 1, 2][number % 5]
        scrollback.append(message("x" * (7 + 16 * (rows - 1))))
        kept.append(len(scrollback.entries))
    assert kept == [*range(1, 12), 9, 10, 11, 9]
    assert list(map(scrollback.row_of, scrollback.entries))[:3] == [0, 2, 5]


def test_ten_thousand_entries_are_kept() -> None:
    scrollback = holding(*map(str, range(11_001)))
    assert texts_of(scrollback) == [str(number) for number in range(1000, 11_001)]


def test_an_entry_is_removed_itself_and_not_one_like_it() -> None:
    scrollback = holding("one", "same", "same", "last")
    first = scrollback.entries[1]
    second = scrollback.entries[2]
    scrollback.remove(second)
    assert scrollback.entries[1] is first
    assert texts_of(scrollback) == ["one", "same", "last"]
    assert scrollback.height == 3
    scrollback.remove(second)  # is no longer there
    assert texts_of(scrollback) == ["one", "same", "last"]


def test_a_message_begins_behind_its_name_and_goes_on_below_it_or_further_left() -> None:
    text = "x" * 100
    wide, narrow = Scrollback(50), Scrollback(49)
    assert wide.rows(message(text)) == [(0, 37), (37, 79), (79, 100)]
    assert narrow.rows(message(text)) == [(0, 36), (36, 81), (81, 100)]
    assert (wide.indent, narrow.indent) == (8, 4)


def test_however_narrow_it_is_a_row_takes_two_cells_of_text() -> None:
    assert Scrollback(3).rows(message("abcd")) == [(0, 2), (2, 4)]


def test_a_rule_takes_one_row_however_long() -> None:
    assert Scrollback(10).rows(Entry(Kind.DAY, "", "x" * 30)) == [(0, 30)]


@pytest.mark.parametrize(
    ("name", "width", "shown"),
    [
        ("", 80, ""),
        ("ann", 80, "ann: "),
        ("x" * 62, 80, "x" * 62 + ": "),
        ("x" * 63, 80, "x" * 61 + "…: "),
        ("日本語日本語", 26, "日本語…: "),
        ("annabella", 10, "annab…: "),
    ],
)
def test_a_name_is_shortened_where_it_would_leave_too_little(
    name: str, width: int, shown: str
) -> None:
    assert Scrollback(width).name(message("", name)) == shown


@given(words, st.integers(24, 100))
def test_beside_any_name_eight_cells_are_left_for_the_text(name: str, width: int) -> None:
    assert cell_len(Scrollback(width).name(message("", name))) <= width - INDENT - 8


def test_what_is_looked_for_is_found_in_texts_and_names_in_any_case_the_newest_first() -> None:
    scrollback = holding("the Street", "nothing", "STREET 1")
    scrollback.append(message("hello", "Streeter"))
    found = scrollback.find(re.compile("street", re.IGNORECASE))
    assert [scrollback.entries.index(entry) for entry in found] == [3, 2, 0]
    assert list(scrollback.find(re.compile("avenue"))) == []
