"""The encrypted stream, and a chat over it."""

from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import trio
from sopchat_client import ServerGone, Tls, Untrusted, connect
from sopchat_client.link import Joined, Link, Lost
from sopchat_client.tls import TlsStream
from trio.testing import memory_stream_pair, wait_all_tasks_blocked

from tests.support.frames import FRAME, frame
from tests.support.links import Told
from tests.support.streams import exactly, let_in
from tests.support.tls import client_side, encrypted_room, server_side
from tests.support.tls_servers import echo, playing, shown_by


async def talking() -> tuple[TlsStream, trio.SSLStream[trio.abc.HalfCloseableStream]]:
    """Our stream and a server that is not ours, hands shaken, over memory."""
    near, far = memory_stream_pair()
    stream = TlsStream.over(near, client_side(), "localhost")
    server = trio.SSLStream[trio.abc.HalfCloseableStream](far, server_side(), server_side=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.do_handshake)
        nursery.start_soon(stream.handshake)
    return stream, server


async def test_bytes_go_both_ways_however_large() -> None:
    stream, server = await talking()
    data = bytes(range(256)) * 1000
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.send_all, data)
        assert await exactly(server, len(data)) == data
        nursery.start_soon(server.send_all, data)
        assert await exactly(stream, len(data)) == data


async def test_who_has_said_goodbye_hears_what_was_on_the_way_and_what_comes_then() -> None:
    stream, server = await talking()
    await server.send_all(b"before")
    assert await stream.receive_some(1) == b"b"
    await stream.send_eof()
    await server.send_all(b" after")
    assert await exactly(stream, 11) == b"efore after"
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.unwrap)
        assert await stream.receive_some() == b""
    with pytest.raises(trio.BrokenResourceError, match="shutdown"):
        await stream.send_all(b"more")


async def test_an_end_without_a_goodbye_is_no_end() -> None:
    stream, server = await talking()
    await server.send_all(b"last")
    await server.transport_stream.aclose()
    assert await stream.receive_some() == b"last"
    with pytest.raises(trio.BrokenResourceError, match="without a goodbye"):
        await stream.receive_some()


async def test_a_changed_record_breaks_the_stream() -> None:
    stream, server = await talking()
    await server.transport_stream.send_all(b"\x17\x03\x03\x00\x20" + bytes(32))
    with pytest.raises(trio.BrokenResourceError, match="bad record mac"):
        await stream.receive_some()


async def test_after_a_record_that_was_sent_in_part_nothing_more_is_sent() -> None:
    near, far = trio.testing.lockstep_stream_pair()
    stream = TlsStream.over(near, client_side(), "localhost")
    server = trio.SSLStream[trio.abc.HalfCloseableStream](far, server_side(), server_side=True)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.do_handshake)
        nursery.start_soon(stream.handshake)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.send_all, b"nobody takes it")
        await wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    with pytest.raises(trio.BrokenResourceError, match="middle of a record"):
        await stream.send_all(b"more")


# A chat.


@pytest.mark.parametrize("trust", ["ca", "fingerprint"])
async def test_a_chat_is_encrypted_from_joining_to_leaving(trust: str, ca: Path) -> None:
    context = server_side()
    tls = Tls(ca=ca) if trust == "ca" else Tls(fingerprint=shown_by(context).lower())
    async with (
        playing(echo, context) as port,
        connect("localhost", port, "ann", "key", tls=tls) as chat,
    ):
        await chat.send("hello")
        assert [message.text for message in await chat.receive()] == ["hello"]
        while chat.unacknowledged():
            await trio.sleep(0.001)


async def test_what_is_sent_and_not_taken_is_not_acknowledged(ca: Path) -> None:
    async def deaf(stream: trio.abc.Stream) -> None:
        await let_in(stream)
        await trio.sleep_forever()

    async with playing(deaf, server_side()) as port:
        with pytest.raises(ZeroDivisionError):
            async with connect("localhost", port, "ann", "key", tls=Tls(ca=ca)) as chat:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(chat.send, "x" * 20_000_000)
                    while not chat.unacknowledged():
                        await trio.sleep(0.001)
                    nursery.cancel_scope.cancel()
                raise ZeroDivisionError


async def test_a_server_that_ends_without_a_goodbye_has_confirmed_nothing(ca: Path) -> None:
    async def cut(stream: trio.abc.Stream) -> None:
        await let_in(stream)
        assert await stream.receive_some() == frame("ann", "hello")
        assert await stream.receive_some() == b""  # and says nothing

    async with playing(cut, server_side()) as port:
        with pytest.raises(ServerGone, match="without a goodbye"):
            async with connect("localhost", port, "ann", "key", tls=Tls(ca=ca)) as chat:
                await chat.send("hello")


async def test_a_real_room_confirms_what_was_said(ca: Path) -> None:
    async with encrypted_room() as room:
        bob = await room.join("bob")
        async with connect("localhost", room.ports[0], "ann", "key", tls=Tls(ca=ca)) as chat:
            await chat.send("hello")
        assert await exactly(bob, FRAME) == frame("ann", "hello")


async def test_a_link_joins_again_encrypted(ca: Path) -> None:
    told = Told()
    async with encrypted_room() as room, trio.open_nursery() as nursery:
        join = partial(connect, "localhost", room.ports[0], "ann", "key", tls=Tls(ca=ca))
        link = Link(join, told)
        nursery.start_soon(link.run)
        await told.until(Joined)
        (member,) = room.server.room
        member.outbox._connection.close(reset=True)
        await told.until(Lost)
        link.again()
        await told.until(Joined, 2)
        link.leave()


async def test_a_link_does_not_come_back_to_who_is_somebody_else_now() -> None:
    contexts = [server_side(), server_side("localhost", "other")]
    seen: list[bytes] = []

    async def serve(stream: trio.SocketStream) -> None:
        seen.append(b"")
        context = contexts[len(seen) > 1]
        with_tls = trio.SSLStream(stream, context, server_side=True)
        with suppress(trio.BrokenResourceError):
            await let_in(with_tls)
        await trio.aclose_forcefully(stream)

    told = Told()
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, serve, 0)
        port = listeners[0].socket.getsockname()[1]
        tls = Tls(fingerprint=shown_by(contexts[0]))
        link = Link(partial(connect, "localhost", port, "ann", "key", tls=tls), told)
        with pytest.raises(Untrusted):
            await link.run()
        nursery.cancel_scope.cancel()
