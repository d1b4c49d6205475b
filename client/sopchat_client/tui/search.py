"""The line in which one types what to look for in the scrollback."""

from collections.abc import Callable
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.widgets import Input

from sopchat_client.tui.keys import act_at_once


class SearchBar(Input):
    """Looks while one types; Enter and the arrows go from place to place."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,up,ctrl+f", "step(1)", "The place before, further up"),
        Binding("down", "step(-1)", "The place after, further down"),
        Binding("escape,ctrl+c", "close", "Close the search"),
    ]

    def __init__(self, step: Callable[[int], None], close: Callable[[], None]) -> None:
        """`step` is called with how many places further up to go, `close` at the end."""
        super().__init__(placeholder="Search: Enter goes up, Esc closes")
        self._step = step
        self._close = close

    async def on_key(self, event: events.Key) -> None:
        """A key was pressed."""
        await act_at_once(self, event)

    def action_step(self, steps: int) -> None:
        """Go so many places up."""
        self._step(steps)

    def action_close(self) -> None:
        """End the search."""
        self._close()
