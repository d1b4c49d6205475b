"""The app and the chat in one event loop, from the first picture to the restored terminal."""

import asyncio
import gc
import io
import signal
from collections.abc import Callable

from rich.console import Console

from sopchat_client.guest import hosted
from sopchat_client.link import Link
from sopchat_client.tui.app import ChatApp
from sopchat_client.tui.conversation import Conversation

# Nobody is told of a server that confirms within (seconds).
_PATIENCE = 1.0

# By then the screen has been drawn (seconds).
_STARTED = 0.5


class Defect(Exception):
    """The app has failed; the cause says how."""


Tell = Callable[[str], None]


def talk(chat: Link, conversation: Conversation, tell: Tell, *, light: bool, mouse: bool) -> None:
    """Let somebody talk on the full screen until they leave; `tell` them what comes after that.

    Raises as `Link.run` does; Defect. The terminal is as it was whichever way this ends, and
    `conversation` has what was not sent or is in doubt.
    """
    asyncio.run(_talk(chat, conversation, tell, light=light, mouse=mouse))


async def _talk(
    chat: Link, conversation: Conversation, tell: Tell, *, light: bool, mouse: bool
) -> None:
    app = ChatApp(chat, conversation, light=light)
    # What Textual says of a defect shows everything that anybody has said, and the key.
    app.error_console = Console(file=io.StringIO())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        loop.add_signal_handler(number, app.exit)
    membership = asyncio.create_task(hosted(chat.run))
    membership.add_done_callback(lambda _: app.exit())
    loop.call_later(_STARTED, _settle_memory)
    await app.run_async(mouse=mouse)
    # From here on somebody may only be waiting for the server to close.
    loop.add_signal_handler(signal.SIGINT, chat.give_up)
    try:
        if app.return_code:
            chat.give_up()
            await asyncio.gather(membership, return_exceptions=True)
            raise Defect("the full screen has failed") from app.defect
        chat.leave()
        if not (await asyncio.wait([membership], timeout=_PATIENCE))[0]:
            tell("waiting for the server to confirm; Ctrl-C ends that")
        await membership
    finally:
        conversation.unsent = [*chat.unsent, *app.typed]
        conversation.unsettled = chat.unsettled


def _settle_memory() -> None:
    """What was imported and built stays: let the garbage collector not look through it again.

    It pauses for a fraction of the time then.
    """
    gc.collect()
    gc.freeze()
