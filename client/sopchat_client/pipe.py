"""The client between pipes: one line in is one message out, one message in is one line out."""

import os

import attrs
import trio

from sopchat_client.chat import LEAVE_TIMEOUT, Chat
from sopchat_client.render import Render

_READ_SIZE = 64 * 1024

_STDIN, _STDOUT = 0, 1


async def talk(chat: Chat, render: Render) -> None:
    """Send standard input's lines and print what arrives until standard input ends.

    Raises ServerGone, and BrokenPipeError if nobody reads standard output any more.
    """
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_send_lines, chat, nursery.cancel_scope)
        while messages := await chat.receive():
            lines = "".join(map(render, messages)).encode("utf-8", "backslashreplace")
            # In a thread: whoever reads our output may take its time, and sending goes on.
            await trio.to_thread.run_sync(_write_all, lines, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()


async def _send_lines(chat: Chat, scope: trio.CancelScope) -> None:
    """Send until standard input ends, then leave; the server's close ends the chat."""
    lines = _Lines()
    while data := await _read_input():
        await chat.send(*lines.feed(data))
    await chat.send(*lines.end())
    await chat.leave()
    scope.deadline = trio.current_time() + LEAVE_TIMEOUT


async def _read_input() -> bytes:
    """What standard input has, none at its end.

    In a thread, because it may be anything; by the descriptor, because a read that is abandoned
    in Python's own buffer would hold a lock that the interpreter wants at its end.
    """
    return await trio.to_thread.run_sync(os.read, _STDIN, _READ_SIZE, abandon_on_cancel=True)


@attrs.define
class _Lines:
    """Cuts what is read into lines, without their newlines."""

    _rest: bytearray = attrs.field(factory=bytearray, init=False)

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes."""
        head, *others = data.split(b"\n")
        self._rest += head
        if not others:
            return []
        lines = [bytes(self._rest), *others[:-1]]
        self._rest = bytearray(others[-1])
        return lines

    def end(self) -> list[bytes]:
        """The last line, if the input did not end with a newline."""
        return [bytes(self._rest)] if self._rest else []


def _write_all(data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(_STDOUT, rest) :]
