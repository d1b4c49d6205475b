"""The bundled client of the chat room, and the API for programs that take part.

    import trio
    from sopchat_client import connect

    async def main():
        async with connect("localhost", 9000, "parrot", "key") as chat:
            async for message in chat:
                await chat.send(f"{message.name} said: {message.text}")

    trio.run(main)

errors.py     what can end a chat
known.py      servers met before, by what they showed
tls.py        an encrypted stream
trust.py      who is believed to be the server; Tls
protocols.py  what is said and understood in each protocol; Message
chat.py       connect and Chat: the API
render.py     how a message is shown: a line, or JSON
parse.py      what an input line says: itself, or JSON
pipe.py       the client between pipes: lines in, lines out
execute.py    the client as a bot: a program for every message
prompt.py     the client on a terminal, plain: a line being typed, messages above it
link.py       a chat that comes back
guest.py      the chat inside the event loop of a terminal interface
tui/          the client on the full screen
profiles.py   rooms by name, in a file of the user
parser.py     the command line
completion.py what a shell needs to complete it
command.py    what is run, and the exit status
"""

import importlib
from typing import TYPE_CHECKING

__all__ = [
    "CannotConnect",
    "Chat",
    "ChatError",
    "Message",
    "Refused",
    "ServerGone",
    "Tls",
    "Untrusted",
    "connect",
]

if TYPE_CHECKING:
    from sopchat_client.chat import Chat, connect
    from sopchat_client.errors import CannotConnect, ChatError, Refused, ServerGone, Untrusted
    from sopchat_client.protocols import Message
    from sopchat_client.trust import Tls
else:
    _MODULES = {"Chat": "chat", "connect": "chat", "Message": "protocols", "Tls": "trust"}

    def __getattr__(name: str) -> object:
        """The API, imported when it is used: who completes a command line never waits for Trio."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        module = importlib.import_module(f"{__name__}.{_MODULES.get(name, 'errors')}")
        return getattr(module, name)
