"""The program under test: its life, its terminal, and what /proc tells about it."""

import contextlib
import fcntl
import os
import signal
import struct
import termios
from collections.abc import Callable, Sequence

import attrs
import trio

from sopchat_grader import processes
from sopchat_grader.containment import Containment
from sopchat_grader.failure import Failed
from sopchat_grader.printable import printable_lines
from sopchat_grader.transcript import Transcript

# How often we look at what no descriptor announces, in seconds.
_GLANCE = 0.005

# How often the limits are looked at, in seconds: processes may multiply fast.
_WATCH = 0.05

# Bytes of the console that evidence shows.
_TAIL = 4096

# Wide enough that no program wraps a line by itself.
_LINES, _COLUMNS = 50, 1000

_CONTROL_C = b"\x03"


@attrs.define
class Console:
    """What the program printed: standard output and standard error are two terminals."""

    output: bytearray = attrs.field(factory=bytearray)
    errors: bytearray = attrs.field(factory=bytearray)

    @property
    def size(self) -> int:
        """Bytes on both."""
        return len(self.output) + len(self.errors)

    @property
    def line_count(self) -> int:
        """Lines on both."""
        return self.output.count(b"\n") + self.errors.count(b"\n")

    @property
    def position(self) -> tuple[int, int]:
        """How far both are now."""
        return len(self.output), len(self.errors)

    def shows(self, tokens: Sequence[bytes], since: tuple[int, int] = (0, 0)) -> bool:
        """Whether all tokens stand there in their order after a position, on either of them."""
        texts = zip((self.output, self.errors), since, strict=True)
        return any(_in_order(text, tokens, start) for text, start in texts)

    def tail(self) -> dict[str, str]:
        """The end of both, safe to show."""
        return {
            "standard output": printable_lines(bytes(self.output[-_TAIL:])),
            "standard error": printable_lines(bytes(self.errors[-_TAIL:])),
        }


def _in_order(text: bytearray, tokens: Sequence[bytes], at: int) -> bool:
    for token in tokens:
        found = text.find(token, at)
        if found < 0:
            return False
        at = found + len(token)
    return True


class Program:
    """A running program. `run` must run in a nursery while it lives."""

    def __init__(
        self, containment: Containment, command: Sequence[str], transcript: Transcript
    ) -> None:
        """Start it. Raises OSError when it cannot be executed."""
        self._containment = containment
        self._transcript = transcript
        self._changed = trio.lowlevel.ParkingLot()
        self._open_terminals = 2
        self.console = Console()
        self.status: int | None = None
        terminals = [_open_terminal(), _open_terminal()]
        self._outer = [outer for outer, _ in terminals]
        try:
            self.pid = containment.start(command, terminals[0][1], terminals[1][1])
        finally:
            for _, inner in terminals:
                os.close(inner)
        transcript.note("program", f"started: {' '.join(command)}")

    async def run(self) -> None:
        """Collect what it prints, watch its limits, and learn of its end.

        Raises Failed when it exceeds a limit.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._collect, self._outer[0], self.console.output)
            nursery.start_soon(self._collect, self._outer[1], self.console.errors)
            nursery.start_soon(self._await_end)
            nursery.start_soon(self._watch)

    async def _collect(self, terminal: int, text: bytearray) -> None:
        try:
            while True:
                await trio.lowlevel.wait_readable(terminal)
                with contextlib.suppress(BlockingIOError):
                    text += os.read(terminal, 65536)
                if self.console.size > self._containment.limits.output:
                    raise Failed(
                        "a solution that is content with its limits",
                        f"{self.console.size} bytes of console output",
                    )
                self._changed.unpark_all()
        except OSError:  # EIO: no process has the terminal open any more
            self._open_terminals -= 1
            self._changed.unpark_all()

    async def _await_end(self) -> None:
        descriptor = os.pidfd_open(self.pid)
        try:
            await trio.lowlevel.wait_readable(descriptor)
        finally:
            os.close(descriptor)
        ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG)  # noqa: ASYNC222
        assert ended is not None
        status = ended.si_status
        self.status = status if ended.si_code == os.CLD_EXITED else -status
        self._transcript.note("program", self.ending)
        self._changed.unpark_all()

    async def _watch(self) -> None:
        while True:
            excess = self._containment.excess()
            if excess is not None:
                raise Failed("a solution that is content with its limits", excess)
            await trio.sleep(_WATCH)

    @property
    def ending(self) -> str:
        """How it ended, in words."""
        if self.status is None:
            return "is still running"
        if self.status < 0:
            return f"was killed by {signal.Signals(-self.status).name}"
        return f"ended with status {self.status}"

    async def wait_until(self, holds: Callable[[], bool]) -> None:
        """Wait until the console or the program's end makes `holds` true."""
        while not holds():
            await self._changed.park()

    async def glance_until(self, holds: Callable[[], bool]) -> None:
        """Wait until something is true that nothing announces, such as a number in /proc."""
        while not holds():  # noqa: ASYNC110  # there is no event to wait for
            await trio.sleep(_GLANCE)

    def is_silent(self) -> bool:
        """Whether it ended and everything it printed is here."""
        return self.status is not None and not self._open_terminals

    def interrupt(self) -> None:
        """SIGINT to the program's process group, as a shell sends it."""
        self._transcript.note("program", "SIGINT", "->")
        if self.status is not None:
            raise Failed("the program runs until it is interrupted", f"it {self.ending}")
        os.killpg(self.pid, signal.SIGINT)

    def press_control_c(self) -> None:
        """The key itself, on the program's controlling terminal."""
        self._transcript.note("program", "Ctrl-C on its terminal", "->")
        with contextlib.suppress(OSError):  # it has no terminal any more; its end is told later
            os.write(self._outer[0], _CONTROL_C)

    def processes(self) -> list[int]:
        """All its processes that are alive, also those that left its group or its session."""
        return self._containment.processes()

    def owner(self, inode: str) -> tuple[int, int] | None:
        """Which of its processes has a socket open, and under which descriptor."""
        for pid in self.processes():
            for number, target in processes.descriptors(pid).items():
                if target == f"socket:[{inode}]":
                    return pid, number
        return None

    def is_listening(self, port: int) -> bool:
        """Whether one of its processes listens on the port. Connecting would be noticed."""
        return any(
            socket.listening and socket.port == port and self.owner(socket.inode) is not None
            for socket in processes.tcp_sockets()
        )

    def descriptor_of(self, port: int, peer_port: int | None) -> int | None:
        """The descriptor of a connection, or of the listening socket, on `port`."""
        for socket in processes.tcp_sockets():
            wanted = socket.listening if peer_port is None else socket.peer_port == peer_port
            if wanted and socket.port == port:
                found = self.owner(socket.inode)
                if found is not None:
                    return found[1]
        return None

    def connection_count(self, port: int) -> int:
        """How many connections on the port its processes have open."""
        return sum(
            socket.port == port and not socket.listening and self.owner(socket.inode) is not None
            for socket in processes.tcp_sockets()
        )

    def descriptor_count(self) -> int:
        """How many descriptors all its processes have open."""
        return sum(len(processes.descriptors(pid)) for pid in self.processes())

    def processor_time(self) -> float:
        """Seconds of processor time used by all its processes."""
        return processes.processor_time(self._containment.processes())

    def memory(self) -> int:
        """Bytes of memory occupied by all its processes."""
        return processes.memory(self._containment.processes())


def _open_terminal() -> tuple[int, int]:
    """A pseudo-terminal that passes bytes on as they are, and knows Ctrl-C. Outer, inner end."""
    outer, inner = os.openpty()
    settings = termios.tcgetattr(inner)
    settings[1] &= ~termios.OPOST  # output: no carriage returns added
    settings[3] &= ~termios.ECHO
    termios.tcsetattr(inner, termios.TCSANOW, settings)
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, _COLUMNS, 0, 0))
    os.set_blocking(outer, False)
    return outer, inner
