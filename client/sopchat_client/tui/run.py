"""The app and the chat in one event loop, from the first picture to the restored terminal."""

import asyncio
import contextlib
import io
import signal
import tempfile

from rich.console import Console

from sopchat_client.errors import Defect
from sopchat_client.guest import hosted
from sopchat_client.link import Link
from sopchat_client.tui.app import ChatApp
from sopchat_client.tui.conversation import Conversation


def talk(chat: Link, conversation: Conversation, *, light: bool, mouse: bool) -> None:
    """Let somebody talk on the full screen until they leave.

    Raises as `Link.run` does; Defect. The terminal is as it was whichever way this ends, and what
    was not sent stands in `conversation.unsent`.
    """
    asyncio.run(_talk(chat, conversation, light=light, mouse=mouse))


async def _talk(chat: Link, conversation: Conversation, *, light: bool, mouse: bool) -> None:
    app = ChatApp(chat, conversation, light=light)
    # A defect is told when the terminal is itself again, and kept where it can be read.
    trace = io.StringIO()
    app.error_console = Console(file=trace, width=120)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, app.exit)
    membership = asyncio.create_task(hosted(chat.run))
    membership.add_done_callback(lambda _: app.exit())
    await app.run_async(mouse=mouse)
    if app.return_code:
        membership.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await membership
        raise Defect(f"a defect ended it; the details are in {_kept(trace.getvalue())}")
    chat.leave()
    try:
        await membership
    finally:
        conversation.unsent = [*chat.unsent, *app.typed]


def _kept(details: str) -> str:
    """The name of a file with these details."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="sop-chat-client-", suffix=".log", delete=False
    ) as file:
        file.write(details)
    return file.name
