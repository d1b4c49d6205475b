"""What stands over the chat for a moment: help, a question, a choice of links."""

from collections.abc import Callable, Iterable
from typing import ClassVar, TypeAlias

from rich.table import Table
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Label, OptionList, Static
from textual.widgets.option_list import Option

# The parts of the screen, and the keys of each.
Keys: TypeAlias = Iterable[tuple[str, Iterable[BindingType]]]

_WORDS = {"underscore": "_", "question_mark": "?", "pageup": "PageUp", "pagedown": "PageDown"}


def key_words(key: str) -> str:
    """`ctrl+left` as people write it: `Ctrl-Left`."""
    return "-".join(_WORDS.get(part, part.capitalize()) for part in key.split("+"))


def key_table(parts: Keys) -> Table:
    """Every key of each part, with what it does."""
    table = Table.grid(padding=(0, 2))
    table.add_column(ratio=2)
    table.add_column(ratio=3)
    for title, bindings in parts:
        table.add_row(Text(title, "bold underline"))
        described: dict[str, list[str]] = {}
        for binding in Binding.make_bindings(bindings):
            described.setdefault(binding.description, []).append(key_words(binding.key))
        for description, keys in described.items():
            table.add_row(Text(", ".join(keys), "bold"), Text(description))
        table.add_row("")
    return table


class HelpScreen(ModalScreen[None]):
    """All keys. Whatever else is typed closes it and is typed where it should have been."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,f1", "dismiss", "Close; so does whatever is typed"),
        Binding("up", "scroll_up", "Up"),
        Binding("down", "scroll_down", "Down"),
    ]

    def __init__(
        self, introduction: str, keys: Keys, begun: str, type_: Callable[[str], None]
    ) -> None:
        super().__init__()
        # A question mark may have been the beginning of a text.
        self._begun = begun
        self._type = type_
        self._introduction = introduction
        self._keys = [*keys, ("This page", self.BINDINGS)]

    def compose(self) -> ComposeResult:
        """A page that scrolls."""
        with VerticalScroll(classes="box") as box:
            box.border_title = "Help"
            box.border_subtitle = "Esc closes"
            yield Static(self._introduction, markup=False)
            yield Static(key_table(self._keys))

    def on_key(self, event: events.Key) -> None:
        """Something is typed."""
        if event.is_printable and event.character is not None:
            event.stop()
            # The key that asked for help, pressed again, is typed once.
            begun = "" if event.character == self._begun else self._begun
            self._begun = ""
            self._type(begun + event.character)
            if self.is_current:
                self.dismiss()

    def on_paste(self, event: events.Paste) -> None:
        """Something is pasted."""
        event.stop()
        self._type(self._begun + event.text)
        self._begun = ""
        if self.is_current:
            self.dismiss()


class QuestionScreen(ModalScreen[bool]):
    """Asks, and gives whether the answer was yes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,y", "dismiss(True)", "Yes"),
        Binding("escape,n,ctrl+c", "dismiss(False)", "No"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """The question, and the keys that answer it."""
        question = Label(self._question, classes="box")
        question.border_subtitle = "Enter: yes  Esc: no"
        yield question


class LinksScreen(ModalScreen[str]):
    """Offers links, and gives the one chosen, or an empty text."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,ctrl+c", "dismiss('')", "Close")]

    def __init__(self, links: list[str]) -> None:
        super().__init__()
        self._links = links

    def compose(self) -> ComposeResult:
        """A list, the newest link first."""
        choice = OptionList(*(Option(Text(link)) for link in self._links), classes="box")
        choice.border_title = "Links: Enter opens, Esc closes"
        yield choice

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """One was chosen."""
        self.dismiss(self._links[event.option_index])
