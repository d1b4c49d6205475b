"""The client's full screen: how soon it is there, how soon a key shows, how much memory it takes.

The command behind scripts/bench-screen. A pseudo-terminal stands for the person; a key counts as
shown when the terminal has been sent the text that it makes.
"""

import argparse
import contextlib
import fcntl
import os
import random
import re
import select
import socket
import statistics
import string
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import peers
from benchmarks.report import machine
from sopchat.wire.frame import Frame

PAGE = Path(__file__).resolve().parent.parent / "docs" / "client.md"
FIGURES = re.compile(r"(?<=<!-- figures -->\n).*(?=<!-- end of figures -->)", re.DOTALL)
CLIENT = str(peers.SCRIPTS / "sop-chat-client")

# What a person looks at: columns and lines.
WINDOW = (120, 40)
SCROLLBACK = 10_000
RATES = (0, 200, 1000)
KEYS = 1000
STARTS = 7
# As fast as somebody types who holds a key down (seconds between keys, at least and at most).
PAUSE = (0.005, 0.03)
PATIENCE = 20.0


class Person:
    """Somebody at a terminal in which a command runs."""

    def __init__(self, *command: str) -> None:
        self._terminal, inner = os.openpty()
        columns, lines = WINDOW
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self._seen = b""
        self._process = subprocess.Popen(
            command,
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env={**os.environ, "TERM": "xterm-256color"},
            start_new_session=True,
        )
        os.close(inner)

    def press(self, keys: str) -> None:
        """What is on the screen so far does not count any more."""
        self._seen = b""
        os.write(self._terminal, keys.encode())

    def wait_for(self, text: str) -> None:
        """Wait until the text is drawn."""
        end = time.perf_counter() + PATIENCE
        while text.encode() not in self._seen:
            if time.perf_counter() > end:
                raise peers.PeerFault(f"'{text}' does not appear")
            self.look(0.05)

    def look(self, seconds: float) -> None:
        """See what is drawn within that time."""
        end = time.perf_counter() + seconds
        while (left := end - time.perf_counter()) > 0:
            if not select.select([self._terminal], [], [], left)[0]:
                return
            data = os.read(self._terminal, 1 << 20)
            self._seen += data
            if b"\x1b[6n" in data:  # asked where the cursor is, a terminal answers
                os.write(self._terminal, b"\x1b[1;1R")
            if seconds <= 0.05:
                return

    def memory(self) -> float:
        """MiB of the client."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def __enter__(self) -> "Person":
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._terminal)


class Talker:
    """Another member."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.sendall(Frame(b"bob", b"key").encode())
        self._socket.recv(512, socket.MSG_WAITALL)

    def say(self, *texts: str) -> None:
        """Say each text."""
        self._socket.sendall(b"".join(Frame(b"bob", text.encode()).encode() for text in texts))

    def __enter__(self) -> "Talker":
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    @contextlib.contextmanager
    def talking(self, rate: int) -> Iterator[None]:
        """Say so many messages a second, meanwhile."""
        stopped = threading.Event()

        def talk() -> None:
            start, said = time.perf_counter(), 0
            while not stopped.is_set():
                self.say(f"message {said} of a lively room")
                said += 1
                stopped.wait(max(0.0, start + said / rate - time.perf_counter()))

        thread = threading.Thread(target=talk)
        if rate:
            thread.start()
        try:
            yield
        finally:
            stopped.set()
            if rate:
                thread.join()


def starts(port: int) -> Iterator[tuple[str, float]]:
    """Milliseconds from the start of a process to what it shows first, medians."""
    at = ("localhost", str(port), "ann", "key")
    commands: dict[str, tuple[tuple[str, ...], str]] = {
        "`import trio`": ((sys.executable, "-c", "import trio; print('there')"), "there"),
        "full screen": ((CLIENT, *at), "bytes left"),
        "line mode": ((CLIENT, "--plain", *at), "ann>"),
    }
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(STARTS):
        for name, (command, text) in commands.items():
            begin = time.perf_counter()
            with Person(*command) as person:
                person.wait_for(text)
                taken[name].append((time.perf_counter() - begin) * 1000)
    for name, times in taken.items():
        yield name, statistics.median(times)


def keys(person: Person) -> list[float]:
    """Milliseconds from each of many keys to the screen, sorted."""
    delays, typed = [], ""
    for _ in range(KEYS):
        letter = random.choice(string.ascii_lowercase)
        typed += letter
        begin = time.perf_counter()
        person.press(letter)
        person.wait_for(typed)
        delays.append((time.perf_counter() - begin) * 1000)
        if len(typed) > WINDOW[0] // 2:
            person.press("\x15")
            typed = ""
            person.look(0.1)
        person.look(random.uniform(*PAUSE))
    return sorted(delays)


def measure() -> Iterator[str]:
    """The tables, line by line."""
    with peers.running(peers.QUIET) as server:
        port = int(server.room.rpartition(":")[2])
        yield machine()
        yield ""
        yield "| from the start to | ms |"
        yield "| --- | --: |"
        for name, milliseconds in starts(port):
            yield f"| {name} | {milliseconds:.0f} |"
        yield ""
        yield f"| {SCROLLBACK:,} messages above, and a second | key p50, ms | p99, ms | MiB |"
        yield "| --- | --: | --: | --: |"
        for rate in RATES:
            client = (CLIENT, "localhost", str(port), "ann", "key")
            with Person(*client) as person, Talker(port) as bob:
                person.wait_for("joined")
                texts = [f"message {n} " + "lorem ipsum " * (n % 9) for n in range(SCROLLBACK)]
                for start in range(0, SCROLLBACK, 100):
                    bob.say(*texts[start : start + 100])
                person.wait_for(f"message {SCROLLBACK - 1}")
                with bob.talking(rate):
                    person.look(1.0)
                    delays = keys(person)
                p50, p99 = delays[len(delays) // 2], delays[len(delays) * 99 // 100]
                yield f"| {rate} more | {p50:.1f} | {p99:.1f} | {person.memory():.0f} |"


def main(arguments: Sequence[str] | None = None, tell: Callable[[str], None] = print) -> int:
    """Measure, and put the tables into the page if that is wanted."""
    parser = argparse.ArgumentParser(prog="bench-screen", description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"put the figures into {PAGE.name}")
    options = parser.parse_args(arguments)
    lines = []
    try:
        for line in measure():
            tell(line)
            lines.append(line)
    except peers.PeerFault as fault:
        sys.exit(f"bench-screen: {fault}")
    if options.write:
        figures = "\n".join(lines) + "\n"
        PAGE.write_text(FIGURES.sub(lambda _: figures, PAGE.read_text("utf-8")), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
