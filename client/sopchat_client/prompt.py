"""The client on a terminal: a line being typed, and messages that appear above it.

prompt_toolkit edits the line, in a thread of its own with the asyncio loop that it needs; the
chat stays on Trio. Typed lines cross over one way, messages and a request to stop the other way.

One prompt lasts for the whole chat, and messages are written above it by its own renderer: the
terminal never leaves raw mode meanwhile, where keys would be echoed into the picture or taken by
the terminal's own line editing.
"""

import asyncio
import contextlib
import math
import signal
from collections import deque
from collections.abc import Callable

import attrs
import trio
from prompt_toolkit import PromptSession
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys

from sopchat.wire.display import escape, printable
from sopchat_client.chat import Chat
from sopchat_client.render import Render

# A terminal that takes nothing (Ctrl-S) must not fill the memory: beyond so many pieces of text
# nothing more is received.
_MOST_WAITING = 100


async def talk(chat: Chat, render: Render, greeting: str) -> None:
    """Send the lines typed and show what arrives until the user leaves.

    Raises ServerGone. The terminal is as it was whichever way this ends.
    """
    typed, lines = trio.open_memory_channel[list[str]](math.inf)
    editor = _Editor(f"{printable(chat.name)}> ", typed, trio.lowlevel.current_trio_token())
    editor.show(greeting)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_cancel_on_signal, nursery.cancel_scope)
        nursery.start_soon(_show_messages, chat, render, editor)
        nursery.start_soon(editor.run)
        async for texts in lines:
            await chat.send(*texts)
        nursery.cancel_scope.cancel()


async def _show_messages(chat: Chat, render: Render, editor: "_Editor") -> None:
    while messages := await chat.receive():
        editor.show("".join(map(render, messages)))
        await editor.room_above()


async def _cancel_on_signal(scope: trio.CancelScope) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            scope.cancel()


@attrs.define(eq=False)
class _Editor:
    """Edits line after line, with history, until Ctrl-D, Ctrl-C or a cancellation."""

    _prompt: str
    _typed: trio.MemorySendChannel[list[str]]
    _trio: trio.lowlevel.TrioToken
    _session: PromptSession[str] = attrs.field(init=False)
    # Text to be written above the line, put in by one thread and taken out by the other.
    _above: deque[str] = attrs.field(factory=deque, init=False)
    _written: trio.Event = attrs.field(factory=trio.Event, init=False)
    _stopped: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        keys = KeyBindings()
        keys.add(Keys.Enter)(self._enter)
        # A paste may hold what looks like a mouse event, and here is nothing for a mouse to do.
        keys.add(Keys.Vt100MouseEvent)(lambda event: None)
        self._session = PromptSession(key_bindings=keys, enable_suspend=True)

    # In Trio's thread.

    async def run(self) -> None:
        """Edit until the end; close the channel of typed lines then."""
        with self._typed:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._stop_when_cancelled)
                await trio.to_thread.run_sync(lambda: asyncio.run(self._edit()))
                nursery.cancel_scope.cancel()

    def show(self, text: str) -> None:
        """Write whole lines above the one being typed."""
        self._above.append(text)
        self._call(self._draw)

    async def room_above(self) -> None:
        """Wait until not too much text waits to be written above."""
        while len(self._above) > _MOST_WAITING:
            await self._written.wait()

    def _tell_written(self) -> None:
        self._written.set()
        self._written = trio.Event()

    async def _stop_when_cancelled(self) -> None:
        """Carry a cancellation over to the editor's thread."""
        try:
            await trio.sleep_forever()
        finally:
            self._stopped = True
            self._call(self._exit_if_stopped)

    def _call(self, function: Callable[[], None]) -> None:
        """Call in the editor's thread. Before its loop begins, nothing: `_begin` does it all."""
        loop = self._session.app.loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just ended by itself
                loop.call_soon_threadsafe(function)

    # In the editor's thread.

    async def _edit(self) -> None:
        # What a defect in a key's handler would print over the terminal is a bell instead.
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: self._bell())
        with contextlib.suppress(EOFError, KeyboardInterrupt):
            await self._session.prompt_async(
                self._prompt, pre_run=self._begin, set_exception_handler=False
            )
        self._write_above()

    def _begin(self) -> None:
        self._draw()
        self._exit_if_stopped()

    def _enter(self, event: KeyPressEvent) -> None:
        """Send what was typed, line by line, and leave it on the screen above."""
        buffer = event.current_buffer
        # A paste may hold several lines; a NUL cannot be said, and nobody means it.
        text = buffer.text.replace("\0", "")
        buffer.reset(append_to_history=True)
        lines = [line for line in text.split("\n") if line.strip()]
        if lines:
            self._above.extend(f"{self._prompt}{escape(line)}\n" for line in lines)
            self._draw()
            self._trio.run_sync_soon(self._hand_over, lines)

    def _hand_over(self, lines: list[str]) -> None:
        with contextlib.suppress(trio.ClosedResourceError, trio.BrokenResourceError):
            self._typed.send_nowait(lines)

    def _draw(self) -> None:
        app = self._session.app
        if self._above and app.is_running:
            app.renderer.erase()
            self._write_above()
            app.invalidate()

    def _write_above(self) -> None:
        output = self._session.output
        while self._above:
            output.write_raw(self._above.popleft())
        output.flush()
        self._trio.run_sync_soon(self._tell_written)

    def _bell(self) -> None:
        self._session.output.bell()
        self._session.output.flush()

    def _exit_if_stopped(self) -> None:
        app = self._session.app
        if self._stopped and app.is_running and not app.is_done:
            app.exit(exception=EOFError())
