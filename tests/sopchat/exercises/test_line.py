"""`chat-server` in a real process: its whole standard output, byte for byte."""

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.support.clients import Client
from tests.support.programs import (
    BIN,
    Program,
    processor_time,
    require_tool,
    reserved_port,
    wait_until_listening,
)

CHAT_SERVER = str(BIN / "chat-server")


class LineServer(Program):
    """`chat-server`, and the standard output that it must have written so far."""

    def __init__(self, port: int) -> None:
        super().__init__(CHAT_SERVER, str(port))
        self.port = port
        self.expected = ""
        self.wait_for("MaxFd ")
        self.listener = self._listening_descriptor()
        self.clients: list[int] = []
        self._connected = contextlib.ExitStack()

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        self._connected.close()

    def _listening_descriptor(self) -> int:
        """The descriptor whose socket listens on the port: by its inode."""
        inodes = {
            line.split()[9]
            for table in ("tcp", "tcp6")
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
            if line.split()[3] == "0A" and int(line.split()[1].rpartition(":")[2], 16) == self.port
        }
        for entry in Path(f"/proc/{self.process.pid}/fd").iterdir():
            if entry.readlink().name.removeprefix("socket:[").removesuffix("]") in inodes:
                return int(entry.name)
        raise LookupError(self.port)

    def next_descriptor(self) -> int:
        """The number that the system gives next: the lowest that is not open."""
        used = {int(entry.name) for entry in Path(f"/proc/{self.process.pid}/fd").iterdir()}
        return next(number for number in range(len(used) + 1) if number not in used)

    def expect(self, *lines: str, waits: bool = True) -> Self:
        """Wait until all of this stands on standard output, then a wait; and nothing else."""
        self.expected += "".join(line + "\n" for line in lines)
        if waits:
            highest = max([self.listener, *self.clients])
            self.expected += f"Waiting on select()...\nMaxFd {highest}\n"
        with self._changed:
            self._changed.wait_for(lambda: len(self.stdout) >= len(self.expected), 20)
        assert self.stdout == self.expected
        return self

    def connect(self) -> tuple[Client, int]:
        """A new client and its descriptor in the server."""
        descriptor = self.next_descriptor()
        client = self._connected.enter_context(Client(self.port))
        self.clients.append(descriptor)
        self.expect(f"New incoming connection on sd {descriptor}")
        return client, descriptor

    def hear(self, client: Client, descriptor: int, data: bytes, waits: bool = True) -> None:
        """The client sends, and the server tells it."""
        client.send(data)
        self.expect(
            f"Descriptor {descriptor} is readable",
            f"{len(data)} bytes received from sd {descriptor}",
            waits=waits,
        )


@pytest.fixture
def server() -> Iterator[LineServer]:
    with reserved_port() as port, LineServer(port) as server:
        server.expect()
        yield server


def receive(client: Client, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = client.socket.recv(size - len(data))
        assert more
        data += more
    return data


def test_a_line_goes_to_the_others_as_it_came_and_every_step_is_told(server: LineServer) -> None:
    ann, ann_descriptor = server.connect()
    bob, bob_descriptor = server.connect()
    eve, _ = server.connect()
    server.hear(ann, ann_descriptor, b"hello\r\n")
    assert receive(bob, 7) == receive(eve, 7) == b"hello\r\n"
    server.hear(bob, bob_descriptor, b"hi\0\xff ann\n")
    assert receive(ann, 9) == receive(eve, 9) == b"hi\0\xff ann\n"


def test_maxfd_falls_when_the_highest_leaves(server: LineServer) -> None:
    ann, ann_descriptor = server.connect()
    bob, bob_descriptor = server.connect()
    for client, descriptor in ((bob, bob_descriptor), (ann, ann_descriptor)):
        client.close()
        server.clients.remove(descriptor)
        server.expect(
            f"Descriptor {descriptor} is readable",
            f"Connection closed for sd {descriptor}",
            f"removing connection with sd {descriptor} ",
        )
    server.interrupt()
    assert server.wait() == 0
    server.expect(waits=False)


def test_a_half_closed_client_is_a_closed_one(server: LineServer) -> None:
    ann, descriptor = server.connect()
    ann.finish()
    server.clients.remove(descriptor)
    server.expect(
        f"Descriptor {descriptor} is readable",
        f"Connection closed for sd {descriptor}",
        f"removing connection with sd {descriptor} ",
    )
    assert ann.rest() == b""


def test_a_reset_removes_the_client_and_the_others_go_on(server: LineServer) -> None:
    ann, ann_descriptor = server.connect()
    bob, _ = server.connect()
    eve, eve_descriptor = server.connect()
    eve.reset()
    server.clients.remove(eve_descriptor)
    server.expect(
        f"Descriptor {eve_descriptor} is readable",
        f"removing connection with sd {eve_descriptor} ",
    )
    server.hear(ann, ann_descriptor, b"still here\r\n")
    assert receive(bob, 12) == b"still here\r\n"


def test_sigint_with_five_clients_removes_each_and_ends_with_status_0(server: LineServer) -> None:
    clients = [server.connect() for _ in range(5)]
    server.hear(*clients[2], b"the last line\r\n")
    server.interrupt()
    for client, _ in clients:
        assert client.rest() in (b"", b"the last line\r\n")
    assert server.wait() == 0
    server.expect(
        *[f"removing connection with sd {descriptor} " for _, descriptor in clients], waits=False
    )
    assert server.stderr == ""


def test_a_piece_without_a_newline_waits_for_its_end_and_no_longer_than_200_ms(
    server: LineServer,
) -> None:
    ann, ann_descriptor = server.connect()
    bob, _ = server.connect()
    server.hear(ann, ann_descriptor, b"no end")
    assert receive(bob, 6) == b"no end"
    server.expect()  # the loop woke for it and waits again


def test_lines_of_two_senders_are_not_cut_into_each_other(server: LineServer) -> None:
    ann, ann_descriptor = server.connect()
    bob, bob_descriptor = server.connect()
    eve, _ = server.connect()
    ann.send(b"first ha")
    bob.send(b"in between\n")
    ann.send(b"lf\n")
    lines = receive(eve, 22).split(b"\n")
    assert sorted(lines) == [b"", b"first half", b"in between"]
    assert ann_descriptor != bob_descriptor


def test_a_line_of_10_kb_arrives_whole_and_in_order(server: LineServer) -> None:
    ann, _ = server.connect()
    bob, _ = server.connect()
    line = b"".join(b"%07d " % number for number in range(1250)) + b"\r\n"
    ann.send(line)
    assert receive(bob, len(line)) == line


def test_what_a_leaving_client_had_not_ended_goes_out(server: LineServer) -> None:
    ann, _ = server.connect()
    bob, _ = server.connect()
    ann.send(b"last words")
    ann.close()
    assert receive(bob, 10) == b"last words"


def test_a_client_that_never_reads_hurts_nobody(server: LineServer) -> None:
    ann, _ = server.connect()
    _, descriptor = server.connect()
    bob, _ = server.connect()
    line = b"x" * 4000 + b"\n"
    for _ in range(4000):  # 16 MB: more than the systems' buffers hold
        ann.send(line)
        assert receive(bob, len(line)) == line
    server.wait_for(f"removing connection with sd {descriptor} \n")


def test_it_neither_spins_nor_prints_while_idle(server: LineServer) -> None:
    ann, _ = server.connect()
    before = processor_time(server.process.pid)
    with pytest.raises(TimeoutError):
        ann.socket.settimeout(1)
        ann.socket.recv(1)
    server.expect(waits=False)
    assert processor_time(server.process.pid) - before <= 0.02


def started(server: LineServer, *command: str, waits: int) -> "subprocess.Popen[bytes]":
    """A client program, and the server has taken it in and waits for the so-manieth time."""
    client = subprocess.Popen(
        [*command, "127.0.0.1", str(server.port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
    )
    server.wait_for("Waiting on select()", times=waits)
    return client


def test_nc_users_talk_to_each_other(server: LineServer) -> None:
    nc = require_tool("nc")
    with started(server, nc, waits=2) as ann, started(server, nc, waits=3) as bob:
        assert ann.stdin is not None
        assert bob.stdout is not None
        ann.stdin.write(b"hello from nc\n")
        assert bob.stdout.readline() == b"hello from nc\n"
        ann.kill()
        bob.kill()


def test_telnet_users_are_heard(server: LineServer) -> None:
    telnet = require_tool("telnet")
    bob, _ = server.connect()
    with started(server, telnet, waits=3) as ann:
        assert ann.stdin is not None
        ann.stdin.write(b"hello from telnet\n")
        assert receive(bob, 19) == b"hello from telnet\r\n"
        ann.kill()


@pytest.mark.parametrize(
    "arguments", [[], ["1", "2"], ["0"], ["65536"], ["x"], ["-1"], [""], ["--help"]]
)
def test_what_is_no_port_gets_the_usage(arguments: list[str]) -> None:
    done = subprocess.run([CHAT_SERVER, *arguments], capture_output=True, timeout=20, check=False)
    assert (done.stdout, done.stderr, done.returncode) == (b"Usage: server <port>\n", b"", 1)


def test_a_busy_port_is_told_as_perror_does() -> None:
    with socket.create_server(("", 0)) as taken:
        command = [CHAT_SERVER, str(taken.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, timeout=20, check=False)
    assert (done.stdout, done.returncode) == (b"", 1)
    assert done.stderr == b"bind: Address already in use\n"


def test_an_output_that_nobody_reads_any_more_does_not_end_it() -> None:
    reading, writing = os.pipe()
    with reserved_port() as port, Program(CHAT_SERVER, str(port), stdout=writing) as server:
        os.close(writing)
        os.close(reading)
        wait_until_listening(port)
        with Client(port) as ann, Client(port) as bob:
            bob.send(b"here\n")
            assert receive(ann, 5) == b"here\n"
            ann.send(b"hello\n")
            ann.send(b"again\n")
            assert receive(bob, 12) == b"hello\nagain\n"
        server.interrupt()
        assert server.wait() == 0
        assert "Traceback" not in server.stderr
