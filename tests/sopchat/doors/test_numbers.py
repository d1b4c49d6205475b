"""Frames with their numbers, for who asks (docs/frame-protocol.md, "Numbers")."""

import json
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
from hypothesis import given
from hypothesis import strategies as st
from sopchat_client import connect
from sopchat_client.protocols import FrameProtocol

from sopchat.console import Console
from sopchat.doors import Door
from sopchat.doors.frame import FrameDoor
from sopchat.doors.tcp import open_listeners
from sopchat.server import Server
from sopchat.wire.frame import ASK_NUMBERS, numbered
from tests.sopchat_client.test_chat import playing, saying
from tests.support.clients import Client
from tests.support.frames import FRAME, frame
from tests.support.programs import SOP_CHAT_CLIENT
from tests.support.programs import Server as Process
from tests.support.streams import let_in

ASKING = frame("bob", b"key" + ASK_NUMBERS)


@asynccontextmanager
async def room(history: int = 0, key: bytes = b"key") -> AsyncIterator[int]:
    """The port of a room."""
    listeners = open_listeners(0, "127.0.0.1")
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            server = Server(key, Console(None), history=history)
            doors: dict[Door, list[socket.socket]] = {FrameDoor(): listeners}
            nursery.start_soon(server.serve, doors)
            yield listeners[0].getsockname()[1]
            nursery.cancel_scope.cancel()


def test_who_asks_gets_every_frame_behind_its_number() -> None:
    with Process() as server, Client.join(server.port, "ann") as ann, Client(server.port) as bob:
        bob.send(ASKING)
        assert bob.receive() == ASKING.replace(b"number?", b"numbers")
        ann.send(frame("ann", "1"))
        server.wait_for("ann: 1")
        bob.send(frame("bob", "2"))
        assert ann.receive() == frame("bob", "2")
        ann.send(frame("ann", "3"), frame("ann", "4"))
        heard = b""
        while len(heard) < 3 * (8 + FRAME):
            heard += bob.socket.recv(65536)
        assert heard == b"".join(
            number.to_bytes(8) + frame("ann", str(number)) for number in (1, 3, 4)
        )


def test_two_who_ask_hear_one_another_with_numbers() -> None:
    with Process() as server, Client(server.port) as ann, Client(server.port) as bob:
        for client in (ann, bob):
            client.send(ASKING)
            client.receive()
        ann.send(frame("ann", "1"))
        assert bob.socket.recv(8) == (1).to_bytes(8)
        assert bob.receive() == frame("ann", "1")


def test_who_asks_behind_a_wrong_key_is_refused() -> None:
    with Process() as server, Client(server.port) as eve:
        eve.send(frame("eve", b"ke" + ASK_NUMBERS))
        assert eve.rest() == b""


def test_who_writes_something_else_behind_the_nul_gets_it_back_and_no_numbers() -> None:
    with Process() as server, Client.join(server.port, "ann") as ann:
        for behind in (b"\0", b"\0number", b"\0numbers", b"\0x" + ASK_NUMBERS):
            offer = frame("bob", b"key" + behind)
            with Client(server.port) as bob:
                bob.send(offer)
                assert bob.receive() == offer
                ann.send(frame("ann", "hi"))
                assert bob.receive() == frame("ann", "hi")


async def test_the_client_tells_the_numbers_of_history_and_of_what_is_said_then() -> None:
    async with room(history=2) as port, connect("127.0.0.1", port, "ann", "key") as ann:
        await ann.send("1", "2", "3")
        async with connect("127.0.0.1", port, "bob", "key", "numbered") as bob:
            heard = [await anext(bob), await anext(bob)]
            await ann.send("4")
            heard.append(await anext(bob))
            assert [(message.sequence, message.text) for message in heard] == [
                (2, "2"),
                (3, "3"),
                (4, "4"),
            ]
            assert heard[0].raw == frame("ann", "2")


async def test_a_server_without_numbers_is_heard_without_them() -> None:
    async def handler(stream: trio.SocketStream) -> None:
        await let_in(stream)
        await stream.send_all(frame("ann", "hi"))
        async for _ in stream:
            pass

    async with playing(handler) as port, connect("127.0.0.1", port, "bob", "k", "numbered") as bob:
        message = await anext(bob)
        assert (message.text, message.sequence) == ("hi", None)


async def test_a_key_that_leaves_no_room_to_ask_still_fits() -> None:
    async with (
        playing(saying(frame("ann", "hi"))) as port,
        connect("127.0.0.1", port, "bob", "k" * 441, "numbered") as bob,
    ):
        assert (await anext(bob)).sequence is None


def test_json_shows_the_numbers() -> None:
    with Process("--history", "5") as server:
        with Client.join(server.port, "ann") as ann:
            ann.send(frame("ann", "hello"))
            server.wait_for("ann: hello")
        where = ["127.0.0.1", str(server.port), "bob", "key"]
        done = subprocess.run(
            [SOP_CHAT_CLIENT, "--json", "--protocol", "numbered", *where],
            input=b"",
            capture_output=True,
            timeout=20,
            check=True,
        )
        assert json.loads(done.stdout) == {"name": "ann", "text": "hello", "sequence": 1}


@given(
    st.lists(st.binary(min_size=FRAME, max_size=FRAME), max_size=5),
    st.integers(1, 2**63),
    st.data(),
)
def test_numbered_frames_are_understood_however_they_are_cut(
    frames: list[bytes], first: int, data: st.DataObject
) -> None:
    stream = numbered(b"".join(frames), first)
    protocol = FrameProtocol(ask_numbers=True)
    protocol.expect_numbers()
    heard = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        heard += protocol.feed(stream[:size])
        stream = stream[size:]
    assert [message.raw for message in heard] == frames
    assert [message.sequence for message in heard] == list(range(first, first + len(frames)))


async def test_a_key_that_reads_like_the_question_is_a_key() -> None:
    async with (
        room(key=b"number?x") as port,
        connect("127.0.0.1", port, "ann", "number?x", "numbered") as ann,
        connect("127.0.0.1", port, "bob", "number?x", "numbered") as bob,
    ):
        await ann.send("hi")
        assert (await anext(bob)).sequence == 1
