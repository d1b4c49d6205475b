"""How a message is shown: as a line for people, or as a JSON object for programs."""

import json
from collections.abc import Callable

from sopchat.wire.display import coloured, escape
from sopchat_client.chat import Message

Render = Callable[[Message], str]


def as_line(message: Message) -> str:
    """`name: text` in one line, without anything that a terminal takes as an order."""
    return f"{escape(message.name)}: {escape(message.text)}\n"


def as_coloured_line(message: Message) -> str:
    """The same with the name in its colour."""
    return f"{coloured(escape(message.name))}: {escape(message.text)}\n"


def as_json(message: Message) -> str:
    """One object in one line: `name` and `text`."""
    return json.dumps({"name": message.name, "text": message.text}, ensure_ascii=False) + "\n"
