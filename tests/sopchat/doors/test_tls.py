"""The encrypted connection over a real socket, and a room of them."""

import errno
import itertools
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import attrs
import pytest
import trio
from sopchat_client.tls import TlsStream
from trio.testing import MockClock, wait_all_tasks_blocked

from sopchat.doors import Door
from sopchat.doors.frame import FrameDoor
from sopchat.doors.line import LineDoor
from sopchat.doors.talk import TalkDoor
from sopchat.doors.tcp import SocketConnection
from sopchat.doors.tls import TlsConnection
from sopchat.limits import TLS_FAREWELL
from sopchat.wire.tls import ALERT, TlsCodec
from tests.support.frames import frame, frames
from tests.support.streams import receive
from tests.support.tls import client_side, encrypted_room, server_side, until

Client = trio.SSLStream[trio.SocketStream]

PIECE = bytes(range(256)) * 4096  # more than a socket takes at once


@attrs.define
class Below(SocketConnection):
    """Counts what is asked of the socket."""

    reads: int = attrs.field(default=0, init=False)

    def count_reads(self) -> None:
        read = self.receive_now

        def counted(most: int) -> bytes:
            self.reads += 1
            return read(most)

        self.receive_now = counted


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[TlsConnection, Client, Below]]:
    """A connection and its client that have shaken hands."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    below = Below(ours, "192.0.2.1:5000")
    below.count_reads()
    connection = TlsConnection(below, server_side())
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(theirs))
    client = trio.SSLStream(stream, client_side(), server_hostname="localhost")
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connection.ready)
            await client.do_handshake()
        yield connection, client, below
    connection.close()
    theirs.close()


async def exactly(client: Client, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        data += await client.receive_some(size - len(data))
    return bytes(data)


def take_now(connection: TlsConnection) -> int:
    """Send what the socket takes without waiting; how much of PIECE that is."""
    taken = 0
    with pytest.raises(BlockingIOError):
        while True:
            taken += connection.send_now(PIECE[taken:])
    return taken


async def test_what_the_socket_took_in_part_is_not_sent_twice() -> None:
    async with connected() as (connection, client, _), trio.open_nursery() as nursery:
        taken = take_now(connection)
        assert 0 < taken < len(PIECE)

        async def send_the_rest() -> None:
            rest = memoryview(PIECE)[taken:]
            while rest:
                rest = rest[await connection.send([rest[:100], rest[100:]]) :]

        nursery.start_soon(send_the_rest)
        assert await exactly(client, len(PIECE)) == PIECE


async def test_sending_that_was_cancelled_gives_account_the_next_time() -> None:
    async with connected() as (connection, client, _), trio.open_nursery() as nursery:
        taken = take_now(connection)

        async def send_and_be_cancelled() -> None:
            with scope:
                await connection.send([memoryview(PIECE)[taken:]])

        for _ in range(3):
            scope = trio.CancelScope()
            nursery.start_soon(send_and_be_cancelled)
            await wait_all_tasks_blocked()
            scope.cancel()
            await wait_all_tasks_blocked()
            assert scope.cancelled_caught

        async def send_the_rest() -> None:
            sent = taken
            while sent < len(PIECE):
                sent += await connection.send([memoryview(PIECE)[sent:]])

        nursery.start_soon(send_the_rest)
        assert await exactly(client, len(PIECE)) == PIECE


async def test_what_is_not_confirmed_falls_while_the_client_reads() -> None:
    async with connected() as (connection, client, _):
        assert connection.unacknowledged() == 0
        taken = take_now(connection)
        before = connection.unacknowledged()
        assert before >= taken
        await exactly(client, taken // 2)
        assert connection.unacknowledged() < before


async def test_one_receive_is_one_read_of_the_socket_and_the_rest_needs_none() -> None:
    async with connected() as (connection, client, below):
        await client.send_all(b"x" * 40_000)
        await connection.wait_readable()
        reads = below.reads
        assert connection.receive_now(10_000) == b"x" * 10_000
        assert connection.receive_now(10_000) == b"x" * 10_000
        assert below.reads == reads + 1
        with trio.fail_after(1):  # the socket itself has nothing any more
            await connection.wait_readable()


async def test_half_a_record_is_nothing_yet() -> None:
    async with connected() as (connection, client, _):
        await client.send_all(b"first")
        await connection.wait_readable()
        assert connection.receive_now(100) == b"first"
        with pytest.raises(BlockingIOError):
            connection.receive_now(100)
        await client.transport_stream.send_all(b"\x17\x03\x03\x00\x20half")
        await connection.wait_readable()
        with pytest.raises(BlockingIOError):
            connection.receive_now(100)


async def test_who_takes_none_of_the_answers_it_asks_for_fills_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with connected() as (connection, client, _):
        take_now(connection)
        # What OpenSSL does for a client that asks for new keys again and again.
        monkeypatch.setattr(TlsCodec, "outgoing", lambda codec: b"answer" * 1000)
        await client.send_all(b"x" * 1000)
        await connection.wait_readable()
        with pytest.raises(OSError, match="answers") as caught:
            for _ in range(100):
                connection.receive_now(1)
        assert caught.value.errno == errno.ENOBUFS


async def test_who_reads_late_still_gets_whole_records_and_a_goodbye() -> None:
    async with connected() as (connection, client, _):
        taken = take_now(connection)
        connection.close()
        connection.close()
        data = bytearray()
        while piece := await client.receive_some():  # a stream that is cut would raise
            data += piece
        assert taken < len(data) < len(PIECE)
        assert data == PIECE[: len(data)]


async def test_who_never_reads_is_closed_a_while_later(autojump_clock: MockClock) -> None:
    async with connected() as (connection, _, below):
        take_now(connection)
        connection.close()
        assert below.descriptor != -1
        await trio.sleep(TLS_FAREWELL - 1)
        assert below.descriptor != -1
        await trio.sleep(2)
        assert below.descriptor == -1


async def test_nothing_is_sent_before_hands_are_shaken() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    connection = TlsConnection(SocketConnection(ours, "192.0.2.1:5000"), server_side())
    with pytest.raises(BlockingIOError):
        connection.send_now(b"the room is full")
    connection.close()
    with theirs:
        assert theirs.recv(100) == b""


@pytest.mark.parametrize("title", ["frame", "line", "talk"])
async def test_every_door_may_be_encrypted(title: str) -> None:
    doors: list[Door] = [FrameDoor(), LineDoor(), TalkDoor(lambda: iter(()))]
    async with encrypted_room(doors) as room:
        ann = await room.join("ann")
        lin = await room.shake_hands(1)
        await lin.send_all(b"lin\r\nkey\r\n")
        await until(lin, b"Welcome.\r\n")
        tom = await room.shake_hands(2)
        await tom.send_all(b"tom says: key\n")
        await room.until_told("tom joined")
        say = {
            "frame": (ann, frame("ann", "hello")),
            "line": (lin, b"hello\r\n"),
            "talk": (tom, b"tom says: hello\n"),
        }
        teller, said = say[title]
        await teller.send_all(said)
        if teller is not ann:
            assert (await receive(ann, 1))[0][64:].rstrip(b"\0") == b"hello"
        if teller is not lin:
            await until(lin, b": hello\r\n")
        if teller is not tom:
            await until(tom, b" says: hello\n")


async def test_all_get_a_flood_in_one_order() -> None:
    count = 400
    async with encrypted_room() as room, trio.open_nursery() as nursery:
        names = ("a", "b", "c", "d")
        members = {name: await room.join(name) for name in names}
        heard: dict[str, list[bytes]] = {}

        async def hear(name: str) -> None:
            heard[name] = await receive(members[name], 3 * count)

        for name in names:
            nursery.start_soon(members[name].send_all, b"".join(frames(name, count)))
            nursery.start_soon(hear, name)
        while len(heard) < len(names):
            await trio.sleep(0.001)
        for name in names:
            for other in names:
                if other != name:
                    assert [f for f in heard[name] if f[:1] == other.encode()] == frames(
                        other, count
                    )
        for one, two in itertools.combinations(names, 2):
            mine = {one.encode(), two.encode()}
            first, second = ([f for f in heard[name] if f[:1] not in mine] for name in (one, two))
            assert first == second


async def test_a_stuck_member_is_cut_as_too_slow_and_the_others_go_on() -> None:
    async with encrypted_room(stall_timeout=0.3) as room:
        ann, _ = await room.join("ann"), await room.join("stuck")
        block = b"".join(frames("ann", 128))
        while not any("too slow" in line for line in room.lines):
            await ann.send_all(block)
        assert "stuck left (1/4): too slow for what the others say" in room.lines
        bob = await room.join("bob")
        await bob.send_all(frame("bob", "still here"))
        assert await receive(ann, 1) == [frame("bob", "still here")]


async def test_a_handshake_that_hangs_ends_when_its_time_is_over() -> None:
    async with encrypted_room(auth_timeout=0.1) as room:
        silent, half = await room.connect(), await room.connect()
        await half.send_all(b"\x16\x03\x01\x02\x00\x01")
        for stream in (silent, half):
            assert await stream.receive_some() == b""
        told = [line.partition(" did ")[2] for line in room.lines if " did " in line]
        assert told == ["not join: did not authenticate in time"] * 2


async def test_who_does_not_encrypt_gets_an_alert_and_is_told() -> None:
    async with encrypted_room() as room:
        ann = await room.join("ann")
        plain = await room.connect()
        await plain.send_all(frame("bob", "key"))
        answer = await plain.receive_some()
        assert answer.startswith(ALERT)
        assert await plain.receive_some() == b""
        await room.until_told("does not speak TLS as it is spoken here: wrong version number")
        eve = await room.join("eve")
        await eve.send_all(frame("eve", "hello"))
        assert await receive(ann, 1) == [frame("eve", "hello")]


async def test_who_does_not_trust_the_certificate_is_told() -> None:
    async with encrypted_room() as room:
        context = ssl.create_default_context()
        stream = TlsStream.over(await room.connect(), context, "localhost")
        with pytest.raises(ssl.SSLCertVerificationError):
            await stream.handshake()
        await room.until_told("did not join: does not trust the certificate")


@pytest.mark.parametrize(
    ("linger", "words"),
    [(True, "connection reset (ECONNRESET)"), (False, "closed the connection")],
)
async def test_a_connection_that_ends_in_its_handshake_costs_nobody(
    linger: bool, words: str
) -> None:
    async with encrypted_room() as room:
        stream = await room.connect()
        await stream.send_all(b"\x16\x03\x01")
        if linger:
            option = struct.pack("ii", 1, 0)
            await wait_all_tasks_blocked()
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, option)
        stream.socket.close()
        await room.until_told(f"did not join: {words}")


async def test_a_full_room_closes_before_any_handshake() -> None:
    async with encrypted_room(max_clients=1) as room:
        await room.join("ann")
        assert await (await room.connect()).receive_some() == b""
        assert room.lines[-1].endswith("did not join: the room is full")


async def test_who_leaves_with_or_without_a_goodbye_has_closed_the_connection() -> None:
    async with encrypted_room() as room:
        ann, bob = await room.join("ann"), await room.join("bob")
        with trio.move_on_after(5):
            await ann.aclose()
        await room.until_told("ann left (1/4): closed the connection")
        bob.transport_stream.socket.close()
        await room.until_told("bob left (0/4): closed the connection")


async def test_a_record_that_was_changed_on_the_way_ends_the_connection() -> None:
    async with encrypted_room() as room:
        ann = await room.join("ann")
        await ann.transport_stream.send_all(b"\x17\x03\x03\x00\x20" + bytes(32))
        await room.until_told("ann left (0/4): does not speak TLS as it is spoken here: decryption")


async def test_a_farewell_is_not_taken_for_what_was_given_up_before() -> None:
    async with connected() as (connection, client, _):
        taken = take_now(connection)
        with trio.move_on_after(0.05):
            await connection.send([memoryview(PIECE)[taken:]])
        data = bytearray()

        async def read() -> None:
            while len(data) < taken or not data.endswith(b"farewell"):
                data.extend(await client.receive_some())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            while True:
                try:
                    assert connection.send_now(b"farewell") == 8
                    break
                except BlockingIOError:
                    await trio.sleep(0)
        assert bytes(data[:-8]) == PIECE[: len(data) - 8]


async def test_only_so_many_are_kept_to_say_goodbye(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sopchat.doors.tls.TLS_GOODBYES", 1)
    async with connected() as (one, _, below), connected() as (other, _, below_other):
        for connection in (one, other):
            take_now(connection)
            connection.close()
        assert below.descriptor != -1
        assert below_other.descriptor == -1
