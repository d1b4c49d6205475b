"""The messages on the screen: a window on the scrollback, which stays where the reader put it."""

import re
import time
from collections.abc import Iterator
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.cache import LRUCache
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from sopchat_client.link import Delivery
from sopchat_client.tui.scrollback import MARK_CELLS, Entry, Kind, Scrollback
from sopchat_client.tui.theme import name_style

_LINK = re.compile(r"https?://[^\s<>\"'`]+")

# What a text says behind a link is no part of it, nor is a bracket that was open before.
_BEHIND = ".,;:!?"
_BRACKETS = {")": "(", "]": "[", "}": "{"}

# Rows kept as they were drawn: a few screens. Each is some dozens of objects, and those that the
# garbage collector has to look through make it pause.
_DRAWN = 200

# The mouse counts as in use for so long after it moved (seconds).
_POINTED = 30.0

_RULES = {Kind.DAY: "log--rule", Kind.UNREAD: "log--unread"}
_MARKS = {Delivery.WAITING: "…", Delivery.UNCERTAIN: "?", Delivery.TAKEN_BACK: "-"}


def links_in(text: str) -> Iterator[tuple[str, int, int]]:
    """The links in a text, with where each begins and ends."""
    for match in _LINK.finditer(text):
        url = match[0]
        while url[-1] in _BEHIND or url.count(url[-1]) > url.count(_BRACKETS.get(url[-1], url[-1])):
            url = url[:-1]
        yield url, match.start(), match.start() + len(url)


class MessageLog(ScrollView, can_focus=False):
    """Shows a scrollback and follows its end, unless the reader has scrolled up."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "log--time",
        "log--notice",
        "log--rule",
        "log--unread",
        "log--own",
        "log--mention",
        "log--mark",
        "log--link",
        "log--found",
    }

    class Moved(Message):
        """The reader has come to the end, or left it."""

    class LinkChosen(Message):
        """A link was clicked."""

        def __init__(self, url: str) -> None:
            super().__init__()
            self.url = url

    def __init__(self, scrollback: Scrollback) -> None:
        super().__init__()
        self.scrollback = scrollback
        # Whether the newest message is to stay in view.
        self.following = True
        # What stands in the first row of the view, and which of its rows that is.
        self._top: tuple[Entry, int] | None = None
        # What is searched for, shown wherever it stands.
        self._wanted: re.Pattern[str] | None = None
        self._pointed_at = -_POINTED
        self._made: dict[str, Style] = {}
        self._drawn: LRUCache[tuple[Entry, int, object], Strip] = LRUCache(_DRAWN)

    @property
    def allow_select(self) -> bool:
        """Whether text can be selected with the mouse."""
        return True

    def show(self) -> None:
        """Show what the scrollback holds now: its end, or what the reader looks at."""
        self.virtual_size = Size(self.scrollback.width, self.scrollback.height)
        if self.following:
            self.to_end()
        elif self._top is not None:
            entry, part = self._top
            self.scroll_to(y=self.scrollback.row_of(entry) + part, animate=False)
        self.refresh()

    def to_end(self) -> None:
        """Go to the newest message, and stay there."""
        # By force: Textual learns later that there is enough to scroll.
        self.scroll_end(animate=False, immediate=True, x_axis=False, force=True)

    def to_entry(self, entry: Entry) -> None:
        """Bring an entry into the middle of the view."""
        row = self.scrollback.row_of(entry)
        self.scroll_to(y=max(0, row - self.size.height // 2), animate=False)

    def search(self, wanted: re.Pattern[str] | None) -> None:
        """Highlight what is wanted wherever it stands."""
        self._wanted = wanted
        self._redraw()

    def text_of(self, row: int) -> str:
        """What stands in a row, without styles."""
        place, part = self.scrollback.at(row)
        return self._text(self.scrollback.entries[place], part).plain

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scrolled, by the reader or by what arrives."""
        super().watch_scroll_y(old_value, new_value)
        row = round(new_value)
        if row < self.scrollback.height:
            place, part = self.scrollback.at(row)
            self._top = self.scrollback.entries[place], part
        following = new_value >= self.max_scroll_y
        if following != self.following:
            self.following = following
            self.post_message(self.Moved())

    def on_resize(self, event: events.Resize) -> None:
        """Wrap to the new width; what the reader looks at stays."""
        width = self.scrollable_content_region.width
        if width > 0 and width != self.scrollback.width:
            self.scrollback.resize(width)
            self._drawn.clear()
            if self._top is not None:  # its rows are others now
                self._top = self._top[0], 0
        # A shorter text may make Textual scroll by itself.
        following, top = self.following, self._top
        self.virtual_size = Size(self.scrollback.width, self.scrollback.height)
        self.following, self._top = following, top
        self.show()

    @property
    def _is_pointed_at(self) -> bool:
        """Whether somebody may be about to select text.

        Textual then wants to know what stands where, which costs as much again as the drawing.
        """
        return time.monotonic() - self._pointed_at < _POINTED

    def on_mouse_move(self) -> None:
        """The mouse is in use."""
        if not self._is_pointed_at:
            self.refresh()
        self._pointed_at = time.monotonic()

    def on_click(self, event: events.Click) -> None:
        """Open the link below the mouse."""
        if event.style.link:
            self.post_message(self.LinkChosen(event.style.link))

    def notify_style_update(self) -> None:
        """The theme has changed."""
        super().notify_style_update()
        self._made.clear()
        self._drawn.clear()

    def selection_updated(self, selection: Selection | None) -> None:
        """The mouse selects something."""
        self._redraw()

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The text selected with the mouse."""
        rows = "\n".join(map(self.text_of, range(self.scrollback.height)))
        return selection.extract(rows), "\n"

    def render_line(self, y: int) -> Strip:
        """One row of the screen (Textual's line API)."""
        row = self.scroll_offset.y + y
        width = self.size.width
        if not 0 <= row < self.scrollback.height:
            return Strip.blank(width, self.rich_style)
        place, part = self.scrollback.at(row)
        entry = self.scrollback.entries[place]
        selection = self.text_selection
        if selection is not None:
            return self._draw(entry, part, selection.get_span(row)).apply_offsets(0, row)
        key = (entry, part, entry.saying and entry.saying.delivery)
        strip = self._drawn.get(key)
        if strip is None:
            strip = self._drawn[key] = self._draw(entry, part, None)
        return strip.apply_offsets(0, row) if self._is_pointed_at else strip

    def _redraw(self) -> None:
        self._drawn.clear()
        self.refresh()

    def _draw(self, entry: Entry, part: int, selected: tuple[int, int] | None) -> Strip:
        text = self._text(entry, part)
        if selected is not None:
            start, end = selected
            style = self.screen.get_component_rich_style("screen--selection")
            text.stylize(Style(bgcolor=style.bgcolor), start, len(text) if end == -1 else end)
        base = self._row_style(entry)
        strip = Strip(text.render(self.app.console)).apply_style(base)
        return strip.crop_extend(0, self.size.width, base)

    def _text(self, entry: Entry, part: int) -> Text:
        """One row of an entry."""
        if entry.kind in _RULES:
            title = f" {entry.text} "[: self.scrollback.width]
            return Text().append(
                title.center(self.scrollback.width, "─"), self._ink(_RULES[entry.kind])
            )
        row = self._head(entry) if part == 0 else Text(" " * self.scrollback.indent)
        start, end = self.scrollback.rows(entry)[part]
        shift = len(row) - start
        row.append(
            entry.text[start:end], self._ink("log--notice") if entry.kind is Kind.NOTICE else None
        )
        for url, begin, finish in links_in(entry.text):
            first, last = max(begin, start), min(finish, end)
            if first < last:
                row.stylize(self._ink("log--link") + Style(link=url), first + shift, last + shift)
        if self._wanted is not None:
            row.highlight_regex(self._wanted, self._component("log--found"))
        return row

    def _head(self, entry: Entry) -> Text:
        """What stands before the text: a mark, the time, the name."""
        head = Text()
        head.append(self._mark(entry).ljust(MARK_CELLS), self._ink("log--mark"))
        head.append(f"{entry.time} ", self._ink("log--time"))
        name = self.scrollback.name(entry)
        head.append(name[:-2], name_style(entry.name, dark=self.app.current_theme.dark))
        head.append(name[-2:])
        return head

    def _row_style(self, entry: Entry) -> Style:
        """A row's background."""
        if entry.kind is Kind.OWN:
            return self._component("log--own")
        if entry.mention:
            return self._component("log--mention")
        return self.rich_style

    def _component(self, name: str) -> Style:
        """A component's style, made once: Rich keeps whatever it is given for a long while."""
        if name not in self._made:
            self._made[name] = self.get_component_rich_style(name)
        return self._made[name]

    def _ink(self, name: str) -> Style:
        """A component's style without its background: that is the row's."""
        key = f"{name} ink"
        if key not in self._made:
            style = self._component(name)
            self._made[key] = style.without_color + Style(color=style.color)
        return self._made[key]

    @staticmethod
    def _mark(entry: Entry) -> str:
        if entry.saying is not None:
            return _MARKS.get(entry.saying.delivery, "")
        return "@" if entry.mention else ""
