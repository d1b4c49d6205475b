"""What one types on the full screen, driven by Textual's pilot."""

from sopchat_client.tui.composer import Composer
from sopchat_client.tui.screens import QuestionScreen
from sopchat_client.tui.search import SearchBar
from textual import events
from textual.pilot import Pilot

from tests.support.screens import PlayedApp, scenario, typed, until

MANY = [f"message {number}" for number in range(200)]


@scenario
async def test_enter_sends_what_is_typed_and_shows_it(pilot: Pilot[None], app: PlayedApp) -> None:
    await pilot.press(*"hello", "enter")
    await pilot.pause()
    assert app.link.texts == ["hello"]
    assert typed(app) == ""
    assert app.shows("ann: hello")


@scenario
async def test_what_arrives_never_touches_what_is_typed(pilot: Pilot[None], app: PlayedApp) -> None:
    for letter in "between":
        await pilot.press(letter)
        app.arrive("bob", *MANY)
    assert typed(app) == "between"


@scenario
async def test_each_line_is_a_message_and_blank_ones_are_none(
    pilot: Pilot[None], app: PlayedApp
) -> None:
    await pilot.press(*"one", "ctrl+j", "ctrl+j", *"two", "enter")
    assert app.link.texts == ["one", "two"]


@scenario
async def test_keys_typed_behind_enter_are_not_sent_with_it(
    pilot: Pilot[None], app: PlayedApp
) -> None:
    """As fast as a terminal gives them: nothing is waited for between."""
    for key in ["a", "enter", "b", "home", "c", "enter", "d"]:
        app.simulate_key(key)
    await pilot.pause()
    assert app.link.texts == ["a", "cb"]
    assert typed(app) == "d"


@scenario
async def test_keys_typed_behind_one_that_opens_something_are_for_that(
    pilot: Pilot[None], app: PlayedApp
) -> None:
    for key in ["ctrl+f", "ü", "!", "escape", "a"]:
        app.simulate_key(key)
    await until(pilot, lambda: typed(app) == "a")
    assert app.screen.query_one(SearchBar).value == "ü!"


@scenario
async def test_up_and_down_go_through_what_was_sent_and_back_to_the_draft(
    pilot: Pilot[None], app: PlayedApp
) -> None:
    await pilot.press(*"one", "enter", *"two", "enter", *"draft", "up")
    assert typed(app) == "two"
    await pilot.press("up", "up")
    assert typed(app) == "one"
    await pilot.press("down", "down", "down")
    assert typed(app) == "draft"


@scenario
async def test_words_are_moved_over_and_deleted(pilot: Pilot[None], app: PlayedApp) -> None:
    await pilot.press(*"one", "space", *"two", "ctrl+left", *"x", "ctrl+w", "alt+f", *"!")
    assert typed(app) == "one two!"


@scenario
async def test_one_key_deletes_what_is_read_as_one_character(
    pilot: Pilot[None], app: PlayedApp
) -> None:
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    app.type(f"a{family}b")
    await pilot.press("left", "left")
    assert app.screen.query_one(Composer).cursor_location == (0, 1)
    await pilot.press("right", "backspace")
    assert typed(app) == "ab"


@scenario
async def test_tab_completes_names_who_spoke_last_first(pilot: Pilot[None], app: PlayedApp) -> None:
    app.arrive("carl", "x")
    app.arrive("cleo", "x")
    await app.drawn(pilot)
    await pilot.press("c", "tab")
    assert typed(app) == "cleo: "
    await pilot.press("tab")
    assert typed(app) == "carl: "
    await pilot.press(*"and cl", "tab")
    assert typed(app) == "carl: and cleo "


@scenario
async def test_the_room_left_is_counted_in_bytes_frames_and_messages(
    pilot: Pilot[None], app: PlayedApp
) -> None:
    for text, said in [
        ("", "448 bytes left"),
        ("grün", "443 bytes left"),
        ("x" * 448, "0 bytes left"),
        ("x" * 447, "1 byte left"),
        ("x" * 449, "2 frames, 447 bytes left"),
        ("a\nb", "2 messages, 2 frames"),
    ]:
        app.screen.query_one(Composer).load_text(text)
        await pilot.pause()
        assert app.rows()[-1].strip().startswith(f"{said} "), text


@scenario
async def test_many_lines_go_out_after_a_question_only(pilot: Pilot[None], app: PlayedApp) -> None:
    paste = "\n".join(f"line {number}" for number in range(50))
    app.type(paste)
    await pilot.press("enter")
    assert isinstance(app.screen, QuestionScreen)
    assert app.shows("Send 50 messages, 50 frames, 2 s?")
    await pilot.press("escape")
    assert app.link.texts == []
    assert typed(app) == paste
    await pilot.press("enter", "y")
    assert app.link.texts == paste.split("\n")
    assert typed(app) == ""


@scenario
async def test_what_has_no_ink_is_typed_as_well(pilot: Pilot[None], app: PlayedApp) -> None:
    family = "\U0001f468\u200d\U0001f469"
    for character in f"{family}\xa0":
        app.post_message(events.Key("", character))
    await until(pilot, lambda: typed(app) == f"{family}\xa0")


@scenario
async def test_what_waits_can_be_taken_back(pilot: Pilot[None], app: PlayedApp) -> None:
    app.link.waits = True
    await pilot.press(*"one", "enter", *"two", "enter", *"draft")
    await app.drawn(pilot)
    assert "2 messages on the way" in app.rows()[-1]
    await pilot.press("ctrl+g")
    await app.drawn(pilot)
    assert typed(app) == "one\ntwo\ndraft"
    assert sum(row.startswith("-") for row in app.rows()) == 2
