"""Stage 3: many clients, everything but the endings. Stage 4 must do all of this as well."""

import contextlib
import subprocess
from collections.abc import Iterator
from functools import partial

import pytest
import trio

from sopchat.console import Console
from sopchat.doors.frame import FrameDoor
from sopchat.limits import Limits
from sopchat.room import Room
from sopchat.stages import stage3
from tests.support.clients import Client
from tests.support.connection import PlayedConnection
from tests.support.frames import frame, frames
from tests.support.programs import Server, require_tool


@pytest.fixture(params=["3", "4"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server("--stage", request.param) as server:
        yield server


@contextlib.contextmanager
def members(server: Server, *names: str) -> Iterator[list[Client]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Client.join(server.port, name)) for name in names]


@pytest.mark.sentence("S5", "S6", "A3")
def test_two_are_members_at_once(server: Server) -> None:
    with members(server, "ann", "bob"):
        server.wait_for("bob joined (2/4)")


@pytest.mark.sentence("A5", "W1")
def test_a_frame_reaches_every_other_member_byte_for_byte(server: Server) -> None:
    with members(server, "ann", "bob", "eve") as (ann, bob, eve):
        ann.send(frame("ann", "hello"))
        assert bob.receive() == frame("ann", "hello")
        assert eve.receive() == frame("ann", "hello")


@pytest.mark.sentence("A6")
def test_its_sender_gets_nothing(server: Server) -> None:
    with members(server, "ann", "bob") as (ann, bob):
        ann.send(frame("ann", "hello"))
        assert bob.receive() == frame("ann", "hello")
        bob.send(frame("bob", "the next that ann gets"))
        assert ann.receive() == frame("bob", "the next that ann gets")


def test_each_of_four_reaches_the_other_three(server: Server) -> None:
    with members(server, "a", "b", "c", "d") as clients:
        for sender in clients:
            sender.send(frame("x", "hello"))
            for other in clients:
                if other is not sender:
                    assert other.receive() == frame("x", "hello")


@pytest.mark.sentence("A2", "A5")
def test_names_keys_and_messages_are_on_the_console(server: Server) -> None:
    with members(server, "ann") as (ann,):
        server.wait_for("ann the key 'key', which fits")
        ann.send(frame("ann", "for the console"))
        server.wait_for("ann: for the console\n")


@pytest.mark.sentence("E1", "E2")
def test_a_fifth_is_closed_without_a_byte_and_the_four_still_talk(server: Server) -> None:
    with members(server, "a", "b", "c", "d") as clients:
        with Client(server.port) as fifth:
            assert fifth.rest() == b""
        clients[0].send(frame("a", "still here"))
        assert [client.receive() for client in clients[1:]] == [frame("a", "still here")] * 3


def test_twenty_frames_each_way_keep_the_order_of_their_sender(server: Server) -> None:
    with members(server, "ann", "bob") as (ann, bob):
        for one, other in zip(frames("ann", 20), frames("bob", 20), strict=True):
            ann.send(one)
            bob.send(other)
        assert bob.receive_many(20) == frames("ann", 20)
        assert ann.receive_many(20) == frames("bob", 20)


@pytest.mark.sentence("A4", "A8")
@pytest.mark.parametrize("key", ["", "ke", "keys", "KEY", "9000"])
def test_a_wrong_key_is_closed_without_a_byte_and_harms_nobody(server: Server, key: str) -> None:
    with members(server, "ann", "bob") as (ann, bob):
        with Client(server.port) as eve:
            eve.send(frame("eve", key))
            assert eve.rest() == b""
        ann.send(frame("ann", "unharmed"))
        assert bob.receive() == frame("ann", "unharmed")


@pytest.mark.sentence("E3")
def test_after_six_wrong_keys_four_members_still_find_room(server: Server) -> None:
    for _ in range(6):
        with Client(server.port) as client:
            client.send(frame("eve", "wrong"))
            assert client.rest() == b""
    with members(server, "a", "b", "c", "d") as clients:
        clients[3].send(frame("d", "all here"))
        assert clients[0].receive() == frame("d", "all here")


@pytest.mark.sentence("E4")
def test_who_has_not_authenticated_hears_nothing(server: Server) -> None:
    with members(server, "ann", "bob") as (ann, bob), Client(server.port) as silent:
        ann.send(frame("ann", "for members"))
        assert bob.receive() == frame("ann", "for members")
        # The first that it ever hears is its own echo.
        silent.send(frame("late", "key"))
        assert silent.receive() == frame("late", "key")


@pytest.mark.sentence("W5")
def test_a_frame_in_512_pieces_is_one_frame(server: Server) -> None:
    with members(server, "ann", "bob") as (ann, bob):
        for byte in frame("ann", "piece by piece"):
            ann.send(bytes([byte]))
        assert bob.receive() == frame("ann", "piece by piece")


@pytest.mark.sentence("W5")
def test_an_authentication_frame_in_pieces_counts_and_stalls_nobody(server: Server) -> None:
    with members(server, "ann", "bob") as (ann, bob), Client(server.port) as slow:
        offer = frame("slow", "key")
        slow.send(offer[:300])
        ann.send(frame("ann", "meanwhile"))
        assert bob.receive() == frame("ann", "meanwhile")
        slow.send(offer[300:])
        assert slow.receive() == offer


@pytest.mark.sentence("W6")
def test_200_frames_in_one_send_are_200_frames(server: Server) -> None:
    with members(server, "ann", "bob") as (ann, bob):
        ann.send(*frames("ann", 200))
        assert bob.receive_many(200) == frames("ann", 200)


@pytest.mark.sentence("W6")
def test_frames_sent_together_with_the_authentication_are_relayed(server: Server) -> None:
    with members(server, "bob") as (bob,), Client(server.port) as ann:
        ann.send(frame("ann", "key"), *frames("ann", 3))
        assert ann.receive() == frame("ann", "key")
        assert bob.receive_many(3) == frames("ann", 3)


@pytest.mark.sentence("W5")
def test_half_a_frame_of_a_member_stalls_nobody(server: Server) -> None:
    with members(server, "ann", "bob", "eve") as (ann, bob, eve):
        eve.send(frame("eve", "half")[:200])
        ann.send(frame("ann", "goes on"))
        assert bob.receive() == frame("ann", "goes on")
        assert eve.receive() == frame("ann", "goes on")
        eve.send(frame("eve", "half")[200:])
        assert ann.receive() == frame("eve", "half")


@pytest.mark.sentence("W3", "W4")
@pytest.mark.parametrize(
    "sent",
    [
        b"n" * 64 + b"t" * 448,
        frame(b"ann\0behind the NUL", b"text\0behind the NUL"),
        frame("ann", "%n%s%x {0} \\ ' \" $(reboot)"),
        bytes(range(256)) * 2,
        bytes(512),
        b"\xff" * 512,
    ],
)
def test_any_512_bytes_are_relayed_untouched(server: Server, sent: bytes) -> None:
    with members(server, "ann", "bob") as (ann, bob):
        ann.send(sent)
        assert bob.receive() == sent


@pytest.mark.sentence("W3")
def test_a_name_and_a_key_may_fill_their_fields() -> None:
    name, key = b"n" * 64, "k" * 448
    with Server(key=key) as server:
        Client.join(server.port, name, key).close()
        with Client(server.port) as near_miss:
            near_miss.send(name + b"k" * 447 + b"\0")
            assert near_miss.rest() == b""


@pytest.mark.sentence("A5", "W1", "W2")
def test_a_client_of_printf_and_nc_is_heard(server: Server) -> None:
    """Written from the specification alone, without a line of Python in it."""
    require_tool("nc")
    with members(server, "ann") as (ann,):
        pad = "head -c %d /dev/zero"
        script = (
            f"{{ printf sh; {pad % 62}; printf key; {pad % 445};"
            f"  printf sh; {pad % 62}; printf 'from the shell'; {pad % 434}; }}"
            f" | nc -q 1 127.0.0.1 {server.port} | head -c 512 | tr -d '\\0'"
        )
        shell = subprocess.run(["sh", "-c", script], capture_output=True, timeout=20, check=True)
        assert shell.stdout == b"shkey"
        assert ann.receive() == frame("sh", "from the shell")


class Endless(PlayedConnection):
    """There is always one more frame to be read."""

    def receive_now(self, most: int) -> bytes:
        return frame("ann", "key")[:most]

    async def wait_readable(self) -> None:
        await trio.lowlevel.checkpoint()


async def test_who_sends_without_end_leaves_the_others_their_turn(nursery: trio.Nursery) -> None:
    talk = partial(stage3._talk, Endless(), FrameDoor(), Room(4), b"key", Console(None), Limits())
    nursery.start_soon(talk)
    for _ in range(10):
        await trio.lowlevel.checkpoint()
    nursery.cancel_scope.cancel()
