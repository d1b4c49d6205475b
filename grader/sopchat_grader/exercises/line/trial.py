"""The server of the line exercise, and what it should have printed so far."""

import re
from collections.abc import Sequence
from typing import Any

import trio

from sopchat_grader.check import Exercise
from sopchat_grader.client import Client
from sopchat_grader.failure import Difference, Failed
from sopchat_grader.trial import Trial

# The block that stands before each wait. How many there are is the loop's affair.
_WAITING = re.compile(rb"Waiting on select\(\)\.\.\.\nMaxFd (\d+)\n")


class LineTrial(Trial):
    """A server of the line exercise, and what it should have printed so far."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._listener = -1
        self._descriptors: dict[Client, int] = {}
        self._log: list[str] = []

    def arguments(self) -> list[str]:
        return [str(self.port)]

    def line(self) -> bytes:
        """A line that is like no other, as `telnet` sends it."""
        return f"line {self.word()}\r\n".encode()

    async def serve(self) -> None:
        """Start the program."""
        program = await self.start()
        listener = program.descriptor_of(self.port, None)
        if listener is None:
            raise Failed("a listening socket", "none")
        self._listener = listener

    async def come(self, count: int) -> list[Client]:
        """So many clients connect, one after the other; the server has accepted them."""
        return [await self._come() for _ in range(count)]

    async def _come(self) -> Client:
        client = await self.connect(self.word())
        program = self.program
        found: list[int] = []

        def accepted() -> bool:
            number = program.descriptor_of(self.port, client.port)
            found.extend([] if number is None else [number])
            return bool(found)

        await self.expect_soon(accepted, f"{client.name} is accepted", "it was not")
        self._descriptors[client] = found[-1]
        self._log.append(f"New incoming connection on sd {found[-1]}\n")
        return client

    def descriptor(self, client: Client) -> int:
        """The server's descriptor for a client."""
        return self._descriptors[client]

    async def say(self, sender: Client, data: bytes, others: Sequence[Client]) -> None:
        """Send what the server can read at once; the others receive it."""
        await sender.send(data)
        for other in others:
            await other.expect(data, f"what {sender.name} sent")
        number = self.descriptor(sender)
        self._log += [
            f"Descriptor {number} is readable\n",
            f"{len(data)} bytes received from sd {number}\n",
        ]

    async def leave(self, client: Client) -> None:
        """A client closes; the server has closed it, too."""
        number = self._descriptors.pop(client)
        port, program = client.port, self.program
        client.close()
        await self.expect_soon(
            lambda: program.descriptor_of(self.port, port) is None,
            f"{client.name}'s connection is closed on the server's side, too",
            "it is still open",
        )
        self._log += [
            f"Descriptor {number} is readable\n",
            f"Connection closed for sd {number}\n",
            f"removing connection with sd {number} \n",
        ]

    def expect_removed(self) -> None:
        """The server drops all that are left, in whatever order."""
        for number in self._descriptors.values():
            self._log.append(f"removing connection with sd {number} \n")

    def max_descriptor(self) -> int:
        """What MaxFd should be now."""
        return max([self._listener, *self._descriptors.values()])

    async def expect_log(self, *, any_order: bool = False) -> None:
        """Standard output is what it should be: these lines, and blocks of waiting between."""
        wanted = "".join(self._log).encode()

        def is_right() -> bool:
            got = self._events()
            if any_order:
                return sorted(got.splitlines()) == sorted(wanted.splitlines())
            return got == wanted

        with trio.move_on_after(self.patience):
            await self.program.wait_until(is_right)
        if not is_right():
            raise Failed(
                "on standard output, beside the blocks of `Waiting on select()...` and `MaxFd`: "
                + (" ".join(line.rstrip("\n") + "." for line in self._log) or "nothing"),
                "something else",
                Difference(wanted, self._events()),
            )

    def _events(self) -> bytes:
        """Standard output without waiting, and without what some solutions add lawfully."""
        rest = _WAITING.sub(b"", bytes(self.program.console.output))
        for lawful in (
            rf"Descriptor {self._listener} is readable\n",
            r"0 bytes received from sd \d+\n",
        ):
            rest = re.sub(lawful.encode(), b"", rest)
        return rest

    async def expect_waiting(self) -> None:
        """The last thing it says is that it waits, with the right MaxFd."""
        number = self.max_descriptor()
        block = b"Waiting on select()...\nMaxFd %d\n" % number
        program = self.program
        with trio.move_on_after(self.patience):
            await program.wait_until(lambda: program.console.output.endswith(block))
        if not program.console.output.endswith(block):
            tail = bytes(program.console.output[-len(block) :])
            raise Failed(
                f"at last `Waiting on select()...` and `MaxFd {number}` on standard output",
                "something else",
                Difference(block, tail),
            )


LINE: Exercise[LineTrial] = Exercise(
    "line",
    "The line exercise: chat-server PORT",
    trial=LineTrial,
    form=("{port}",),
    stages=("the log", "the relay", "endings and errors"),
    staged=False,
)
