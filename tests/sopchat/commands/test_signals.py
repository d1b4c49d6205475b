"""Signals of `sop-chat`: a good end, one at once, settings read again."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from sopchat.limits import DRAIN_TIMEOUT
from tests.support.clients import PATIENCE, Client
from tests.support.frames import frame
from tests.support.programs import SOP_CHAT, Program, Server, reserved_port, take_terminal


def stuck_member(server: Server, ann: Client) -> Client:
    """A member for whom something is queued and who takes nothing."""
    stuck = Client.join(server.port, "stuck")
    ann.socket.settimeout(0.3)
    try:
        while True:
            ann.send(*[frame("ann", "x")] * 1000)
    except TimeoutError:
        return stuck


def test_a_second_signal_ends_it_at_once() -> None:
    with (
        Server("--quiet", "--stall-timeout", "60") as server,
        Client.join(server.port, "ann") as ann,
        stuck_member(server, ann),
    ):
        start = time.monotonic()
        server.interrupt()
        server.process.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        assert time.monotonic() - start < DRAIN_TIMEOUT


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_ends_it_within_a_second_though_a_member_is_stuck(
    number: signal.Signals,
) -> None:
    with (
        Server("--quiet", "--stall-timeout", "60") as server,
        Client.join(server.port, "ann") as ann,
        stuck_member(server, ann),
    ):
        server.process.send_signal(number)
        assert server.wait() == 0
        assert "closing" in server.stdout


class Keyed(Program):
    """`sop-chat` with its key and limits in files."""

    def __init__(self, folder: Path, port: int, *options: str) -> None:
        (folder / "key").write_text("key\n")
        (folder / "limits").write_text("max-clients = 1\n")
        files = ("--key-file", str(folder / "key"), "--limits", str(folder / "limits"))
        super().__init__(SOP_CHAT, str(port), *files, *options)
        self.wait_for("listening")


def test_sighup_reads_the_key_and_the_limits_again_and_members_stay(tmp_path: Path) -> None:
    with reserved_port() as port, Keyed(tmp_path, port) as server:
        with Client.join(port, "ann") as ann:
            with Client(port) as full:
                assert full.rest() == b""
            (tmp_path / "key").write_text("new")
            (tmp_path / "limits").write_text('max-clients = 2\nrate = "600/min"\n')
            server.process.send_signal(signal.SIGHUP)
            server.wait_for("reloaded")
            with Client(port) as late:
                late.send(frame("eve", "key"))
                assert late.rest() == b""
            with Client.join(port, "bob", "new") as bob:
                bob.send(frame("bob", "hello"))
                assert ann.receive() == frame("bob", "hello")
                bob.send(*[frame("bob", "x")] * 41)
                server.wait_for("bob is slowed down: 10 messages a second are let through")
        server.interrupt()
        assert server.wait() == 0


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("key", "", "is empty"),
        ("limits", "max-clients = 0", "max-clients in "),
        ("limits", "max-client = 3", "'max-client' in "),
        ("limits", "max-clients = 99999999999999999999", "at most 2147483647"),
        ("limits", "rate = '1e308/s'", "is no rate"),
        ("limits", "max-clients", "cannot read the limits in "),
    ],
)
def test_after_a_bad_reload_all_goes_on_as_it_was(
    tmp_path: Path, file: str, content: str, said: str
) -> None:
    with reserved_port() as port, Keyed(tmp_path, port) as server:
        (tmp_path / file).write_text(content)
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("not reloaded, and all goes on as it was: ")
        assert said in server.stdout
        Client.join(port, "ann").close()
        server.interrupt()
        assert server.wait() == 0


def on_a_terminal_that_closes(*command: str) -> subprocess.Popen[bytes]:
    """A server whose terminal is closed as soon as it has said that it listens."""
    terminal, inner = os.openpty()
    process = subprocess.Popen(
        command,
        stdin=inner,
        stdout=inner,
        stderr=inner,
        preexec_fn=take_terminal,
        start_new_session=True,
    )
    os.close(inner)
    with os.fdopen(terminal, "rb", buffering=0) as screen:
        assert screen.readline().startswith(b"listening")
    return process


def test_closing_its_terminal_ends_it() -> None:
    """The same signal as for a reload, but nobody is there any more to read the console."""
    with reserved_port() as port:
        process = on_a_terminal_that_closes(SOP_CHAT, str(port), "key")
        assert process.wait(PATIENCE) == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"rate = 5.5.5", "cannot read the limits in"),
        (b"rate = 'fast'", "'fast' is no rate: one like 50/s or 600/min is"),
        (b"max-in-flight = 'lots'", "'lots' is no size: one is 500000, 64M or 2G"),
        (b"colour = 'red'", "'colour' in"),
        (b"\xff", "cannot read the limits in"),
    ],
)
def test_a_bad_file_of_limits_is_wrong_use(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "limits").write_bytes(content)
    with Program(SOP_CHAT, "9000", "key", "--limits", str(tmp_path / "limits")) as program:
        assert program.wait() == 1
        first, second = program.stderr.splitlines()
        assert first == "USAGE: sop-chat port key"
        assert said in second


def test_an_option_goes_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "limits").write_text("max-clients = 1\n")
    with (
        Server("--limits", str(tmp_path / "limits"), "--max-clients", "2") as server,
        Client.join(server.port, "ann"),
        Client.join(server.port, "bob"),
    ):
        server.wait_for("bob joined (2/2)")


def test_descriptors_are_made_room_for_as_far_as_the_system_allows() -> None:
    with reserved_port() as port:
        command = f'ulimit -S -n 100 && exec "{SOP_CHAT}" {port} key --max-clients 900'
        with Program("/bin/sh", "-c", command) as server:
            server.wait_for("listening")
            limits = Path(f"/proc/{server.process.pid}/limits").read_text()
            (line,) = [line for line in limits.splitlines() if line.startswith("Max open files")]
            assert int(line.split()[3]) == 900 + 64 + 64
            assert "open files" not in server.stdout
            server.interrupt()
            server.wait()


def test_too_few_descriptors_for_all_members_are_told_at_the_start() -> None:
    with reserved_port() as port:
        # Nobody but the superuser, who may raise a hard limit, gets more than this.
        command = f'ulimit -n 500 && exec "{SOP_CHAT}" {port} key --max-clients 2000000000'
        with Program("/bin/sh", "-c", command) as server:
            server.wait_for("the system allows 500 open files and 2000000000 members need")
            server.interrupt()
            assert server.wait() == 0


def test_a_newcomer_gets_the_history_before_what_is_said_then() -> None:
    with Server("--history", "3") as server, Client.join(server.port, "ann") as ann:
        said = [frame("ann", str(number)) for number in range(5)]
        ann.send(*said)
        server.wait_for("ann: 4")
        with Client.join(server.port, "bob") as bob:
            ann.send(frame("ann", "now"))
            assert bob.receive_many(4) == [*said[-3:], frame("ann", "now")]


def test_more_history_than_a_newcomer_can_get_is_wrong_use() -> None:
    with Program(SOP_CHAT, "9000", "key", "--history", "5000") as program:
        assert program.wait() == 1
        assert "'5000' is too much: 4096 at most" in program.stderr


def test_sigusr1_shows_how_the_room_is(tmp_path: Path) -> None:
    with Server("--log", str(tmp_path / "log")) as server, Client.join(server.port, "ann") as ann:
        ann.send(frame("ann", "hello"))
        server.wait_for("ann: hello")
        server.process.send_signal(signal.SIGUSR1)
        server.wait_for(
            "1/4 members, 0 not authenticated, 1 frames so far, 0 bytes wait for members"
        )
        server.wait_for("0 missing, ")
        server.wait_for(" failures")


def test_a_file_that_keeps_its_reader_waiting_keeps_nobody_else(tmp_path: Path) -> None:
    with reserved_port() as port, Keyed(tmp_path, port) as server:
        (tmp_path / "key").unlink()
        os.mkfifo(tmp_path / "key")
        server.process.send_signal(signal.SIGHUP)
        with (tmp_path / "key").open("w") as waiting:  # opened when it is being read
            Client.join(port, "ann").close()
            waiting.write("new\n")
        server.wait_for("reloaded")
        Client.join(port, "ann", "new").close()
        server.interrupt()
        assert server.wait() == 0


def test_what_nohup_started_outlives_its_terminal() -> None:
    with reserved_port() as port:
        command = f"trap '' HUP; exec '{SOP_CHAT}' {port} key"
        process = on_a_terminal_that_closes("/bin/sh", "-c", command)
        Client.join(port, "ann").close()
        process.send_signal(signal.SIGHUP)
        Client.join(port, "ann").close()
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_a_reload_says_what_there_was_to_read_again(tmp_path: Path) -> None:
    with Server() as server:
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("nothing to reload: there is no --key-file, --limits, --tls or --tls-cert")
    with reserved_port() as port, Keyed(tmp_path, port) as server:
        server.process.send_signal(signal.SIGHUP)
        server.wait_for("reloaded: the key, the limits\n")
        server.interrupt()
        server.wait()
