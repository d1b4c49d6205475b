"""The client on a terminal: a line being typed, and messages that appear above it.

prompt_toolkit edits the line, in a thread of its own with the asyncio loop that it needs; the
chat stays on Trio. Typed lines cross over one way, and a request to stop the other way.
"""

import asyncio
import contextlib
import math
import signal

import attrs
import trio
from prompt_toolkit import PromptSession
from prompt_toolkit.patch_stdout import StdoutProxy

from sopchat.wire.display import printable
from sopchat_client.chat import Chat
from sopchat_client.render import Render

# Messages that come together are drawn together, at most this often (seconds).
_DRAW_INTERVAL = 0.05


async def talk(chat: Chat, render: Render, greeting: str) -> None:
    """Send the lines typed and show what arrives until the user leaves.

    Raises ServerGone. The terminal is as it was whichever way this ends.
    """
    typed, lines = trio.open_memory_channel[list[str]](math.inf)
    editor = _Editor(f"{printable(chat.name)}> ", typed)
    with contextlib.closing(StdoutProxy(_DRAW_INTERVAL, raw=True)) as above:
        above.write(greeting)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_on_signal, nursery.cancel_scope)
            nursery.start_soon(editor.stop_when_cancelled)
            nursery.start_soon(_show_messages, chat, render, above)
            nursery.start_soon(trio.to_thread.run_sync, editor.run)
            async for texts in lines:
                await chat.send(*texts)
            nursery.cancel_scope.cancel()


async def _show_messages(chat: Chat, render: Render, above: StdoutProxy) -> None:
    while messages := await chat.receive():
        above.write("".join(map(render, messages)))


async def _cancel_on_signal(scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()


@attrs.define(eq=False)
class _Editor:
    """Edits line after line, with history, until Ctrl-D, Ctrl-C or a request to stop."""

    _prompt: str
    _typed: trio.MemorySendChannel[list[str]]
    _session: PromptSession[str] = attrs.field(factory=PromptSession, init=False)
    _stopped: bool = attrs.field(default=False, init=False)

    def run(self) -> None:
        """Edit in this thread, which Trio started; close the channel at the end."""
        try:
            asyncio.run(self._edit())
        finally:
            trio.from_thread.run_sync(self._typed.close)

    async def _edit(self) -> None:
        with contextlib.suppress(EOFError, KeyboardInterrupt):
            while True:
                text = await self._session.prompt_async(self._prompt, pre_run=self._exit_if_stopped)
                # A paste may hold several lines; a NUL cannot be said, and nobody means it.
                lines = [line for line in text.replace("\0", "").split("\n") if line.strip()]
                trio.from_thread.run_sync(self._typed.send_nowait, lines)

    async def stop_when_cancelled(self) -> None:
        """Carry a cancellation over to the editor's thread."""
        try:
            await trio.sleep_forever()
        finally:
            self._stopped = True
            loop = self._session.app.loop
            if loop is not None:  # otherwise the next prompt sees it before it begins
                with contextlib.suppress(RuntimeError):  # the loop has just ended by itself
                    loop.call_soon_threadsafe(self._exit_if_stopped)

    def _exit_if_stopped(self) -> None:
        app = self._session.app
        if self._stopped and app.is_running and not app.is_done:
            app.exit(exception=EOFError())
