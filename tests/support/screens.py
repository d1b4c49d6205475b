"""The client's full screen without a terminal and without a network: what is told, it shows."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from sopchat_client.chat import Chat
from sopchat_client.link import Arrived, Delivery, Joined, Link, Saying
from sopchat_client.protocols import Message
from sopchat_client.tui.app import ChatApp
from sopchat_client.tui.composer import Composer
from sopchat_client.tui.conversation import Conversation
from sopchat_client.tui.log import MessageLog
from sopchat_client.tui.scrollback import Entry, Kind
from textual.pilot import Pilot

from tests.support.clients import PATIENCE


class PlayedLink(Link):
    """Sends nothing, and remembers what was said and wanted."""

    def __init__(self) -> None:
        super().__init__(_nobody, lambda event: None)
        self.texts: list[str] = []
        self.wanted: list[str] = []
        # Whether what is said stays on its way.
        self.waits = False

    def say(self, text: str) -> Saying:
        if self.waits:
            return super().say(text)
        self.texts.append(text)
        return Saying(text, Delivery.SENT)

    def again(self) -> None:
        self.wanted.append("again")


def _nobody() -> AbstractAsyncContextManager[Chat]:
    raise NotImplementedError


class PlayedApp(ChatApp):
    """ann's screen, in a room where everything is told by the test."""

    def __init__(self, *, light: bool = False, name: str = "ann") -> None:
        self.link = PlayedLink()
        self.conversation = Conversation(name, "chat.local:9000")
        super().__init__(self.link, self.conversation, light=light)

    def arrive(self, name: str, *texts: str) -> None:
        """Let somebody say something."""
        self.conversation.tell(Arrived([Message(name, text, b"") for text in texts]))

    def join(self) -> None:
        self.conversation.tell(Joined())

    def remember(self, *said: tuple[str, str]) -> None:
        """Put messages into the scrollback as if said at noon: the same in every picture."""
        for name, text in said:
            kind = Kind.OWN if name == self.conversation.name else Kind.MESSAGE
            mention = kind is Kind.MESSAGE and self.conversation.name in text
            self.conversation.scrollback.append(Entry(kind, "12:00", text, name, mention))
        self.conversation.changed()

    async def drawn(self, pilot: Pilot[None]) -> None:
        """Wait until everything that was told is on the screen."""
        while self._drawing is not None:
            await pilot.pause(0.01)
        await pilot.pause()

    def shows(self, text: str) -> bool:
        """Whether some row of the screen holds the text."""
        return any(text in row for row in self.rows())

    def rows(self) -> list[str]:
        """What the screen shows, without styles and trailing blanks."""
        return [
            "".join(segment.text for segment in strip).rstrip()
            for strip in self.screen_stack[-1]._compositor.render_strips()
        ]

    def export_screenshot(self, *, title: str | None = None, simplify: bool = False) -> str:
        """As Textual does it, but for the fonts that the picture would fetch."""
        svg = super().export_screenshot(title=title, simplify=simplify)
        return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)


def on_screen(
    app: PlayedApp,
    play: Callable[[Pilot[None]], Awaitable[None]],
    size: tuple[int, int] = (80, 24),
) -> None:
    """Run the app without a terminal, and `play` with its pilot."""

    async def run() -> None:
        async with app.run_test(size=size, notifications=True) as pilot:
            await play(pilot)

    asyncio.run(run())


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    """Wait for what no event announces."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end
        await pilot.pause(0.01)


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
