"""Each view beside its picture. `scripts/test --snapshot-update` draws the pictures anew."""

import math
from collections.abc import Awaitable, Callable

import pytest
from sopchat_client.link import Delivery, Joined, Lost, Saying
from sopchat_client.tui.composer import Composer
from sopchat_client.tui.scrollback import Entry, Kind
from textual.pilot import Pilot

from tests.support.screens import PlayedApp

Compare = Callable[..., bool]

SAID = [
    ("bob", "hello everybody"),
    ("ann", "hi bob"),
    ("日本", "こんにちは 👋 and a text that is long enough to need a second row on most screens"),
    ("cleo", "see https://example.org/a/page?with=much&more=behind it"),
    ("bob", "ann, what do you think?"),
]


def compare(
    snap_compare: Compare,
    play: Callable[[Pilot[None], PlayedApp], Awaitable[None]],
    *,
    light: bool = False,
    size: tuple[int, int] = (80, 20),
) -> bool:
    app = PlayedApp(light=light)

    async def run_before(pilot: Pilot[None]) -> None:
        app.conversation.scrollback.append(Entry(Kind.DAY, "", "Saturday 21 November 2026"))
        app.remember(*SAID)
        app.conversation.connection = Joined()
        await app.drawn(pilot)
        await play(pilot, app)
        await app.drawn(pilot)
        app.screen_stack[0].query_one(Composer).cursor_blink = False

    return snap_compare(app, terminal_size=size, run_before=run_before)


async def nothing(pilot: Pilot[None], app: PlayedApp) -> None:
    """The chat as it is."""


@pytest.mark.parametrize("light", [False, True], ids=["dark", "light"])
def test_the_chat(snap_compare: Compare, light: bool) -> None:
    assert compare(snap_compare, nothing, light=light)


def test_the_chat_at_40_columns(snap_compare: Compare) -> None:
    assert compare(snap_compare, nothing, size=(40, 16))


def test_own_messages_that_wait_or_may_be_lost(snap_compare: Compare) -> None:
    async def play(pilot: Pilot[None], app: PlayedApp) -> None:
        for text, delivery in [("lost?", Delivery.UNCERTAIN), ("waits", Delivery.WAITING)]:
            entry = Entry(Kind.OWN, "12:01", text, "ann", saying=Saying(text, delivery))
            app.conversation.scrollback.append(entry)
        app.conversation.connection = Lost("the server closed the connection", math.inf)
        app.conversation.changed()

    assert compare(snap_compare, play)


def test_new_messages_below_and_the_unread_line(snap_compare: Compare) -> None:
    async def play(pilot: Pilot[None], app: PlayedApp) -> None:
        app.remember(*(("bob", f"message {number}") for number in range(30)))
        await app.drawn(pilot)
        app.conversation.scrollback.append(Entry(Kind.UNREAD, "", "unread from here"))
        app.remember(("cleo", "new"), ("cleo", "newer"), ("cleo", "newest"))
        await app.drawn(pilot)
        await pilot.press("alt+up", "alt+up")
        app.conversation.unseen = 3
        app.conversation.changed()

    assert compare(snap_compare, play)


def test_a_text_of_several_lines_and_frames(snap_compare: Compare) -> None:
    async def play(pilot: Pilot[None], app: PlayedApp) -> None:
        app.type("one line\n" + "a long one " * 50)

    assert compare(snap_compare, play)


def test_the_search(snap_compare: Compare) -> None:
    async def play(pilot: Pilot[None], app: PlayedApp) -> None:
        await pilot.press("ctrl+f", *"bob")

    assert compare(snap_compare, play)


@pytest.mark.parametrize("key", ["f1", "ctrl+o"], ids=["help", "links"])
def test_what_stands_over_the_chat(snap_compare: Compare, key: str) -> None:
    async def play(pilot: Pilot[None], app: PlayedApp) -> None:
        await pilot.press(key)

    assert compare(snap_compare, play)


def test_the_question_before_a_paste(snap_compare: Compare) -> None:
    async def play(pilot: Pilot[None], app: PlayedApp) -> None:
        app.type("\n".join(map(str, range(100))))
        await pilot.press("enter")

    assert compare(snap_compare, play)
