"""One room, many doors: the real command, with members at all of them."""

import contextlib
import re
import subprocess
import threading
from collections.abc import Iterator

import attrs
import pytest

from tests.support.clients import PATIENCE, Client
from tests.support.frames import frame
from tests.support.programs import SOP_CHAT, Program, Server, require_tool, reserved_port

GREETING = b"Thank you for connecting"


@attrs.define
class House:
    """A server with three doors."""

    server: Server
    ports: dict[str, int]

    def connect(self, door: str) -> Client:
        return Client(self.ports[door])

    def join(self, door: str, name: str) -> Client:
        """A member by that door, and all that was said to it so far read."""
        client = self.connect(door)
        if door == "frame":
            client.send(frame(name, "key"))
            read(client, 512)
        elif door == "line":
            client.send(f"{name}\r\nkey\r\n".encode())
            read_until(client, b"Welcome.\r\n")
        else:
            client.send(f"{name} says: key".encode())
            read(client, len(GREETING))
        self.server.wait_for(f"{name} joined")
        return client


@contextlib.contextmanager
def open_house(*options: str) -> Iterator[House]:
    with (
        reserved_port() as line,
        reserved_port() as talk,
        Server("--line", str(line), "--talk", str(talk), *options) as server,
    ):
        yield House(server, {"frame": server.port, "line": line, "talk": talk})


@pytest.fixture
def house() -> Iterator[House]:
    with open_house() as house:
        yield house


def read(client: Client, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = client.socket.recv(size - len(data))
        assert more, f"closed after {data!r}"
        data += more
    return data


def read_until(client: Client, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        more = client.socket.recv(1)
        assert more, f"closed after {data!r}"
        data += more
    return data


DOORS = ["frame", "line", "talk"]


def test_what_a_member_says_reaches_the_members_of_all_doors(house: House) -> None:
    with (
        house.join("frame", "ann") as ann,
        house.join("line", "lin") as lin,
        house.join("talk", "tom") as tom,
    ):
        ann.send(frame("ann", "grüß dich"))
        assert read_until(lin, b"\n") == "ann: grüß dich\r\n".encode()
        assert read_until(tom, b"\n") == "ann says: grüß dich\n".encode()
        lin.send(b"from telnet\r\n")
        assert ann.receive() == frame("lin", "from telnet")
        assert read_until(tom, b"\n") == b"lin says: from telnet\n"
        tom.send(b"tom says: from the course")
        assert ann.receive() == frame("tom", "from the course")
        assert read_until(lin, b"\n") == b"tom: from the course\r\n"
        house.server.wait_for("tom: from the course\n")


def test_between_clients_of_one_door_the_bytes_go_through_as_they_came() -> None:
    raw = b"\xff\x00 \x1b[2J raw"
    with open_house("--max-clients", "6") as house, contextlib.ExitStack() as stack:
        members = {
            (door, number): stack.enter_context(house.join(door, f"{door}{number}"))
            for door in DOORS
            for number in range(2)
        }
        members["line", 0].send(raw + b"\n")
        assert read(members["line", 1], len(raw) + 1) == raw + b"\n"
        assert members["frame", 0].receive() == frame("line0", raw.replace(b"\0", b"\\x00"))
        shown = b"line0 says: \\xff\\x00 \\x1b[2J raw\n"
        assert read_until(members["talk", 0], b"\n") == shown
        members["talk", 0].send(raw)
        assert read_until(members["talk", 1], b"\n") == shown
        assert read(members["talk", 1], len(raw)) == raw


def test_a_text_over_448_bytes_is_several_frames_cut_between_characters(house: House) -> None:
    with house.join("frame", "ann") as ann, house.join("line", "lin") as lin:
        lin.send(("ü" * 300 + "\r\n").encode())
        assert ann.receive_many(2) == [frame("lin", "ü" * 224), frame("lin", "ü" * 76)]


def test_who_lists_the_members_of_all_doors(house: House) -> None:
    with house.join("frame", "ann") as ann, house.join("talk", "tom") as tom:
        tom.send(b"/who:")
        answer = b"2 clients connected.\n"
        assert read(tom, len(answer)) == answer
        lines = {read_until(tom, b"\n").split()[0] for _ in range(2)}
        assert lines == {b"ann", b"tom"}
        tom.send(b"tom says: not forwarded before")
        assert ann.receive() == frame("tom", "not forwarded before")


@pytest.mark.parametrize(
    ("door", "offer", "told"),
    [
        ("frame", frame("eve", "wrong"), b""),
        ("line", b"eve\r\nwrong\r\n", b"Your name: The key: You are disconnected: wrong key.\r\n"),
        ("line", b"n" * 65 + b"\nkey\n", b"You are disconnected: what it offers cannot be"),
        ("talk", b"eve says: wrong", GREETING + b"You are disconnected: wrong key.\n"),
    ],
)
def test_the_key_holds_at_every_door(house: House, door: str, offer: bytes, told: bytes) -> None:
    with house.join("frame", "ann") as ann, house.connect(door) as eve:
        eve.send(offer)
        assert told in eve.rest()
        with house.join("line", "lin") as lin:
            lin.send(b"unharmed\n")
            assert ann.receive() == frame("lin", "unharmed")


@pytest.mark.parametrize("door", DOORS)
def test_a_full_room_is_full_at_every_door(door: str) -> None:
    with open_house("--max-clients", "1") as house, house.join("talk", "tom"):
        with house.connect(door) as late:
            told = late.rest()
        assert told.startswith(
            b"" if door == "frame" else b"You are disconnected: the room is full."
        )


@pytest.mark.parametrize("door", DOORS)
def test_who_does_not_authenticate_in_time_is_closed_at_every_door(door: str) -> None:
    with open_house("--auth-timeout", "0.3") as house, house.connect(door) as silent:
        told = silent.rest()
        assert (b"did not authenticate in time" in told) == (door != "frame")


@pytest.mark.parametrize("door", ["line", "talk"])
@pytest.mark.parametrize("how", ["close", "reset", "finish"])
def test_who_leaves_within_a_line_or_rudely_hurts_nobody(house: House, door: str, how: str) -> None:
    with house.join("frame", "ann") as ann, house.join("line", "lin") as lin:
        for number in range(5):
            guest = house.join(door, f"guest{number}")
            guest.send(b"half a li")
            getattr(guest, how)()
            house.server.wait_for(f"guest{number} left")
            guest.close()
        # A reset may destroy what was on its way; what comes, comes whole.
        lin.send(b"the end\n")
        while (received := ann.receive()) != frame("lin", "the end"):
            assert received.rstrip(b"\0").endswith(b"half a li")


@pytest.mark.parametrize("door", ["line", "talk"])
def test_who_never_reads_is_cut_and_the_others_miss_nothing(house: House, door: str) -> None:
    with (
        house.join("frame", "ann") as ann,
        house.join("frame", "bob") as bob,
        house.join(door, "stuck"),
    ):
        for number in range(200):  # 20 MB of text: more than the systems' buffers and the mark
            sent = [frame("ann", f"{number} {'x' * 440}")] * 256
            ann.send(*sent)
            assert bob.receive_many(256) == sent
        house.server.wait_for("stuck left (2/4): too slow")


TOKEN = re.compile(rb"([flt]\d)\.(\d+);")


@attrs.define
class Stormer:
    """A member that sends tokens and collects those of the others, in a thread each."""

    door: str
    name: str
    client: Client
    count: int
    wanted: int = 0
    received: list[tuple[bytes, int]] = attrs.field(factory=list)
    seen: threading.Condition = attrs.field(factory=threading.Condition)

    def send(self, witness: "Stormer") -> None:
        if self.door == "frame":
            frames = [frame(self.name, f"{self.name}.{n};") for n in range(self.count)]
            self.client.send(*frames)
        elif self.door == "line":
            self.client.send(b"".join(b"%s.%d;\r\n" % (self.id, n) for n in range(self.count)))
        else:  # a read is a message: the next is sent when the last has been seen
            for number in range(self.count):
                self.client.send(b"%s says: %s.%d;" % (self.id, self.id, number))
                witness.wait_for(self.id, number)

    @property
    def id(self) -> bytes:
        return self.name.encode()

    def wait_for(self, name: bytes, number: int) -> None:
        with self.seen:
            assert self.seen.wait_for(lambda: (name, number) in self.received[-8000:], PATIENCE)

    def collect(self) -> None:
        rest = b""
        while len(self.received) < self.wanted:
            more = self.client.socket.recv(65536)
            assert more, f"{self.name} was disconnected"
            rest += more
            end = 0
            with self.seen:
                for match in TOKEN.finditer(rest):
                    self.received.append((match[1], int(match[2])))
                    end = match.end()
                self.seen.notify_all()
            rest = rest[end:]


def test_members_of_all_doors_flood_and_see_one_order_and_lose_nothing() -> None:
    counts = {"frame": 1500, "line": 1500, "talk": 100}
    with open_house("--max-clients", "6") as house, contextlib.ExitStack() as stack:
        stormers = [
            Stormer(
                door,
                f"{door[0]}{number}",
                stack.enter_context(house.join(door, f"{door[0]}{number}")),
                counts[door],
            )
            for door in DOORS
            for number in range(2)
        ]
        total = sum(stormer.count for stormer in stormers)
        threads = []
        for stormer in stormers:
            stormer.wanted = total - stormer.count
            witness = stormers[0] if stormer is not stormers[0] else stormers[1]
            threads += [
                threading.Thread(target=stormer.collect),
                threading.Thread(target=stormer.send, args=(witness,)),
            ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(2 * PATIENCE)
            assert not thread.is_alive()
    for one in stormers:
        for other in stormers:
            own = [number for name, number in one.received if name == other.id]
            assert own == ([] if one is other else list(range(other.count)))
            apart = {one.id, other.id}
            assert [token for token in one.received if token[0] not in apart] == [
                token for token in other.received if token[0] not in apart
            ]


def test_two_doors_cannot_have_one_port() -> None:
    with (
        reserved_port() as port,
        Program(SOP_CHAT, str(port), "key", "--line", str(port)) as program,
    ):
        assert program.wait() == 1
        assert f"--line cannot have port {port}: the room has it" in program.stderr


def test_the_doors_are_not_for_the_early_stages() -> None:
    with Program(SOP_CHAT, "9000", "key", "--stage", "3", "--line", "9001") as program:
        assert program.wait() == 1
        assert "--line belongs to the whole room, not to a stage" in program.stderr


def test_nc_chats_through_the_line_door(house: House) -> None:
    nc = require_tool("nc")
    with house.join("frame", "ann") as ann:
        command = [nc, "127.0.0.1", str(house.ports["line"])]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        ) as shell:
            assert shell.stdin is not None
            assert shell.stdout is not None
            shell.stdin.write(b"shell\nkey\n")
            house.server.wait_for("shell joined")
            shell.stdin.write(b"hello from nc\n")
            assert ann.receive() == frame("shell", "hello from nc")
            ann.send(frame("ann", "hello shell"))
            told = b""
            while not told.endswith(b"ann: hello shell\r\n"):
                told += shell.stdout.read(1)
            assert told == b"Your name: The key: Welcome.\r\nann: hello shell\r\n"
            shell.kill()


def test_telnet_chats_through_the_line_door(house: House) -> None:
    telnet = require_tool("telnet")
    with house.join("frame", "ann") as ann:
        command = [telnet, "127.0.0.1", str(house.ports["line"])]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        ) as shell:
            assert shell.stdin is not None
            shell.stdin.write(b"shell\nkey\n")
            house.server.wait_for("shell joined")
            shell.stdin.write(b"hello from telnet\n")
            assert ann.receive() == frame("shell", "hello from telnet")
            shell.kill()
