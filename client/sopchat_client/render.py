"""How a message is shown: as a line for people, or as a JSON object for programs."""

import json
from collections.abc import Callable

from sopchat.wire.display import coloured, escape
from sopchat_client.protocols import Message

Render = Callable[[Message], str]


def as_line(message: Message) -> str:
    """`name: text` in one line, without anything that a terminal takes as an order."""
    return f"{escape(message.name)}: {escape(message.text)}\n" if message.name else _bare(message)


def as_coloured_line(message: Message) -> str:
    """The same with the name in its colour."""
    if not message.name:
        return _bare(message)
    return f"{coloured(escape(message.name))}: {escape(message.text)}\n"


def _bare(message: Message) -> str:
    """A message whose protocol does not say who sent it."""
    return f"{escape(message.text)}\n"


def as_json(message: Message) -> str:
    """One object in one line, in ASCII: `name` and `text`, and `sequence` where it is known."""
    said: dict[str, object] = {"name": message.name, "text": message.text}
    if message.sequence is not None:
        said["sequence"] = message.sequence
    return json.dumps(said) + "\n"
