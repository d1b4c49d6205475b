"""Draws the full-screen client into a folder, as client-light.svg and client-dark.svg.

A server, a client with its screen, and two more members who talk to it.
"""

import asyncio
import contextlib
import re
import socket
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import trio
from sopchat_client import Chat, connect
from sopchat_client.guest import hosted
from sopchat_client.link import Link
from sopchat_client.tui.app import ChatApp
from sopchat_client.tui.conversation import Conversation
from sopchat_client.tui.theme import DARK, LIGHT

SIZE = (88, 22)
SERVER = Path(sys.executable).parent / "sop-chat"

# Who says what; ann is the one whose screen it is.
TALK = [
    ("bob", "morning! is the new build on the board yet?"),
    ("ann", "since ten minutes, all lights green"),
    ("cleo", "おはよう ☕ I only see the old one"),
    ("bob", "cleo: unplug it once, then look at http://board.local:8080/status"),
    ("cleo", "there it is 🎉 thanks"),
    ("bob", "ann, can you put the log of the last run into the room? The part from where the "
            "second sensor wakes up until it stops answering would be enough."),
    ("ann", "in a minute"),
]  # fmt: skip
TYPED = "the sensor wakes at 12:04:31 and then"


@contextlib.asynccontextmanager
async def room() -> AsyncIterator[int]:
    """A server, and the port where it listens."""
    with socket.socket() as reservation:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind(("127.0.0.1", 0))
        port = reservation.getsockname()[1]
        server = await asyncio.create_subprocess_exec(
            SERVER, str(port), "key", stdout=asyncio.subprocess.PIPE
        )
        assert server.stdout is not None
        try:
            await server.stdout.readuntil(b"listening")
            yield port
        finally:
            server.terminate()
            await server.communicate()


async def talk(port: int, app: ChatApp) -> None:
    """Let bob and cleo join, and everybody say their part, one after the other."""
    async with member(port, "bob") as bob, member(port, "cleo") as cleo:
        others = {"bob": bob, "cleo": cleo}
        for name, text in TALK:
            if name in others:
                await others[name].send(text)
            else:
                app.say([text])
            for listener in others.values():
                if listener is not others.get(name):
                    await anext(listener)


def member(port: int, name: str) -> contextlib.AbstractAsyncContextManager[Chat]:
    """A member, while it lasts."""
    return connect("localhost", port, name, "key")


async def draw(folder: Path) -> None:
    """Raises OSError."""
    async with room() as port:
        conversation = Conversation("ann", "chat.local:9000")
        chat = Link(partial(connect, "localhost", port, "ann", "key"), conversation.tell)
        app = ChatApp(chat, conversation, light=False)

        async def everybody() -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(chat.run)
                await talk(port, app)
                chat.leave()

        async with app.run_test(size=SIZE) as pilot:
            await hosted(everybody)
            app.type(TYPED)
            for theme in (DARK, LIGHT):
                app.theme = theme.name
                await pilot.pause()
                (folder / f"client-{theme.name}.svg").write_text(picture(app), "utf-8")


def picture(app: ChatApp) -> str:
    """The screen as SVG, without the fonts that it would fetch."""
    svg = app.export_screenshot(title="sop-chat-client chat.local 9000 ann")
    return re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)


if __name__ == "__main__":
    asyncio.run(draw(Path(sys.argv[1])))
