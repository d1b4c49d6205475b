"""The line in which one types what to look for in the scrollback."""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input


class SearchBar(Input):
    """Looks while one types; Enter and the arrows go from place to place."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,up,ctrl+f", "step(1)", "The place before, further up"),
        Binding("down", "step(-1)", "The place after, further down"),
        Binding("escape,ctrl+c", "close", "Close the search"),
    ]

    class Stepped(Message):
        """Another place is wanted."""

        def __init__(self, steps: int) -> None:
            super().__init__()
            self.steps = steps

    class Closed(Message):
        """The search is over."""

    def __init__(self) -> None:
        super().__init__(placeholder="Search: Enter goes up, Esc closes")

    def action_step(self, steps: int) -> None:
        """Go so many places up."""
        self.post_message(self.Stepped(steps))

    def action_close(self) -> None:
        """End the search."""
        self.post_message(self.Closed())
