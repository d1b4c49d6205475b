"""Keys that mean something at once."""

from functools import cache

from textual import events
from textual.binding import Binding
from textual.dom import DOMNode
from textual.widget import Widget


async def act_at_once(widget: Widget, event: events.Key) -> None:
    """Do what a key means to the widget, or else to its app, before the next key is looked at.

    Textual looks for the meaning after the event has gone up to the app, and what is typed fast
    comes between: the letters behind an Enter would be sent with it. For the same reason a key
    may come here when an earlier one has taken the focus away: then it is for whoever has it.
    """
    if widget.app.screen is not widget.screen or widget.screen.focused not in (widget, None):
        event.prevent_default()
        event.stop()
        widget.app.post_message(events.Key(event.key, event.character))
        return
    for node in (widget, widget.app):
        action = _actions(type(node)).get(event.key)
        if action is not None:
            event.prevent_default()
            if await widget.app.run_action(action, default_namespace=node):
                event.stop()
            return


@cache
def _actions(node: type[DOMNode]) -> dict[str, str]:
    return {binding.key: binding.action for binding in Binding.make_bindings(node.BINDINGS)}
