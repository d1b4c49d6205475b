"""Real processes: started as a user starts them, their output collected as it comes."""

import contextlib
import errno
import fcntl
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Self

import pyte
import pytest

from tests.support.clients import PATIENCE

# The commands as they were installed beside the Python that runs the tests.
BIN = Path(sys.executable).parent
SOP_CHAT = str(BIN / "sop-chat")
SOP_CHAT_CLIENT = str(BIN / "sop-chat-client")


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """A port nobody else gets meanwhile, and that a server may listen on.

    A bound socket that does not listen keeps the port, and sockets that have SO_REUSEADDR may share
    it as long as only one of them listens. It gets that option when it has the port: so it has it
    alone. The ports that systems give to who asks for any are above these.
    """
    with socket.socket() as reservation:
        while True:
            try:
                reservation.bind(("127.0.0.1", random.randrange(10_000, 20_000)))
                break
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        yield reservation.getsockname()[1]


class Program:
    """A process. Its standard output and error are collected by threads of the test."""

    def __init__(
        self,
        *command: str,
        env: dict[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self.process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
            pass_fds=pass_fds,
        )
        self._changed = threading.Condition()
        self._texts = {"stdout": b"", "stderr": b""}
        self._threads = [
            threading.Thread(target=self._collect, args=(name,))
            for name in self._texts
            if getattr(self.process, name) is not None
        ]
        for thread in self._threads:
            thread.start()

    def _collect(self, name: str) -> None:
        with getattr(self.process, name) as pipe:
            while data := os.read(pipe.fileno(), 65536):
                with self._changed:
                    self._texts[name] += data
                    self._changed.notify_all()

    @property
    def stdout(self) -> str:
        """What came so far."""
        return self._texts["stdout"].decode()

    @property
    def stderr(self) -> str:
        return self._texts["stderr"].decode()

    def wait_for(self, text: str, times: int = 1) -> None:
        """Wait until standard output holds `text` so many times."""
        with self._changed:
            seen = self._changed.wait_for(lambda: self.stdout.count(text) >= times, PATIENCE)
        assert seen, f"{text!r} not in {self.stdout!r}, standard error {self.stderr!r}"

    def wait_for_error(self, text: str) -> None:
        """Wait until standard error holds `text`."""
        with self._changed:
            seen = self._changed.wait_for(lambda: text in self.stderr, PATIENCE)
        assert seen, f"{text!r} not in {self.stderr!r}, standard output {self.stdout!r}"

    def write(self, data: bytes) -> None:
        """Write to standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def end_input(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def interrupt(self) -> None:
        """What Ctrl-C sends."""
        self.process.send_signal(signal.SIGINT)

    def wait(self) -> int:
        """The exit status, after all output has been collected."""
        status = self.process.wait(PATIENCE)
        for thread in self._threads:
            thread.join(PATIENCE)
        return status

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
        self.wait()


class Server(Program):
    """`sop-chat` on a reserved port, listening."""

    def __init__(
        self,
        *options: str,
        key: str = "key",
        env: dict[str, str] | None = None,
        stdout: int = subprocess.PIPE,
    ) -> None:
        with contextlib.ExitStack() as stack:
            self.port = stack.enter_context(reserved_port())
            super().__init__(SOP_CHAT, *options, str(self.port), key, env=env, stdout=stdout)
            self._reservation = stack.pop_all()
        if stdout == subprocess.PIPE:
            self.wait_for("listening on port")

    def status(self, field: str) -> int:
        """A number of /proc/PID/status, sizes in KiB: VmRSS, Threads, ..."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1])
        raise LookupError(field)

    def descriptors(self) -> int:
        """How many descriptors the process has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def processor_time(self) -> float:
        """Seconds of processor time used so far."""
        return processor_time(self.process.pid)

    def __exit__(self, *exception: object) -> None:
        """Whatever the test did with it, it still ends as it should."""
        with self._reservation:
            try:
                if self.process.poll() is None:
                    self.interrupt()
                    assert self.wait() == 0, self.stderr
                    assert "Traceback" not in self.stderr
            finally:
                super().__exit__(*exception)


class TerminalProgram:
    """A process on a controlling pseudo-terminal, and the screen a person would see."""

    def __init__(
        self, *command: str, env: dict[str, str] | None = None, columns: int = 80, lines: int = 24
    ) -> None:
        self._terminal, inner = os.openpty()
        self._screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.settings = termios.tcgetattr(inner)
        self._inner = inner
        self.process = subprocess.Popen(
            command,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env={**os.environ, "TERM": "xterm-256color", **(env or {})},
            start_new_session=True,
            preexec_fn=take_terminal,
        )
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()

    def _collect(self) -> None:
        with contextlib.suppress(OSError):  # the terminal is gone
            while data := os.read(self._terminal, 65536):
                with self._changed:
                    self.raw += data
                    self._stream.feed(data)
                    self._changed.notify_all()
                if b"\x1b[6n" in data:  # asked where the cursor is, as a terminal answers
                    cursor = self._screen.cursor
                    self.press(f"\x1b[{cursor.y + 1};{cursor.x + 1}R")

    @property
    def screen(self) -> list[str]:
        """The lines on the screen that are not empty, without trailing blanks."""
        return [line.rstrip() for line in self._screen.display if line.strip()]

    def press(self, text: str) -> None:
        """What a person's keys send."""
        self.press_bytes(text.encode())

    def press_bytes(self, data: bytes) -> None:
        """What keys send in another encoding."""
        os.write(self._terminal, data)

    def resize(self, columns: int, lines: int) -> None:
        """Give the window another size."""
        with self._changed:
            self._screen.resize(lines, columns)
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, size)

    def wait_until(self, holds: Callable[[list[str]], bool]) -> None:
        """Wait until something holds for the lines on the screen."""
        with self._changed:
            seen = self._changed.wait_for(lambda: holds(self.screen), PATIENCE)
        assert seen, f"the screen is {self.screen!r}"

    def wait_for_line(self, line: str) -> None:
        """Wait until a line of the screen is `line`."""
        with self._changed:
            seen = self._changed.wait_for(lambda: line in self.screen, PATIENCE)
        assert seen, f"{line!r} is no line of {self.screen!r}"

    def wait_for_text(self, text: str) -> None:
        """Wait until something like `text` was written, also if it is no longer on the screen."""
        with self._changed:
            seen = self._changed.wait_for(lambda: text.encode() in self.raw, PATIENCE)
        assert seen, f"{text!r} not in {self.raw!r}"

    def settings_now(self) -> list[object]:
        """The terminal's settings, as `stty -a` would show them."""
        return termios.tcgetattr(self._inner)

    def wait(self) -> int:
        return self.process.wait(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)
        os.close(self._inner)
        self._thread.join(PATIENCE)
        os.close(self._terminal)


def take_terminal() -> None:
    """In the child: standard input becomes the session's controlling terminal."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def eventually(holds: Callable[[], bool], what: str) -> None:
    """Wait for something that no output announces, such as a number in /proc."""
    end = time.monotonic() + PATIENCE
    pause = threading.Event()
    while not holds():
        assert time.monotonic() < end, what
        pause.wait(0.01)


def processor_time(pid: int) -> float:
    """Seconds of processor time a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until_listening(port: int) -> None:
    """Wait until somebody listens on the port. Asks /proc: connecting would be noticed."""

    def listening() -> bool:
        lines = [
            line.split()
            for table in ("tcp", "tcp6")
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        ]
        return any(
            int(line[1].rpartition(":")[2], 16) == port and line[3] == "0A" for line in lines
        )

    eventually(listening, f"nobody listens on port {port}")


def require_tool(name: str) -> str:
    """The path of a program that a test needs and Python does not bring.

    Where it is absent the test is skipped aloud; with CI=true that is an error.
    """
    path = shutil.which(name)
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"{name} is not installed")
    return path
