"""What one reads on the full screen, driven by Textual's pilot."""

import math

import pytest
from textual.pilot import Pilot
from textual.widgets import OptionList

from tests.support.screens import PlayedApp, log, messages, scenario, typed

MANY = [f"message {number}" for number in range(200)]


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
async def test_what_members_send_cannot_drive_the_terminal_or_forge_a_row(
    pilot: Pilot[None], app: PlayedApp
) -> None:
    app.arrive("b\x1b[31mob", "\x1b]0;title\x07 [bold]x[/bold]\n12:00 carl: forged\u202e")
    await app.drawn(pilot)
    shown = "\n".join(app.rows())
    assert "\x1b" not in shown
    assert r"b\x1b[31mob: \x1b]0;title\x07 [bold]x[/bold]\n12:00 carl: forged\u202e" in shown
