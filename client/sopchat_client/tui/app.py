"""The full screen: messages above, the text being typed below, and keys for all else."""

import asyncio
import math
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Static, TextArea

from sopchat_client import link
from sopchat_client.link import Link
from sopchat_client.tui.composer import Composer, Size, counted
from sopchat_client.tui.conversation import Conversation
from sopchat_client.tui.log import MessageLog, links_in
from sopchat_client.tui.screens import HelpScreen, LinksScreen, QuestionScreen
from sopchat_client.tui.scrollback import Entry
from sopchat_client.tui.search import SearchBar
from sopchat_client.tui.terminal import Terminal
from sopchat_client.tui.theme import DARK, LIGHT

# More frames than this at once are a paste that may be a mistake: it is asked about.
MANY = 5

# What arrives is drawn so often at most (seconds): between two drawings there is time for keys.
_DRAW_EVERY = 0.05

# The second press of a key that would lose something has to come within (seconds).
_SURE = 5.0

# What was just said is on its way within so many moments (seconds each).
_MOMENT, _MOMENTS = 0.05, 10

# What somebody may say who looks for help, or for the way out.
_HELP = {"/help", "/?"}
_LEAVE = {"/quit", "/exit", "/leave", "/bye"}

# Where one of these is set, a browser can open beside the terminal.
_HAS_BROWSER = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")

# So many of the last links are offered.
_MOST_LINKS = 50

_INTRODUCTION = """\
Type, and press Enter to say it to everybody in the room. Each line is a message, and more than \
448 bytes go out as several. /help and /quit do what they say.

@ at the left: it speaks to you. … is on its way. ? may not have arrived. - was taken back.
"""


class ChatApp(App[None]):
    """One chat on the whole screen. It ends when its member leaves; the link is run elsewhere."""

    CSS_PATH = Path(__file__).parent / "chat.tcss"
    ENABLE_COMMAND_PALETTE = False
    VERTICAL_BREAKPOINTS = [(0, "-low"), (16, "-high")]  # noqa: RUF012 - as Textual declares it
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-wide")]  # noqa: RUF012 - as Textual declares it
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f1", "help", "Help"),
        Binding("ctrl+c,ctrl+q", "leave", "Leave; Ctrl-C copies, where text is selected"),
        Binding("pageup", "scroll(-1)", "A page up"),
        Binding("pagedown", "scroll(1)", "A page down"),
        Binding("alt+up", "scroll_row(-1)", "A row up"),
        Binding("alt+down", "scroll_row(1)", "A row down"),
        Binding("ctrl+home", "scroll_top", "To the oldest message"),
        Binding("ctrl+end,escape", "scroll_bottom", "To the newest message"),
        Binding("ctrl+f", "search", "Search"),
        Binding("ctrl+o", "links", "Open a link"),
        Binding("f5", "again", "Connect now, if the connection was lost"),
        Binding("ctrl+g", "take_back", "Take back what has not been sent yet"),
        Binding("ctrl+l", "redraw", "Draw the screen anew"),
        Binding("f2", "theme", "Light or dark"),
        Binding("ctrl+z", "suspend_process", "Back to the shell; fg returns"),
    ]

    def __init__(self, chat: Link, conversation: Conversation, *, light: bool):
        super().__init__(driver_class=Terminal)
        self.animation_level = "none"
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = (LIGHT if light else DARK).name
        self.title = f"{conversation.name} at {conversation.place}"
        self._chat = chat
        self._conversation = conversation
        self._messages = MessageLog(conversation.scrollback)
        self._composer = Composer(self._submit)
        self._search = SearchBar(self._step, self._close_search)
        self._connection = Static(id="connection", markup=False)
        self._below = Static(id="below", markup=False)
        self._room = Static(id="size", markup=False)
        self._count = Static(id="count", markup=False)
        conversation.changed = self._draw_soon
        self._typed_size = Size.of([])
        self._drawn_at = -math.inf
        self._drawing: asyncio.TimerHandle | None = None
        self._warned = -math.inf
        # What is being asked about.
        self._asked: list[str] = []
        self._found: list[Entry] = []
        self._at = 0

    def compose(self) -> ComposeResult:
        """From above: the connection, the messages, what is new below, the text, the hints."""
        with Horizontal(id="status"):
            yield self._connection
            yield Static("F1 help", id="help")
        yield self._messages
        yield self._below
        with Horizontal(id="search"):
            yield self._search
            yield self._count
        yield self._composer
        with Horizontal(id="foot"):
            yield self._room
            yield Static("Enter sends  Ctrl-C leaves", id="hints")

    @property
    def typed(self) -> list[str]:
        """The messages that were typed and not sent."""
        return [*self._asked, *self._composer.texts]

    @property
    def defect(self) -> Exception | None:
        """What ended the app, if it has failed."""
        return self._exception

    def on_mount(self) -> None:
        """Ready to type at once, whether connected or not."""
        self._composer.focus()
        self.set_interval(1.0, self._tick)
        self.app_resume_signal.subscribe(self, lambda app: self.action_redraw())
        self._show_size()
        self._draw()

    # What the chat told

    def _draw_soon(self) -> None:
        """Something is new: draw it, soon, and with what comes until then."""
        if self._drawing is None and self.is_running:
            loop = asyncio.get_running_loop()
            due = max(self._drawn_at + _DRAW_EVERY, loop.time())
            self._drawing = loop.call_at(due, self.call_later, self._draw)

    def _draw(self) -> None:
        self._drawing = None
        self._drawn_at = asyncio.get_running_loop().time()
        conversation = self._conversation
        self._messages.show()
        self._composer.names = list(reversed(conversation.names))
        if conversation.bell:
            conversation.bell = False
            self.bell()
        self._show_below()
        self._show_connection()
        self._show_size()

    def _show_below(self) -> None:
        """Tell how much is new further down."""
        conversation = self._conversation
        following = self._messages.following
        conversation.reader(here=following and self.app_focus)
        self._below.set_class(not following, "shown")
        if not following:
            new = conversation.unseen
            words = f"{counted(new, 'new message')} below" if new else "newer messages below"
            self._below.update(f"↓ {words} (Esc)", layout=False)

    def _tick(self) -> None:
        self._conversation.alive()
        self._show_connection()

    def _show_connection(self) -> None:
        """Tell how the connection is."""
        conversation = self._conversation
        where = f"{conversation.place} as {conversation.name}"
        match conversation.connection:
            case link.Connecting():
                words, state = f"◌ connecting to {where} …", "connecting"
            case link.Joined():
                words, state = f"● joined {where}", "joined"
            case link.Lost(reason, math.inf):
                words, state = f"○ lost, F5 tries again: {reason}", "lost"
            case link.Lost(reason, seconds):
                left = max(0, math.ceil(seconds + conversation.since - time.monotonic()))
                words, state = f"○ lost, again in {left} s: {reason}", "lost"
        if self._connection.content != words:
            self._connection.set_classes(state)
            self._connection.update(words, layout=False)

    # What the member does

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Tell how much room is left."""
        self._typed_size = Size.of(self._composer.texts)
        self._show_size()

    def _show_size(self) -> None:
        waiting = self._chat.on_the_way
        wait = f" · {counted(waiting, 'message')} on the way" if waiting else ""
        words = f"{self._typed_size}{wait}"
        if self._room.content != words:
            self._room.update(words, layout=False)

    async def _submit(self, typed: str, texts: list[str]) -> None:
        """Say what was typed, after a question if it is a lot."""
        size = Size.of(texts)
        word = texts[0].strip().lower() if size.messages == 1 else ""
        if word in _HELP:
            self.action_help()
        elif word in _LEAVE:
            await self.action_leave()
        elif size.frames > MANY:
            seconds = max(0, (size.frames - link.BURST) / link.PACE)
            takes = counted(size.frames, "frame") + (f", {math.ceil(seconds)} s" if seconds else "")
            self._asked = texts

            def answered(yes: bool | None) -> None:
                self._asked = []
                if yes:
                    self.say(texts)
                else:
                    self._composer.give_back(typed)

            question = f"Send {counted(size.messages, 'message')}, {takes}?"
            self.push_screen(QuestionScreen(question), answered)
        else:
            self.say(texts)

    def say(self, texts: list[str]) -> None:
        """Say each text."""
        for text in texts:
            self._conversation.said(self._chat.say(text))
        self._messages.to_end()

    async def action_leave(self) -> None:
        """Leave; if something has not been sent, only when asked twice."""
        for _ in range(_MOMENTS):
            if self._chat.on_the_way:
                await asyncio.sleep(_MOMENT)
        waiting, typed = self._chat.on_the_way, self._composer.text.strip()
        if not (waiting or typed) or time.monotonic() < self._warned:
            self.exit()
            return
        what = counted(waiting, "message") if waiting else "what you typed"
        self._warned = time.monotonic() + _SURE
        self.notify(f"Once more to leave: {what} not sent.", severity="warning", timeout=_SURE)

    def action_take_back(self) -> None:
        """Send no more of what waits, and put it where one types."""
        if taken := self._chat.take_back():
            self._composer.give_back("\n".join(saying.text for saying in taken))
            self._draw_soon()

    def action_redraw(self) -> None:
        """Draw everything, whatever the terminal shows."""
        self.screen.refresh(layout=True)

    def open_url(self, url: str, *, new_tab: bool = True) -> None:
        """Open a link beside the chat, which waits for nothing, and whose terminal is its own."""
        nowhere = subprocess.DEVNULL
        subprocess.Popen(  # noqa: S603 - one argument, and no shell
            [sys.executable, "-m", "webbrowser", "-t" if new_tab else "-n", url],
            stdin=nowhere,
            stdout=nowhere,
            stderr=nowhere,
            start_new_session=True,
        )

    def copy_to_clipboard(self, text: str) -> None:
        """Copy, and say so."""
        super().copy_to_clipboard(text)
        self.notify("Copied.")

    def on_click(self, event: events.Click) -> None:
        """What the screen says of keys can be clicked."""
        if event.widget is self._below:
            self.action_scroll_bottom()
        elif event.widget is not None and event.widget.id == "help":
            self.action_help()

    def action_help(self, begun: str = "") -> None:
        """All keys. Who goes on typing meant what was `begun` with."""
        parts = [
            ("The chat", ChatApp.BINDINGS),
            ("The text being typed", Composer.BINDINGS),
            ("The search", SearchBar.BINDINGS),
            ("A question", QuestionScreen.BINDINGS),
            ("The links", LinksScreen.BINDINGS),
        ]
        self.push_screen(HelpScreen(_INTRODUCTION, parts, begun, self.type))

    def type(self, text: str) -> None:
        """Put a text where one types."""
        self._composer.insert(text)

    def action_theme(self) -> None:
        """Light or dark."""
        self.theme = LIGHT.name if self.theme == DARK.name else DARK.name

    def action_again(self) -> None:
        """Connect now."""
        self._chat.again()

    def action_scroll(self, pages: int) -> None:
        """Scroll by pages."""
        log = self._messages
        log.scroll_relative(y=pages * max(1, log.size.height - 1), animate=False)

    def action_scroll_row(self, rows: int) -> None:
        """Scroll by rows."""
        self._messages.scroll_relative(y=rows, animate=False)

    def action_scroll_top(self) -> None:
        """To the oldest message."""
        self._messages.scroll_home(animate=False)

    def action_scroll_bottom(self) -> None:
        """To the newest message."""
        self._messages.to_end()

    def on_message_log_moved(self) -> None:
        """The reader has scrolled to the end or away from it."""
        self._show_below()

    def watch_app_focus(self, focus: bool) -> None:
        """The reader has come back to the terminal, or left it."""
        if self._below.is_mounted:
            self._show_below()

    # Search

    def action_search(self) -> None:
        """Open the search."""
        self.query_one("#search").add_class("shown")
        self._search.value = ""
        self.screen.set_focus(self._search)  # at once: what is typed next is for it

    def on_input_changed(self, event: Input.Changed) -> None:
        """Look for what is typed so far."""
        wanted = re.compile(re.escape(event.value), re.IGNORECASE) if event.value else None
        self._messages.search(wanted)
        self._found = list(self._conversation.scrollback.find(wanted)) if wanted else []
        self._at = 0
        self._show_found()

    def _step(self, steps: int) -> None:
        """Go on to another place."""
        if self._found:
            self._at = (self._at + steps) % len(self._found)
        self._show_found()

    def _show_found(self) -> None:
        if self._found:
            self._messages.to_entry(self._found[self._at])
        of = f"{self._at + 1} of {len(self._found)}" if self._found else "not found"
        self._count.update(of if self._search.value else "")

    def _close_search(self) -> None:
        """Back to typing; the view stays."""
        self.query_one("#search").remove_class("shown")
        self._messages.search(None)
        self.screen.set_focus(self._composer)

    # Links

    def action_links(self) -> None:
        """Offer the last links."""
        entries = reversed(self._conversation.scrollback.entries)
        links = dict.fromkeys(url for entry in entries for url, _, _ in links_in(entry.text))
        if links:
            self.push_screen(LinksScreen(list(links)[:_MOST_LINKS]), self._open)
        else:
            self.notify("Nobody has sent a link.")

    def on_message_log_link_chosen(self, event: MessageLog.LinkChosen) -> None:
        """A link was clicked."""
        self._open(event.url)

    def _open(self, url: str | None) -> None:
        """Open a link in the browser; where there is none to see, copy it."""
        if not url:
            return
        if sys.platform == "darwin" or any(name in os.environ for name in _HAS_BROWSER):
            self.open_url(url)
        else:  # a text browser would take this very terminal
            self.copy_to_clipboard(url)
            self.notify("No browser can open here.")
