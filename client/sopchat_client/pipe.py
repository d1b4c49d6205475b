"""The client between pipes: one line in is one message out, one message in is one line out."""

import os
import select
import sys
from collections.abc import Callable

import attrs
import trio

from sopchat.arguments import system_words
from sopchat_client.chat import LEAVE_TIMEOUT, Chat
from sopchat_client.errors import InputFailed, OutputFailed
from sopchat_client.parse import Parse, said
from sopchat_client.render import Render

_READ_SIZE = 64 * 1024

_STDIN, _STDOUT = 0, 1

# How long the server may take to read what its system has (seconds): a room that limits the rate
# reads slowly, and nothing of that is to be seen from here.
_PATIENCE = 60.0


async def talk(chat: Chat, parse: Parse, render: Render, tell: Callable[[str], None]) -> None:
    """Send what standard input's lines say, and print what arrives, until standard input ends.

    `tell` is called with a line for people when the server then takes long to read.
    Raises ServerGone, InputFailed, OutputFailed; BrokenPipeError if nobody reads standard output
    any more.
    """
    if sys.stdout is None:  # its number may be a socket's by now
        raise OutputFailed("standard output is closed")
    failures: list[InputFailed] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_send_lines, chat, parse, failures, tell)
        while messages := await chat.receive():
            lines = "".join(map(render, messages)).encode("utf-8", "backslashreplace")
            # In a thread: whoever reads our output may take its time, and sending goes on.
            await trio.to_thread.run_sync(_write_all, lines, abandon_on_cancel=True)
        nursery.cancel_scope.cancel()
    if failures:  # told when the server has everything before it
        raise failures[0]


async def _send_lines(
    chat: Chat, parse: Parse, failures: list[InputFailed], tell: Callable[[str], None]
) -> None:
    """Send until standard input ends, then leave; the server's close ends the chat.

    A line that cannot be said goes into `failures` and ends the input as well.
    """
    lines, first = _Lines(), 1
    while True:
        data = await _read_input()
        complete = lines.feed(data) if data else lines.end()
        texts, fault = said(complete, parse, first)
        first += len(complete)
        await chat.send(*texts)
        if fault:
            failures.append(InputFailed(fault))
        if fault or not data:
            break
    await chat.leave(_PATIENCE)
    await trio.sleep(LEAVE_TIMEOUT)
    tell("the server has not read everything yet; waiting (Ctrl-C ends it)")


async def _read_input() -> bytes:
    """What standard input has, none at its end.

    In a thread, because it may be anything; by the descriptor, because a read that is abandoned
    in Python's own buffer would hold a lock that the interpreter wants at its end.
    """
    if sys.stdin is None:  # closed: its number may be a socket's by now
        return b""
    return await trio.to_thread.run_sync(_read, abandon_on_cancel=True)


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


def _read() -> bytes:
    while True:
        try:
            return os.read(_STDIN, _READ_SIZE)
        except BlockingIOError:  # somebody who shares the input made it non-blocking
            select.select([_STDIN], [], [])
        except OSError as error:
            raise InputFailed(f"cannot read the input: {system_words(error)}") from None


def _write_all(data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(_STDOUT, rest) :]
        except BlockingIOError:
            select.select([], [_STDOUT], [])
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputFailed(f"cannot write the messages: {system_words(error)}") from None
