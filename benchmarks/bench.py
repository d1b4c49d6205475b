"""Measures sop-chat beside a plain C solution of the exercise, in one run, in turn.

    scripts/bench [--rounds N] [--quick]

Every figure is the median of the rounds. Machines differ and are shared: compare within a run.
The load generator (load.c) checks every frame that arrives; a frame lost, doubled, harmed or
out of order ends the run.
"""

import argparse
import contextlib
import os
import platform
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE / "build"
# Turns of every server in a round of frames in flight.
TURNS = 5

SOP_CHAT = Path(sys.executable).parent / "sop-chat"


@dataclass(frozen=True)
class Peer:
    """A server under test; `{port}` in its command is the port."""

    name: str
    command: tuple[str, ...]


PEERS = (
    Peer("plain C, shown", (str(BUILD / "plain_server"), "{port}", "key")),
    Peer("sop-chat, shown", (str(SOP_CHAT), "{port}", "key")),
    Peer("sop-chat, quiet", (str(SOP_CHAT), "--quiet", "{port}", "key")),
)


@dataclass(frozen=True)
class Server:
    """A peer that runs."""

    pid: int
    port: int

    def load(self, *arguments: object) -> list[float]:
        """Run the load generator against it and give the numbers it prints."""
        command = [str(part) for part in (BUILD / "load", self.port, "key", *arguments)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            sys.exit(f"the load generator failed: {' '.join(command)}")
        return [float(number) for number in done.stdout.split()]

    def memory(self, field: str) -> int:
        """VmRSS or VmHWM in KiB."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1])
        raise LookupError(field)

    def processor_time(self) -> float:
        """Seconds of processor time used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def running(peer: Peer) -> Iterator[Server]:
    """Start a peer with its standard output into a file, as somebody who keeps it would."""
    with socket.socket() as reservation, tempfile.TemporaryFile() as output:
        # Bound and not listening: nobody else is given the port, and the peer may listen on it.
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind(("127.0.0.1", 0))
        port = reservation.getsockname()[1]
        command = [part.format(port=port) for part in peer.command]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output)
        try:
            wait_until_listening(port)
            yield Server(process.pid, port)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def wait_until_listening(port: int) -> None:
    """Return when a connection succeeds; end the run after ten seconds."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.01)
    sys.exit(f"nobody listens on port {port}")


def build() -> None:
    """Compile the load generator and the plain server."""
    BUILD.mkdir(exist_ok=True)
    for source in HERE.glob("*.c"):
        command = ["gcc", "-O2", "-Wall", "-Wextra", "-Wno-format-truncation", "-o"]
        subprocess.run([*command, BUILD / source.stem, source], check=True)


def flooding(server: Server, frames: int) -> float:
    """Four members flood one another: frames delivered per second."""
    delivered, seconds = server.load("flood", 4, 4, frames)
    return delivered / seconds


def in_flight(server: Server, rounds: int) -> float:
    """One frame in flight to three members: p50 in microseconds."""
    p50, _ = server.load("ping", 4, rounds)
    return p50


def compare(rounds: int, frames: int, pings: int) -> None:
    """Print the table of what every peer can do.

    A flood has the machine to itself. Frames in flight are measured in many short turns on
    servers that all run: a shared machine changes its pace within seconds.
    """
    rates: dict[str, list[float]] = {peer.name: [] for peer in PEERS}
    delays: dict[str, list[float]] = {peer.name: [] for peer in PEERS}
    for number in range(rounds):
        for peer in PEERS:
            print(f"round {number + 1} of {rounds}: {peer.name}", file=sys.stderr)
            with running(peer) as server:
                rates[peer.name].append(flooding(server, frames))
        with contextlib.ExitStack() as stack:
            servers = {peer.name: stack.enter_context(running(peer)) for peer in PEERS}
            for _ in range(TURNS):
                for name, server in servers.items():
                    delays[name].append(in_flight(server, pings))
    base_rate, base_delay = rates[PEERS[0].name], delays[PEERS[0].name]
    print("| server | 4 flooding, delivered/s | to plain C | one frame to 3, p50 | to plain C |")
    print("| --- | --: | --: | --: | --: |")
    for peer in PEERS:
        rate, delay = statistics.median(rates[peer.name]), statistics.median(delays[peer.name])
        print(
            f"| {peer.name}"
            f" | {rate:,.0f} | {rate / statistics.median(base_rate):.1f}"
            f" | {delay:.0f} µs | {delay / statistics.median(base_delay):.2f} |"
        )


def stuck_reader(frames: int) -> None:
    """Print what one member that never reads costs while another floods."""
    with running(PEERS[1]) as server:
        before = server.memory("VmRSS")
        delivered, seconds = server.load("stuck", 4, frames)
        growth = (server.memory("VmHWM") - before) / 1024
    print(
        f"one of four never reads, one sends {frames:,} frames: {delivered:,.0f} delivered to the"
        f" other two in {seconds:.1f} s, the server grew by {growth:.1f} MiB"
    )


def idle(seconds: int) -> None:
    """Print the processor time of a server whose members say nothing."""
    with running(PEERS[1]) as server:
        before = server.processor_time()
        server.load("idle", 4, seconds)
        used = server.processor_time() - before
    print(
        f"four idle members for {seconds} s: {used:.2f} s of processor time, their joining included"
    )


def main() -> None:
    """Build, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5, help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="one short round")
    options = parser.parse_args()
    build()
    model = platform.processor() or platform.machine()
    print(f"{os.cpu_count()} processors ({model}), {platform.system()} {platform.release()},")
    print(f"Python {platform.python_version()}, loopback\n")
    if options.quick:
        compare(1, frames=20_000, pings=1_000)
    else:
        compare(options.rounds, frames=200_000, pings=2_000)
    print()
    stuck_reader(frames=100_000)
    idle(seconds=2 if options.quick else 10)


if __name__ == "__main__":
    main()
