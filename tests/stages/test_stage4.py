"""Stage 4: the endings. The real command, in a real process."""

import contextlib
import time
from collections.abc import Iterator

import pytest

from tests.support.clients import Client
from tests.support.frames import FRAME, frame, frames
from tests.support.programs import Server, eventually


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@contextlib.contextmanager
def members(server: Server, *names: str) -> Iterator[list[Client]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Client.join(server.port, name)) for name in names]


@pytest.mark.sentence("E10", "E14", "S6")
def test_sigint_while_idle_ends_it_with_status_0(server: Server) -> None:
    server.interrupt()
    assert server.wait() == 0
    assert server.stderr == ""


@pytest.mark.sentence("E10", "E14")
def test_sigint_with_members_closes_all_and_ends_at_once(server: Server) -> None:
    with members(server, "ann", "bob", "eve") as clients, Client(server.port) as silent:
        clients[0].send(frame("ann", "half")[:100])
        silent.send(b"half")
        server.interrupt()
        start = time.monotonic()
        for client in [*clients, silent]:
            assert client.rest() == b""
        assert server.wait() == 0
        assert time.monotonic() - start < 5
    assert server.stdout.count("the server is stopping") == 4
    assert server.stderr == ""


@pytest.mark.sentence("E14")
def test_sigint_ends_it_though_a_member_never_reads(server: Server) -> None:
    with members(server, "ann", "stuck") as (ann, _):
        ann.socket.settimeout(0.3)
        with pytest.raises(TimeoutError):
            while True:
                ann.send(*frames("ann", 500))
        server.interrupt()
        assert server.wait() == 0


@pytest.mark.sentence("E7", "E9", "E11")
@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("close", "closed the connection"),
        ("finish", "closed the connection"),
        ("reset", "connection reset (ECONNRESET)"),
    ],
)
def test_a_members_place_is_free_when_it_has_gone(server: Server, how: str, said: str) -> None:
    with members(server, "a", "b", "c") as clients:
        for round_ in range(1, 4):
            with Client.join(server.port, "guest") as guest:
                getattr(guest, how)()
                server.wait_for(f"guest left (3/4): {said}", times=round_)
        clients[0].send(frame("a", "still here"))
        assert clients[2].receive() == frame("a", "still here")


@pytest.mark.sentence("E13")
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_half_frame_at_the_end_is_not_relayed_and_the_console_says_so(
    server: Server, how: str
) -> None:
    with members(server, "ann", "bob") as (ann, bob):
        eve = Client.join(server.port, "eve")
        eve.send(frame("eve", "whole"), frame("eve", "half")[:77])
        assert ann.receive() == frame("eve", "whole")
        getattr(eve, how)()
        server.wait_for("in the middle of a frame: 77 bytes dropped")
        bob.send(frame("bob", "the next"))
        assert ann.receive() == frame("bob", "the next")


@pytest.mark.sentence("E12")
@pytest.mark.parametrize("place", [0, 1, 3])
def test_whoever_leaves_the_relay_is_right_for_the_others(server: Server, place: int) -> None:
    with members(server, "a", "b", "c", "d") as clients:
        clients.pop(place).close()
        server.wait_for("left (3/4)")
        for sender in clients:
            sender.send(frame("x", "hello"))
            for other in clients:
                if other is not sender:
                    assert other.receive() == frame("x", "hello")


@pytest.mark.sentence("E8", "E12")
@pytest.mark.parametrize("how", ["close", "reset"])
def test_eight_rounds_of_leaving_in_a_flood_harm_nobody(server: Server, how: str) -> None:
    """Two flood each other while a third goes with unread data; the two get everything."""
    with members(server, "ann", "bob") as (ann, bob):
        for round_ in range(8):
            guest = Client.join(server.port, "guest")
            start = round_ * 100
            ann.send(*frames("ann", 100, start))
            bob.send(*frames("bob", 100, start))
            assert guest.receive() in (frame("ann", f"ann {start}"), frame("bob", f"bob {start}"))
            getattr(guest, how)()
            assert ann.receive_many(100) == frames("bob", 100, start)
            assert bob.receive_many(100) == frames("ann", 100, start)
            server.wait_for("guest left", times=round_ + 1)


def test_what_a_member_sent_before_it_left_arrives(server: Server) -> None:
    """Also when it left without reading what was on its way to it, which is a reset."""
    with members(server, "ann", "bob") as (ann, bob):
        for _ in range(20):
            eve = Client.join(server.port, "eve")
            ann.send(frame("ann", "unread by eve"))
            assert bob.receive() == frame("ann", "unread by eve")
            eve.send(*frames("eve", 50))
            eve.finish()
            eve.close()
            assert ann.receive_many(50) == frames("eve", 50)
            assert bob.receive_many(50) == frames("eve", 50)


def test_a_member_that_never_reads_is_cut_and_memory_stays_bounded(server: Server) -> None:
    with members(server, "sender", "reader", "stuck") as (sender, reader, stuck):
        before = server.status("VmRSS")
        sent = frames("sender", 128)
        for _ in range(400):  # 26 MB: more than the systems' buffers and the mark
            sender.send(*sent)
            assert reader.receive_many(128) == sent
        server.wait_for("stuck left (2/4): too slow")
        assert server.status("VmHWM") - before < 64 * 1024
        assert len(stuck.rest()) > FRAME


def test_it_costs_no_processor_time_while_idle(server: Server) -> None:
    with members(server, "ann", "bob"):
        server.wait_for("bob joined")
        before = server.processor_time()
        time.sleep(1)  # what is measured is a time
        assert server.processor_time() - before <= 0.02


def test_a_thousand_connections_leave_no_descriptor_and_no_memory(server: Server) -> None:
    def a_round(number: int) -> None:
        client = Client(server.port)
        if number % 4 < 2:
            client.send(frame("guest", "key" if number % 2 else "wrong"))
            client.receive()
        if number % 4 == 3:
            client.reset()
        client.close()

    with Client.join(server.port, "witness") as witness:
        settled = server.descriptors()
        for number in range(100):
            a_round(number)
        eventually(lambda: server.descriptors() == settled, "descriptors are left open")
        before = server.status("VmRSS")
        for number in range(1000):
            a_round(number)
        with Client.join(server.port, "last") as last:
            last.send(frame("last", "hello"))
            assert witness.receive() == frame("last", "hello")
        eventually(lambda: server.descriptors() == settled, "descriptors are left open")
        assert server.status("VmRSS") - before < 2 * 1024
