"""One run of one check: the program, its clients, and how long we wait for them."""

import random
import string
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs
import trio

from sopchat_grader.client import Client
from sopchat_grader.containment import Containment
from sopchat_grader.failure import CannotAssess, Failed
from sopchat_grader.processes import is_port_free
from sopchat_grader.program import Program
from sopchat_grader.solution import ARGUMENTS, Solution
from sopchat_grader.transcript import Transcript

# Seconds to wait for something that a working solution does in a millisecond: long enough for
# a machine that is busy with other things.
PATIENCE = 3.0

# Seconds a program may take to listen: an interpreter or a virtual machine starts slowly.
START_PATIENCE = 10.0

# Seconds without any event, the share of them in which an idle program may use the processor,
# and how often it may still be busy with what was before.
IDLE = 0.6
IDLE_SHARE = 0.1
_GLANCES = 3

# Seconds by which a line on the console, or the end of a process, may come later than what is on
# the wire. Where it comes still later, a fault is overlooked, and nobody is wronged.
_MOMENT = 0.05

# Below the range from which the kernel gives ports to clients.
_PORTS = range(20000, 32000)


@attrs.frozen
class Setting:
    """What the trials of one grading have in common, and what is one's own."""

    solution: Solution
    stage: int
    """Which stage's program is started."""
    seed: str
    scale: float
    """How many times longer to wait than on a quiet, ordinary machine."""
    sanitized: Path | str
    """The solution compiled with AddressSanitizer, or why there is none."""


class Trial:
    """The world of one run of a check. Its nursery ends with it."""

    # What stands for `{key}`, where an exercise has one, and who its clients are.
    key = ""
    client_type: type[Client] = Client

    def __init__(self, setting: Setting, containment: Containment, nursery: trio.Nursery) -> None:
        self.setting = setting
        self.containment = containment
        self.transcript = Transcript()
        self.random = random.Random(setting.seed)  # noqa: S311  # names, not secrets
        self.patience = PATIENCE * setting.scale
        self.port = 0
        self.take_port()
        self._nursery = nursery
        self._words: set[str] = set()
        self._clients: list[Client] = []  # one that nobody holds would be closed
        self._program: Program | None = None

    def take_port(self) -> None:
        """Another port for the next program."""
        candidates = (port for port in self.random.sample(_PORTS, 100) if is_port_free(port))
        port = next(candidates, None)
        if port is None:
            raise CannotAssess("no port is free")
        self.port = port

    def word(self) -> str:
        """A random word that is part of no other one of this trial."""
        while True:
            word = "".join(self.random.choices(string.ascii_lowercase, k=8))
            if word not in self._words:
                self._words.add(word)
                return word

    @property
    def program(self) -> Program:
        """The program that was started last."""
        assert self._program is not None
        return self._program

    @property
    def has_program(self) -> bool:
        """Whether a program was started yet."""
        return self._program is not None

    def arguments(self) -> list[str]:
        """The arguments that the exercise's program takes."""
        raise NotImplementedError

    def use(self, program: Path) -> None:
        """From now on start this program, with the exercise's arguments."""
        solution = Solution.from_words([str(program), ARGUMENTS], (), program.parent)
        self.setting = attrs.evolve(self.setting, solution=solution)

    def launch(self, arguments: Sequence[str] | None = None) -> Program:
        """Start the program, and do not wait until it listens.

        Raises CannotAssess where the command does not let us choose other `arguments`.
        """
        solution = self.setting.solution
        if arguments is not None and not solution.takes_any_arguments:
            raise CannotAssess(
                f"the command {solution} does not let the arguments vary;"
                " write {arguments} where they stand"
            )
        values = {"port": str(self.port), "key": self.key, "stage": str(self.setting.stage)}
        command = solution.command(values, self.arguments() if arguments is None else arguments)
        try:
            self._program = Program(self.containment, command, self.transcript)
        except OSError as error:
            self.transcript.note("program", f"cannot be started: {error.strerror}")
            raise Failed(
                f"the program starts: {' '.join(command)}", error.strerror or str(error)
            ) from None
        self._nursery.start_soon(self._program.run)
        return self._program

    async def start(
        self, arguments: Sequence[str] | None = None, *, on_same_port: bool = False
    ) -> Program:
        """Start the program and wait until it listens.

        A second program gets another port, as the first may have left the old one in TIME_WAIT.
        """
        if self._program is not None and not on_same_port:
            self.take_port()
        program = self.launch(arguments)
        expected = f"the program listens on port {self.port}"
        with trio.move_on_after(START_PATIENCE * self.setting.scale) as waiting:
            await program.glance_until(
                lambda: program.status is not None or program.is_listening(self.port)
            )
        if waiting.cancelled_caught:
            raise Failed(
                expected, f"not after {START_PATIENCE * self.setting.scale:.0f} s; it is running"
            )
        if program.status is not None:
            more = ", and left a process that listens" if program.is_listening(self.port) else ""
            raise Failed(expected, f"it {program.ending}{more}")
        self.transcript.note("program", f"listens on port {self.port}")
        return program

    async def connect(self, name: str, receive_buffer: int | None = None) -> Client:
        """A new connection. `receive_buffer`: the size of its buffer in the kernel, in bytes."""
        sock = trio.socket.socket()
        if receive_buffer is not None:
            sock.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, receive_buffer)
        expected = f"{name} can connect to port {self.port}"
        with trio.move_on_after(self.patience) as waiting:
            try:
                await sock.connect(("127.0.0.1", self.port))
            except OSError as error:
                sock.close()
                self.transcript.note(name, f"cannot connect: {error.strerror}")
                raise Failed(
                    expected, f"{error.strerror}; the program {self.program.ending}"
                ) from None
        if waiting.cancelled_caught:
            sock.close()
            raise Failed(expected, f"no answer for {self.patience:.1f} s")
        self.transcript.note(name, "connects", "->")
        client = self.client_type(name, sock, self.transcript, self.patience)
        self._clients.append(client)
        return client

    async def expect_shown(
        self, tokens: Sequence[str], what: str, since: tuple[int, int] = (0, 0)
    ) -> None:
        """All of these stand on the console, in this order, after a position on it."""
        wanted = [token.encode() for token in tokens]
        program = self.program

        def is_shown() -> bool:
            return program.console.shows(wanted, since)

        with trio.move_on_after(self.patience):
            await program.wait_until(lambda: is_shown() or program.is_silent())
        if not is_shown():
            raise Failed(
                f"on the console, in this order: {', '.join(tokens)} ({what})",
                f"a console without them; the program {self.program.ending}",
            )

    async def expect_refusal_to_start(self, when: str) -> None:
        """A program that was launched ends by itself, when it has had time to begin."""
        program = self.program
        with trio.move_on_after(START_PATIENCE / 2 * self.setting.scale):
            await program.wait_until(lambda: program.status is not None)
        await self.expect_end(when)

    async def expect_end(self, when: str, status: int | None = None) -> None:
        """The program ends, with this status if one is given."""
        program = self.program
        expected = f"the program ends {when}" + (f" with status {status}" if status == 0 else "")
        with trio.move_on_after(self.patience):
            await program.wait_until(lambda: program.status is not None)
        if program.status is None:
            raise Failed(expected, f"it was still running after {self.patience:.1f} s")
        with trio.move_on_after(self.patience / 4):  # somebody else may have its terminal open
            await program.wait_until(program.is_silent)
        if status is not None and program.status != status:
            raise Failed(expected, f"it {program.ending}")

    async def expect_soon(self, holds: Callable[[], bool], expected: str, seen: str) -> None:
        """Something that no event announces comes true."""
        with trio.move_on_after(self.patience):
            await self.program.glance_until(holds)
        if not holds():
            raise Failed(expected, seen)

    async def expect_idle(self) -> None:
        """The processes use next to no processor time. What has just begun may end first."""
        used = 1.0
        for _ in range(_GLANCES):
            start, began = self.program.processor_time(), trio.current_time()
            await trio.sleep(IDLE)
            used = (self.program.processor_time() - start) / (trio.current_time() - began)
            if used < IDLE_SHARE:
                return
        raise Failed(
            f"less than {IDLE_SHARE:.0%} of a processor while nothing happens", f"{used:.0%}"
        )

    async def settle(self) -> None:
        """Give what has just happened time to show on the console and in the process."""
        await trio.sleep(_MOMENT * self.setting.scale)

    async def expect_running(self) -> None:
        """The program has not ended, nor is it about to."""
        await self.settle()
        if self.program.status is not None:
            raise Failed("the program goes on", f"it {self.program.ending}")
