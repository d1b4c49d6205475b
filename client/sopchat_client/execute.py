"""The client as a bot: a program runs for every message, and what it prints is sent.

One program at a time, in the room's order. Messages are received meanwhile, because the server
disconnects a member that does not read.
"""

import contextlib
import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable

import attrs
import trio

from sopchat.arguments import KEY_VARIABLE, system_words
from sopchat_client import render
from sopchat_client.chat import Chat
from sopchat_client.parse import Parse, said
from sopchat_client.protocols import Message

# A program that hangs must not keep the bot from all later messages (seconds).
RUN_TIME = 10.0

# A program that does not stop printing must fill neither our memory (bytes) nor everybody's
# screen (lines).
OUTPUT_SIZE = 64 * 1024
OUTPUT_LINES = 100

# Messages that may wait for their program: a minute of a lively room, and never more than a few
# megabytes.
MOST_WAITING = 1000

# Says one line to whoever runs the bot.
Tell = Callable[[str], None]


async def talk(chat: Chat, command: str, parse: Parse, tell: Tell) -> None:
    """Run `/bin/sh -c command` for every message until SIGTERM, SIGHUP or SIGINT comes.

    Raises KeyboardInterrupt for SIGINT; ServerGone. No program is left, whichever way this ends.
    """
    waiting = _Waiting(tell)
    ends = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup wants it to be ignored
        ends.append(signal.SIGHUP)
    with trio.open_signal_receiver(*ends) as signals:
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_receive, chat, waiting)
                nursery.start_soon(_answer, chat, command, parse, waiting, tell)
                number = await anext(signals)
                nursery.cancel_scope.cancel()
        finally:
            waiting.tell_skipped()
    if number == signal.SIGINT:
        raise KeyboardInterrupt


async def _receive(chat: Chat, waiting: "_Waiting") -> None:
    async for message in chat:
        waiting.put(message)


async def _answer(chat: Chat, command: str, parse: Parse, waiting: "_Waiting", tell: Tell) -> None:
    """Run the command for each message that waits, and send what it prints."""
    while True:
        message = await waiting.get()
        lines = await _run(command, render.as_json(message).encode(), tell)
        texts, fault = said(lines, parse)
        await chat.send(*texts)
        if fault:
            tell(f"of what the program printed, {fault}")


async def _run(command: str, data: bytes, tell: Tell) -> list[bytes]:
    """The lines that the command prints when it reads `data`.

    When this ends, so has everything in its process group.
    """
    environment = {name: value for name, value in os.environ.items() if name != KEY_VARIABLE}
    try:
        process = await trio.lowlevel.open_process(
            ["/bin/sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        tell(f"cannot run the program: {system_words(error)}")
        return []
    assert process.stdin is not None
    assert process.stdout is not None
    output, size = bytearray(), 0
    try:
        with trio.move_on_after(RUN_TIME) as limit:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_feed, process.stdin, data)
                async for piece in process.stdout:
                    size += len(piece)
                    output += piece[: OUTPUT_SIZE - len(output)]
                await process.wait()
    finally:
        _kill_group(process.pid)
        with trio.CancelScope(shield=True):
            await process.wait()
            await process.stdin.aclose()
            await process.stdout.aclose()
    lines = _lines(bytes(output), size <= OUTPUT_SIZE and not limit.cancelled_caught)
    if size > OUTPUT_SIZE or len(lines) > OUTPUT_LINES:
        tell(
            f"the program printed more than {OUTPUT_LINES} lines or {OUTPUT_SIZE} bytes:"
            " the rest is not sent"
        )
    if limit.cancelled_caught:
        tell(f"the program was killed: it took more than {RUN_TIME:g} seconds")
    elif process.returncode:
        tell(f"the program {_end(process.returncode)}")
    return lines[:OUTPUT_LINES]


def _lines(output: bytes, is_whole: bool) -> list[bytes]:
    """Its lines. What stands behind the last newline is one as well, if nothing is cut off."""
    *lines, last = output.split(b"\n")
    return [*lines, last] if last and is_whole else lines


async def _feed(stdin: trio.abc.SendStream, data: bytes) -> None:
    async with stdin:
        with contextlib.suppress(trio.BrokenResourceError):  # it does not want to know
            await stdin.send_all(data)


def _kill_group(group: int) -> None:
    # Nobody is left in it, or on some systems only zombies.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _end(status: int) -> str:
    if status > 0:
        return f"ended with status {status}"
    return f"was ended by signal {-status}, {signal.strsignal(-status)}"


@attrs.define(eq=False)
class _Waiting:
    """Messages that wait for their program.

    When it is full it skips all that come until half of it has been worked off: then they are
    one gap, told in one line, instead of many.
    """

    _tell: Tell
    _messages: deque[Message] = attrs.field(factory=deque, init=False)
    _skipped: int = attrs.field(default=0, init=False)
    _came: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)

    def put(self, message: Message) -> None:
        """Let it wait, or skip it."""
        if self._skipped or len(self._messages) == MOST_WAITING:
            self._skipped += 1
        else:
            self._messages.append(message)
            self._came.unpark()

    async def get(self) -> Message:
        """The next message. For one task."""
        while not self._messages:
            await self._came.park()
        message = self._messages.popleft()
        if len(self._messages) <= MOST_WAITING // 2:
            self.tell_skipped()
        return message

    def tell_skipped(self) -> None:
        """Say how many were skipped, if any were; from now on they wait again."""
        if self._skipped:
            self._tell(f"{self._skipped} messages were skipped: {MOST_WAITING} were waiting")
            self._skipped = 0
