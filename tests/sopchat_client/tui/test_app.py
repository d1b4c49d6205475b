"""The full screen, driven by Textual's pilot."""

import math
from collections.abc import Awaitable, Callable

import pytest
from sopchat_client.link import Lost
from sopchat_client.tui.app import ChatApp
from sopchat_client.tui.composer import Composer
from sopchat_client.tui.log import MessageLog
from sopchat_client.tui.screens import HelpScreen, QuestionScreen, key_words
from sopchat_client.tui.search import SearchBar
from textual import events
from textual.binding import Binding
from textual.pilot import Pilot
from textual.widgets import OptionList

from tests.support.screens import PlayedApp, on_screen, until

MANY = [f"message {number}" for number in range(200)]


def scenario(play: Callable[[Pilot[None], PlayedApp], Awaitable[None]]) -> Callable[[], None]:
    """A test that plays with a joined app."""

    def test() -> None:
        app = PlayedApp()

        async def with_app(pilot: Pilot[None]) -> None:
            app.join()
            await app.drawn(pilot)
            await play(pilot, app)

        on_screen(app, with_app)

    return test


def typed(app: PlayedApp) -> str:
    return app.screen_stack[0].query_one(Composer).text


def log(app: PlayedApp) -> MessageLog:
    return app.screen_stack[0].query_one(MessageLog)


def messages(app: PlayedApp) -> list[str]:
    """The rows of the messages, without the scroll bar."""
    return [row[: app.size.width - 1].rstrip() for row in app.rows()[1:-3]]


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
async def test_the_view_stays_where_the_reader_put_it_and_counts_what_is_new(
    pilot: Pilot[None], app: PlayedApp
) -> None:
    app.arrive("bob", *MANY)
    await app.drawn(pilot)
    await pilot.press("pageup")
    before = messages(app)
    app.arrive("bob", "new")
    app.arrive("bob", "newer", "newest")
    await app.drawn(pilot)
    assert messages(app) == before
    assert app.shows("3 new messages below")
    await pilot.press("escape")
    await pilot.pause()
    assert app.shows("bob: newest")
    assert not app.shows("below")


@scenario
async def test_the_view_stays_when_old_messages_are_dropped(
    pilot: Pilot[None], app: PlayedApp
) -> None:
    app.arrive("bob", *(f"message {number}" for number in range(10_995)))
    await app.drawn(pilot)
    await pilot.press("pageup")
    before = messages(app)
    app.arrive("bob", *(f"later {number}" for number in range(20)))
    await app.drawn(pilot)
    assert messages(app) == before
    assert len(app.conversation.scrollback.entries) < 10_500


@scenario
async def test_the_view_stays_when_the_unread_line_moves(
    pilot: Pilot[None], app: PlayedApp
) -> None:
    app.app_focus = False
    app.arrive("bob", *MANY)
    app.app_focus = True
    await app.drawn(pilot)
    await pilot.press("pageup", "pageup")
    before = messages(app)
    app.arrive("bob", *MANY)
    await app.drawn(pilot)
    assert messages(app) == before
    await pilot.press("ctrl+end")
    await app.drawn(pilot)
    assert app.shows("message 199")


@scenario
async def test_a_search_survives_that_old_messages_are_dropped(
    pilot: Pilot[None], app: PlayedApp
) -> None:
    app.arrive("bob", "needle", *(f"message {number}" for number in range(10_980)), "needle 2")
    await app.drawn(pilot)
    await pilot.press("ctrl+f", *"needle")
    app.arrive("bob", *MANY)
    await app.drawn(pilot)
    await pilot.press("enter")
    assert app.shows("2 of 2")
    await pilot.press("enter")
    await app.drawn(pilot)
    assert app.shows("bob: needle 2")


@scenario
async def test_what_is_pasted_into_the_help_is_typed(pilot: Pilot[None], app: PlayedApp) -> None:
    await pilot.press("question_mark")
    app.screen.post_message(events.Paste("pasted"))
    await until(pilot, lambda: typed(app) == "?pasted")
    assert not isinstance(app.screen, HelpScreen)


@scenario
async def test_after_a_resize_the_reader_sees_the_same_message_at_the_top(
    pilot: Pilot[None], app: PlayedApp
) -> None:
    app.arrive("bob", *(f"{number} {'word ' * 30}" for number in range(200)))
    await app.drawn(pilot)
    await pilot.press("pageup", "pageup")
    top = next(row for row in app.rows()[1:] if "bob" in row).split()[2]
    for size in [(40, 24), (120, 30), (80, 24)]:
        await pilot.resize_terminal(*size)
        await pilot.pause()
        tops = [row.split()[2] for row in app.rows()[1:4] if "bob" in row]
        assert top in tops or str(int(top) - 1) in tops, size


@scenario
async def test_at_the_end_the_newest_stays_in_view_through_any_resize(
    pilot: Pilot[None], app: PlayedApp
) -> None:
    app.arrive("bob", *(f"{number} {'word ' * 30}" for number in range(50)), "the end")
    for size in [(40, 12), (20, 6), (200, 50), (1, 1), (80, 24)]:
        await pilot.resize_terminal(*size)
        await app.drawn(pilot)
    assert app.shows("bob: the end")


@scenario
async def test_an_unread_line_stands_where_one_left(pilot: Pilot[None], app: PlayedApp) -> None:
    app.arrive("bob", "seen")
    await app.drawn(pilot)
    app.app_focus = False
    app.arrive("bob", "unseen", "unseen too")
    await app.drawn(pilot)
    rows = app.rows()
    marks = [number for number, row in enumerate(rows) if "unread from here" in row]
    assert len(marks) == 1
    assert "bob: seen" in rows[marks[0] - 1]
    assert "bob: unseen" in rows[marks[0] + 1]
    app.app_focus = True
    app.arrive("bob", "seen again")
    await app.drawn(pilot)
    assert sum("unread" in row for row in app.rows()) == 1


@scenario
async def test_a_bell_rings_for_a_mention_only(pilot: Pilot[None], app: PlayedApp) -> None:
    rung: list[str] = []
    setattr(app, "bell", lambda: rung.append("bell"))  # noqa: B010
    app.conversation.since = -math.inf  # joined long ago
    app.arrive("bob", "hello everybody", "annabel is here")
    await app.drawn(pilot)
    assert not rung
    app.arrive("bob", "Ann, are you there?")
    await app.drawn(pilot)
    assert len(rung) == 1
    assert any(row.startswith("@") and "Ann, are" in row for row in app.rows())


@scenario
async def test_the_search_goes_to_the_newest_place_and_further_up(
    pilot: Pilot[None], app: PlayedApp
) -> None:
    app.arrive("bob", "the Needle", *MANY, "another needle", *MANY)
    await app.drawn(pilot)
    await pilot.press("ctrl+f", *"needle")
    await pilot.pause()
    assert app.shows("1 of 2")
    assert app.shows("another needle")
    await pilot.press("enter")
    await pilot.pause()
    assert app.shows("2 of 2")
    assert app.shows("the Needle")
    await pilot.press(*"x")
    await pilot.pause()
    assert app.shows("not found")
    await pilot.press("escape", *"typed")
    assert typed(app) == "typed"
    assert not app.shows("not found")


@scenario
async def test_a_link_opens_in_the_browser_or_is_copied(pilot: Pilot[None], app: PlayedApp) -> None:
    opened = []
    app.open_url = lambda url, new_tab=True: opened.append(url)  # type: ignore[method-assign,misc]
    app.arrive("bob", "see https://example.org/a?b=c, or (http://example.com/d_(e)).")
    await app.drawn(pilot)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DISPLAY", ":0")
        await pilot.press("ctrl+o")
        choice = app.screen.query_one(OptionList)
        assert [str(option.prompt) for option in choice.options] == [
            "https://example.org/a?b=c",
            "http://example.com/d_(e)",
        ]
        await pilot.press("enter")
        assert opened == ["https://example.org/a?b=c"]
        row = next(number for number, row in enumerate(app.rows()) if "example.com" in row)
        await pilot.click(offset=(app.rows()[row].index("example.com"), row))
        assert opened[1:] == ["http://example.com/d_(e)"]
        patch.delenv("DISPLAY")
        patch.delenv("BROWSER", raising=False)
        patch.delenv("WAYLAND_DISPLAY", raising=False)
        patch.setattr("sys.platform", "linux")
        await pilot.press("ctrl+o", "down", "enter")
        assert app.clipboard == "http://example.com/d_(e)"


@scenario
async def test_text_selected_with_the_mouse_is_copied_instead_of_leaving(
    pilot: Pilot[None], app: PlayedApp
) -> None:
    app.arrive("bob", "to be copied")
    await app.drawn(pilot)
    row = next(number for number, row in enumerate(app.rows()) if "copied" in row)
    start = app.rows()[row].index("to be")
    await pilot.hover(offset=(start, row))
    await pilot.pause()
    await pilot.mouse_down(offset=(start, row))
    await pilot.hover(offset=(start + 4, row))
    await pilot.mouse_up(offset=(start + 4, row))
    await pilot.press("ctrl+c")
    assert app.clipboard == "to be"
    assert app.is_running


@scenario
async def test_selected_text_can_be_read(pilot: Pilot[None], app: PlayedApp) -> None:
    app.arrive("bob", "to be read")
    await app.drawn(pilot)
    log(app).text_select_all()
    await pilot.pause()
    row = next(number for number, row in enumerate(app.rows()) if "to be read" in row)
    styles = [segment.style for segment in log(app).render_line(row - 1)]
    assert styles
    for style in styles:
        assert style is not None
        assert style.color != style.bgcolor


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
async def test_what_has_no_ink_is_typed_as_well(pilot: Pilot[None], app: PlayedApp) -> None:
    family = "\U0001f468\u200d\U0001f469"
    for character in f"{family}\xa0":
        app.post_message(events.Key("", character))
    await until(pilot, lambda: typed(app) == f"{family}\xa0")


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


@scenario
async def test_what_members_send_cannot_drive_the_terminal_or_forge_a_row(
    pilot: Pilot[None], app: PlayedApp
) -> None:
    app.arrive("b\x1b[31mob", "\x1b]0;title\x07 [bold]x[/bold]\n12:00 carl: forged\u202e")
    await app.drawn(pilot)
    shown = "\n".join(app.rows())
    assert "\x1b" not in shown
    assert r"b\x1b[31mob: \x1b]0;title\x07 [bold]x[/bold]\n12:00 carl: forged\u202e" in shown
