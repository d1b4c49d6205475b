"""What encryption costs: `scripts/bench-tls`, for docs/tls.md.

A room with TLS and one without take turns, both with `--quiet`. The clients are in Python as well:
the ratios say more than the figures.
"""

import argparse
import contextlib
import multiprocessing
import os
import re
import signal
import socket
import ssl
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import peers
from benchmarks.report import machine
from sopchat.wire.frame import FRAME_SIZE, Frame

PAGE = Path(__file__).resolve().parent.parent / "docs" / "tls.md"

TURNS = 5
# How long a turn lasts (seconds).
TURN = 2.0
IDLE = 500
JOINERS = 3
KEY = b"key"


class Room:
    """A room of its own, encrypted or not."""

    def __init__(self, folder: str, *options: str, encrypted: bool) -> None:
        self._context: ssl.SSLContext | None = None
        if encrypted:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._context.check_hostname = False
            self._context.verify_mode = ssl.CERT_NONE
            options = (*options, "--tls", "auto")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [peers.SCRIPTS / "sop-chat", "--quiet", *options, str(self.port), KEY],
            stdout=subprocess.PIPE,
            env={**os.environ, "XDG_STATE_HOME": folder},
            text=True,
        )
        assert self.process.stdout is not None
        while "listening" not in self.process.stdout.readline():
            pass

    def join(self, name: str = "member") -> socket.socket:
        """A member."""
        plain = socket.create_connection(("127.0.0.1", self.port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        member = plain if self._context is None else self._context.wrap_socket(plain)
        offer = Frame(name.encode(), KEY).encode()
        member.sendall(offer)
        left = FRAME_SIZE
        while left:
            left -= len(member.recv(left))
        return member

    def memory(self) -> int:
        """Bytes resident."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def end(self) -> None:
        """Ctrl-C. What it has shown is of no interest, and holds nothing up."""
        self.process.send_signal(signal.SIGINT)
        self.process.communicate()


@contextlib.contextmanager
def rooms(*options: str) -> Iterator[dict[bool, Room]]:
    """One without TLS and one with."""
    with tempfile.TemporaryDirectory() as folder:
        both = {
            encrypted: Room(folder, *options, encrypted=encrypted) for encrypted in (False, True)
        }
        try:
            yield both
        finally:
            for room in both.values():
                room.end()


def flood(room: Room, seconds: float) -> float:
    """Frames a second from one member to another."""
    teller, listener = room.join("teller"), room.join("listener")
    block = Frame(b"teller", b"x" * 400).encode() * 128
    child = os.fork()
    if not child:
        with contextlib.suppress(OSError):
            while True:
                teller.sendall(block)
        os._exit(0)
    teller.close()
    buffer = bytearray(1 << 18)
    received, start = 0, time.monotonic()
    while time.monotonic() < start + seconds:
        received += listener.recv_into(buffer)
    took = time.monotonic() - start
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    listener.close()
    time.sleep(0.2)
    return received / FRAME_SIZE / took


def round_trip(room: Room, seconds: float) -> float:
    """From one member to another and back, the median (µs)."""
    one, two = room.join("one"), room.join("two")
    frame = Frame(b"one", b"x").encode()
    times, end = [], time.monotonic() + seconds / 2
    while time.monotonic() < end:
        start = time.perf_counter()
        for teller, listener in ((one, two), (two, one)):
            teller.sendall(frame)
            left = FRAME_SIZE
            while left:
                left -= len(listener.recv(left))
        times.append(time.perf_counter() - start)
    one.close()
    two.close()
    time.sleep(0.2)
    return statistics.median(times) * 1e6


def joins(room: Room, seconds: float) -> float:
    """Joins a second, by several clients at once."""

    def go_on(count: "multiprocessing.sharedctypes.Synchronized[int]") -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            room.join().close()
            with count.get_lock():
                count.value += 1

    context = multiprocessing.get_context("fork")
    count = context.Value("i", 0)
    joiners = [context.Process(target=go_on, args=(count,)) for _ in range(JOINERS)]
    for joiner in joiners:
        joiner.start()
    for joiner in joiners:
        joiner.join()
    return float(count.value) / seconds


def idle(room: Room, _: float) -> float:
    """KiB for each idle member."""
    before = room.memory()
    members = [room.join() for _ in range(IDLE)]
    time.sleep(0.5)
    grown = room.memory() - before
    for member in members:
        member.close()
    return grown / IDLE / 1024


def main() -> None:
    """Measure all, print it, and with --write put it into the page."""
    parser = argparse.ArgumentParser(prog="bench-tls", description=__doc__)
    parser.add_argument("--write", action="store_true", help="put the figures into docs/tls.md")
    parser.add_argument("--quick", action="store_true", help="one short turn: rough figures")
    options = parser.parse_args()
    turns = 1 if options.quick else TURNS
    seconds = TURN / 10 if options.quick else TURN
    lines = ["| | plain | TLS |", "| --- | --: | --: |"]
    with rooms("--max-clients", str(2 * IDLE), "--hide-keys") as both:
        for title, measure, times, form in (
            ("an idle member, KiB", idle, 1, "{:.1f}"),  # first: what grows stays
            ("one floods one, frames a second", flood, turns, "{:,.0f}"),
            ("there and back, one frame, µs", round_trip, turns, "{:.0f}"),
            ("joins a second", joins, turns, "{:,.0f}"),
        ):
            seen: dict[bool, list[float]] = {False: [], True: []}
            for _ in range(times):
                for encrypted, room in both.items():
                    seen[encrypted].append(measure(room, seconds))
            cells = (form.format(statistics.median(seen[encrypted])) for encrypted in (False, True))
            lines.append(f"| {title} | {' | '.join(cells)} |")
            print(lines[-1], flush=True)
    if not options.write:
        return
    figures = "\n".join([machine(), "", *lines, ""])
    page = re.compile(r"(?<=<!-- figures -->\n).*(?=<!-- end of figures -->)", re.DOTALL)
    PAGE.write_text(page.sub(lambda _: figures, PAGE.read_text()))


if __name__ == "__main__":
    main()
