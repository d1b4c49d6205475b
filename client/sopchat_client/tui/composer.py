"""Where one types: several lines, history, names completed, and how much room is left."""

import unicodedata
from collections.abc import Awaitable, Callable
from typing import ClassVar

import attrs
from textual import events
from textual.actions import SkipAction
from textual.binding import Binding, BindingType
from textual.widgets import TextArea
from textual.widgets.text_area import Location
from wcwidth import grapheme_boundary_before, iter_graphemes

from sopchat.wire.frame import TEXT_SIZE, split_text
from sopchat_client.tui.keys import act_at_once

# A tab in a message would be shown as an escape.
_TAB = 4


def counted(number: int, what: str) -> str:
    """`1 message`, `2 messages`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


@attrs.frozen
class Size:
    """What a text takes on the wire."""

    messages: int
    frames: int
    # Bytes left in the last frame.
    left: int

    @classmethod
    def of(cls, texts: list[str]) -> "Size":
        """The size of texts, each of which is a message."""
        pieces = [piece for text in texts for piece in split_text(text.encode())] or [b""]
        return cls(len(texts), len(pieces) if texts else 0, TEXT_SIZE - len(pieces[-1]))

    def __str__(self) -> str:
        """As it is shown beside the text."""
        if self.frames <= 1:
            return f"{counted(self.left, 'byte')} left"
        if self.messages == 1:
            return f"{self.frames} frames, {counted(self.left, 'byte')} left"
        return f"{self.messages} messages, {self.frames} frames"


def texts_of(typed: str) -> list[str]:
    """The messages in what was typed: a line each, no blank ones, nothing that none can say."""
    sayable = typed.replace("\0", "").expandtabs(_TAB).encode("utf-8", "replace").decode()
    return [line for line in sayable.splitlines() if line.strip()]


@attrs.define
class History:
    """What was sent, to be taken up again."""

    _texts: list[str] = attrs.field(factory=list, init=False)
    # Where one looks; at the end is what was being typed.
    _place: int = attrs.field(default=0, init=False)
    _draft: str = attrs.field(default="", init=False)

    def add(self, text: str) -> None:
        """Keep a text, and look at the end again."""
        if self._texts[-1:] != [text]:
            self._texts.append(text)
        self._place = len(self._texts)

    def move(self, steps: int, current: str) -> str | None:
        """The text so many steps further on, None if there is none; `current` is what is shown."""
        place = self._place + steps
        if not 0 <= place <= len(self._texts):
            return None
        if self._place == len(self._texts):
            self._draft = current
        self._place = place
        return self._texts[place] if place < len(self._texts) else self._draft


# Keys of Textual's text area that mean something else in a chat, or that we describe better.
_OTHERWISE = {"up", "down", "pageup", "pagedown", "ctrl+d", "delete", "ctrl+f", "ctrl+z"}


def _is_ours(binding: BindingType) -> bool:
    return isinstance(binding, Binding) and not _OTHERWISE & set(binding.key.split(","))


def _joins(character: str | None) -> bool:
    """Whether a key types what has no ink of its own, which Textual leaves out: joiners, spaces."""
    return (
        character is not None
        and len(character) == 1
        and not character.isprintable()
        and unicodedata.category(character) in ("Cf", "Zs", "Co", "Cn")
    )


class Composer(TextArea, inherit_bindings=False):
    """The text being typed. It is never touched by what arrives."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "Send; each line is a message"),
        Binding("ctrl+j,alt+enter,shift+enter", "new_line", "New line"),
        Binding("up", "cursor_up", "Line up; in the first, what was sent before"),
        Binding("down", "cursor_down", "Line down; in the last, what was sent after"),
        Binding("tab", "complete", "Complete a name; again, the next that fits"),
        *(binding for binding in TextArea.BINDINGS if _is_ours(binding)),
        Binding("alt+b", "cursor_word_left", "Cursor word left"),
        Binding("alt+f", "cursor_word_right", "Cursor word right"),
        Binding("alt+d", "delete_word_right", "Delete right to start of word"),
        Binding("delete", "delete_right", "Delete character right"),
        Binding("ctrl+d", "delete_right_or_leave", "The same; leave, where nothing is typed"),
        Binding("ctrl+underscore,super+z", "undo", "Undo"),
        Binding("question_mark", "app.help('?')", "Help, where nothing is typed; twice: types it"),
    ]

    def __init__(self, submit: Callable[[str, list[str]], Awaitable[None]]) -> None:
        """`submit` is called with what was typed, and with the messages in it.

        It is no message of Textual's: a Ctrl-C right behind an Enter would overtake it.
        """
        super().__init__(placeholder="Say something", highlight_cursor_line=False)
        self._submit = submit
        # Who may be spoken to, the best guess first.
        self.names: list[str] = []
        self._history = History()
        # The names that fit, and from where to where the first of them was put.
        self._fitting: list[str] = []
        self._completed: tuple[Location, Location] | None = None

    @property
    def texts(self) -> list[str]:
        """The messages that are typed."""
        return texts_of(self.text)

    async def on_key(self, event: events.Key) -> None:
        """A key was pressed; what it types is Textual's business."""
        if event.key != "question_mark" or not self.text or not self.has_focus:
            await act_at_once(self, event)
        if _joins(event.character) and self.has_focus:
            event.prevent_default()
            event.stop()
            self.insert(event.character or "")

    def action_copy(self) -> None:
        """Copy what is selected. Without a selection the key means something else."""
        if self.selection.is_empty:
            raise SkipAction
        super().action_copy()

    async def action_delete_right_or_leave(self) -> None:
        """What Ctrl-D does in a shell."""
        if self.text:
            self.action_delete_right()
        else:
            await self.run_action("app.leave")

    async def action_send(self) -> None:
        """Hand what is typed over, keep it in the history, and begin anew."""
        if self.texts:
            typed, texts = self.text, self.texts
            self._history.add(typed)
            self.load_text("")
            await self._submit(typed, texts)

    def give_back(self, typed: str) -> None:
        """Put what was typed before what is typed now: it is not to be sent."""
        self.load_text("\n".join(filter(None, (typed, self.text))))
        self.move_cursor(self.document.end)

    def action_new_line(self) -> None:
        """Begin another line."""
        self.insert("\n")

    def action_cursor_up(self, select: bool = False) -> None:
        """Up, from the first row into the history."""
        if not select and self.navigator.is_first_wrapped_line(self.cursor_location):
            self._recall(-1)
        else:
            super().action_cursor_up(select)

    def action_cursor_down(self, select: bool = False) -> None:
        """Down, from the last row into the history."""
        if not select and self.navigator.is_last_wrapped_line(self.cursor_location):
            self._recall(1)
        else:
            super().action_cursor_down(select)

    def _recall(self, steps: int) -> None:
        text = self._history.move(steps, self.text)
        if text is not None:
            self.load_text(text)
            self.move_cursor(self.document.end)

    def action_complete(self) -> None:
        """Complete the name before the cursor; again at once, the next that fits."""
        row, column = self.cursor_location
        if self._completed is not None and self._completed[1] == (row, column):
            start = self._completed[0]
            self._fitting.append(self._fitting.pop(0))
        else:
            line = self.document.get_line(row)
            start = (row, line.rfind(" ", 0, column) + 1)
            begun = line[start[1] : column].casefold()
            self._fitting = [name for name in self.names if name.casefold().startswith(begun)]
            if not begun or not self._fitting:
                return
        colon = ": " if start == (0, 0) else " "
        self.replace(self._fitting[0] + colon, start, (row, column))
        self._completed = (start, self.cursor_location)

    def get_cursor_left_location(self) -> Location:
        """A step left, over all that is read as one character."""
        row, column = self.cursor_location
        if column == 0:
            return super().get_cursor_left_location()
        return row, grapheme_boundary_before(self.document.get_line(row), column)

    def get_cursor_right_location(self) -> Location:
        """A step right, over all that is read as one character."""
        row, column = self.cursor_location
        behind = self.document.get_line(row)[column:]
        if not behind:
            return super().get_cursor_right_location()
        return row, column + len(next(iter_graphemes(behind)))
