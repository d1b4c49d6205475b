"""The full screen as a whole, driven by Textual's pilot."""

import math

import pytest
from sopchat_client.link import Lost
from sopchat_client.tui.app import ChatApp
from sopchat_client.tui.composer import Composer
from sopchat_client.tui.screens import HelpScreen, key_words
from sopchat_client.tui.search import SearchBar
from textual import events
from textual.binding import Binding
from textual.pilot import Pilot

from tests.support.screens import PlayedApp, on_screen, scenario, typed, until


@scenario
async def test_what_is_pasted_into_the_help_is_typed(pilot: Pilot[None], app: PlayedApp) -> None:
    await pilot.press("question_mark")
    app.screen.post_message(events.Paste("pasted"))
    await until(pilot, lambda: typed(app) == "?pasted")
    assert not isinstance(app.screen, HelpScreen)


@scenario
async def test_leaving_with_something_unsent_needs_a_second_press(
    pilot: Pilot[None], app: PlayedApp
) -> None:
    await pilot.press(*"draft", "ctrl+c")
    await until(pilot, lambda: app.shows("Once more to leave"))
    assert app._exit is False
    await pilot.press("ctrl+c")
    assert app._exit is True
    assert app.typed == ["draft"]


@scenario
async def test_ctrl_d_deletes_to_the_right_and_leaves_where_nothing_is_typed(
    pilot: Pilot[None], app: PlayedApp
) -> None:
    await pilot.press(*"ab", "home", "ctrl+d", "ctrl+d")
    assert typed(app) == ""
    assert app._exit is False
    await pilot.press("ctrl+d")
    assert app._exit is True


@pytest.mark.parametrize("text", ["/quit", "/exit ", "/QUIT"])
def test_a_word_leaves(text: str) -> None:
    app = PlayedApp()

    async def play(pilot: Pilot[None]) -> None:
        await pilot.press(*text, "enter")
        assert app._exit is True

    on_screen(app, play)
    assert app.link.texts == []


@scenario
async def test_the_help_lists_every_key_there_is(pilot: Pilot[None], app: PlayedApp) -> None:
    await pilot.press("f1")
    assert isinstance(app.screen, HelpScreen)
    await pilot.resize_terminal(120, 120)
    await pilot.pause()
    shown = "\n".join(app.rows())
    for part in (ChatApp, Composer, SearchBar, HelpScreen):
        for binding in Binding.make_bindings(part.BINDINGS):
            assert key_words(binding.key) in shown, binding
            assert binding.description, binding
    await pilot.press("escape", *"typed")
    assert typed(app) == "typed"


@scenario
async def test_a_question_mark_asks_for_help_and_who_types_on_meant_the_mark(
    pilot: Pilot[None], app: PlayedApp
) -> None:
    await pilot.press("question_mark")
    assert isinstance(app.screen, HelpScreen)
    await pilot.press("question_mark")
    assert typed(app) == "?"
    await pilot.press("question_mark", "enter")
    assert app.link.texts == ["??"]
    await pilot.press("question_mark", *" is it", "enter")
    assert app.link.texts[1:] == ["? is it"]
    await pilot.press("question_mark", "escape")
    assert typed(app) == ""


@scenario
async def test_a_lost_connection_is_counted_down_and_f5_hurries(
    pilot: Pilot[None], app: PlayedApp
) -> None:
    await pilot.press(*"draft")
    app.conversation.tell(Lost("the server closed the connection", 8.0))
    await app.drawn(pilot)
    assert "lost, again in 8 s" in app.rows()[0]
    assert app.shows("connection lost: the server closed the connection")
    assert typed(app) == "draft"
    await pilot.press("f5")
    assert app.link.wanted == ["again"]
    app.conversation.tell(Lost("refused", math.inf))
    await app.drawn(pilot)
    assert "F5 tries again" in app.rows()[0]
    assert app.shows("not trying any more: refused")


@scenario
async def test_light_and_dark_change_with_a_key(pilot: Pilot[None], app: PlayedApp) -> None:
    assert app.current_theme.dark
    await pilot.press("f2")
    assert not app.current_theme.dark
