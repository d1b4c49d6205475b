"""What the composer counts and remembers; how it is used, the tests of the app show."""

import pytest
from sopchat_client.tui.composer import History, Size, texts_of


@pytest.mark.parametrize(
    ("typed", "texts"),
    [
        ("", []),
        (" \t \n\n", []),
        ("hello", ["hello"]),
        ("one\n\n  two \r\nthree\n", ["one", "  two ", "three"]),
        ("a\0b\n\0", ["ab"]),
        ("half \ud83d", ["half ?"]),
        ("grün 👩\u200d👧", ["grün 👩\u200d👧"]),
    ],
)
def test_each_line_that_is_not_blank_is_a_message_that_can_be_said(
    typed: str, texts: list[str]
) -> None:
    assert texts_of(typed) == texts


@pytest.mark.parametrize(
    ("texts", "size", "shown"),
    [
        ([], Size(0, 0, 448), "448 bytes left"),
        (["hello"], Size(1, 1, 443), "443 bytes left"),
        (["ü" * 224], Size(1, 1, 0), "0 bytes left"),
        (["x" * 449], Size(1, 2, 447), "2 frames, 447 bytes left"),
        # A character that does not fit any more goes into the next frame.
        (["x" * 447 + "ü"], Size(1, 2, 446), "2 frames, 446 bytes left"),
        (["a", "b"], Size(2, 2, 447), "2 messages, 2 frames"),
        (["a", "x" * 900], Size(2, 4, 444), "2 messages, 4 frames"),
    ],
)
def test_the_size_is_that_of_the_frames_on_the_wire(
    texts: list[str], size: Size, shown: str
) -> None:
    assert Size.of(texts) == size
    assert str(size) == shown


def test_the_history_goes_back_and_forth_and_ends_with_what_was_being_typed() -> None:
    history = History()
    history.add("one")
    history.add("two")
    assert history.move(-1, "draft") == "two"
    assert history.move(-1, "two") == "one"
    assert history.move(-1, "one") is None
    assert history.move(1, "one") == "two"
    assert history.move(1, "two") == "draft"
    assert history.move(1, "draft") is None
    # It may have been changed meanwhile.
    assert history.move(-1, "other draft") == "two"
    assert history.move(1, "two") == "other draft"


def test_an_empty_history_has_nothing_on_either_side() -> None:
    history = History()
    assert history.move(-1, "draft") is None
    assert history.move(1, "draft") is None


def test_what_is_added_is_looked_at_from_the_end_and_kept_once_in_a_row() -> None:
    history = History()
    for text in ("one", "two", "two"):
        history.add(text)
    assert history.move(-2, "") == "one"
    history.add("one")
    assert [history.move(-1, "") for _ in range(4)] == ["one", "two", "one", None]
