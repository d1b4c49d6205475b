"""The client's API, against a server played by the test."""

import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import sopchat_client
import trio
from sopchat_client import CannotConnect, Message, Refused, ServerGone, connect

from sopchat.wire.frame import FieldHoldsNul, FieldTooLong
from tests.support.frames import frame
from tests.support.streams import exactly, let_in

Handler = Callable[[trio.SocketStream], Awaitable[None]]


@asynccontextmanager
async def playing(handler: Handler) -> AsyncIterator[int]:
    """A server that treats every client so; the port it listens on."""
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(trio.serve_tcp, handler, 0)
            yield listeners[0].socket.getsockname()[1]
            nursery.cancel_scope.cancel()


def saying(*sent: bytes) -> Handler:
    """A server that lets a client in, sends this, and waits until the client has left."""

    async def handler(stream: trio.SocketStream) -> None:
        await let_in(stream)
        for data in sent:
            await stream.send_all(data)
        async for _ in stream:
            pass
        await stream.aclose()

    return handler


async def test_it_offers_name_and_key_and_is_a_member_when_they_come_back() -> None:
    offers = []

    async def handler(stream: trio.SocketStream) -> None:
        offers.append(await exactly(stream, 512))
        for byte in offers[0]:  # in 512 pieces
            await stream.send_all(bytes([byte]))
        await exactly(stream, 512)

    async with playing(handler) as port, connect("127.0.0.1", port, "ann", b"key") as chat:
        assert chat.name == b"ann"
        await chat.send("hello")
    assert offers == [frame("ann", "key")]


async def test_messages_arrive_in_order_however_their_frames_are_cut() -> None:
    stream = b"".join(frame("bob", str(number)) for number in range(50))
    pieces = [stream[place : place + 333] for place in range(0, len(stream), 333)]
    async with playing(saying(*pieces)) as port, connect("localhost", port, "ann", "key") as chat:
        texts = []
        async for message in chat:
            texts.append((message.name, message.text))
            if len(texts) == 50:
                break
    assert texts == [("bob", str(number)) for number in range(50)]


async def test_a_message_has_its_frame_for_who_wants_the_bytes() -> None:
    sent = frame(b"b\xffb\0x", b"hi\0behind")
    async with playing(saying(sent)) as port, connect("localhost", port, "ann", "key") as chat:
        message = await anext(chat)
    assert (message.name, message.text) == ("b\\xffb", "hi")
    assert message.raw == sent
    assert repr(message) == "Message(name='b\\\\xffb', text='hi')"


async def test_receive_gives_all_that_has_come_and_iterating_goes_on_behind_it() -> None:
    sent = b"".join(frame("bob", str(number)) for number in range(3))
    async with playing(saying(sent)) as port, connect("localhost", port, "ann", "key") as chat:
        first = await anext(chat)
        others = await chat.receive()
    assert [message.text for message in [first, *others]] == ["0", "1", "2"]


async def test_a_long_text_takes_several_frames_cut_between_characters() -> None:
    received: list[bytes] = []

    async def handler(stream: trio.SocketStream) -> None:
        await let_in(stream)
        received.extend([await exactly(stream, 512) for _ in range(3)])

    text = "x" + "ü" * 500
    async with playing(handler) as port, connect("localhost", port, "ann", "key") as chat:
        await chat.send(text)
    texts = [data[64:].rstrip(b"\0") for data in received]
    assert "".join(piece.decode() for piece in texts) == text
    assert [len(piece) for piece in texts] == [447, 448, 106]


async def test_the_end_of_the_block_waits_until_the_server_has_everything() -> None:
    received = bytearray()

    async def handler(stream: trio.SocketStream) -> None:
        await let_in(stream)
        async for data in stream:
            received.extend(data)
            # What the client does not read would cut off its last frames if it just closed.
            await stream.send_all(frame("bob", "unread"))

    async with playing(handler) as port:
        async with connect("localhost", port, "ann", "key") as chat:
            await chat.send(*["text"] * 5000)
        assert len(received) == 5000 * 512


async def test_a_server_that_does_not_confirm_by_closing_is_gone_after_a_while(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = trio.testing.memory_stream_pair()

    async def opened(host: str, port: int) -> trio.abc.HalfCloseableStream:
        return ours

    monkeypatch.setattr("sopchat_client.chat._open", opened)
    await theirs.send_all(frame("ann", "key"))
    start = trio.current_time()
    with pytest.raises(ServerGone, match="not confirmed"):
        async with connect("played", 1, "ann", "key"):
            pass
    assert trio.current_time() - start == pytest.approx(5)


async def test_after_leaving_the_messages_still_on_their_way_arrive_then_it_ends() -> None:
    async def handler(stream: trio.SocketStream) -> None:
        await let_in(stream)
        assert await stream.receive_some() == b""
        await stream.send_all(frame("bob", "late"))
        await stream.aclose()

    async with playing(handler) as port, connect("localhost", port, "ann", "key") as chat:
        await chat.leave()
        assert [message.text async for message in chat] == ["late"]
        assert await chat.receive() == []


async def test_a_server_that_closes_is_gone() -> None:
    async def handler(stream: trio.SocketStream) -> None:
        await let_in(stream)
        await stream.send_all(frame("bob", "last") + b"half")

    async with playing(handler) as port:
        with pytest.raises(ServerGone, match="closed the connection"):
            async with connect("localhost", port, "ann", "key") as chat:
                assert (await anext(chat)).text == "last"
                await anext(chat)


async def test_a_server_that_resets_is_gone() -> None:
    async def handler(stream: trio.SocketStream) -> None:
        await let_in(stream)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, (1).to_bytes(4, "little") + bytes(4))

    async with playing(handler) as port:
        with pytest.raises(ServerGone, match="Connection reset by peer"):
            async with connect("localhost", port, "ann", "key") as chat:
                await chat.receive()


@pytest.mark.parametrize("answer", [b"", frame("ann", "key")[:100]])
async def test_a_connection_closed_instead_of_an_echo_is_a_refusal_or_no_server(
    answer: bytes,
) -> None:
    async def handler(stream: trio.SocketStream) -> None:
        await exactly(stream, 512)
        await stream.send_all(answer)

    async with playing(handler) as port:
        with pytest.raises(CannotConnect if answer else Refused) as caught:
            async with connect("localhost", port, "ann", "key"):
                pytest.fail("is no member")
    if not answer:
        assert str(caught.value).startswith(
            "the key is wrong or the room is full, or it turns this address away for now ("
        )


async def test_another_answer_is_no_frame_chat_server() -> None:
    async def handler(stream: trio.SocketStream) -> None:
        await stream.send_all(b"220 mail.example ESMTP\r\n".ljust(600))

    async with playing(handler) as port:
        with pytest.raises(CannotConnect, match="no frame chat server"):
            async with connect("localhost", port, "ann", "key"):
                pytest.fail("is no member")


async def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sopchat_client.chat.CONNECT_TIMEOUT", 0.2)

    async def handler(stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    async with playing(handler) as port:
        with pytest.raises(
            CannotConnect,
            match=r"does not answer: it may be another door .* or encrypted \(--tls\)",
        ):
            async with connect("localhost", port, "ann", "key"):
                pytest.fail("is no member")


async def test_a_network_that_never_answers_is_given_up(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    async def open_tcp_stream(host: str, port: int) -> trio.SocketStream:
        await trio.sleep_forever()
        raise AssertionError

    monkeypatch.setattr(trio, "open_tcp_stream", open_tcp_stream)
    with pytest.raises(CannotConnect, match="no answer"):
        async with connect("192.0.2.1", 9000, "ann", "key"):
            pytest.fail("is no member")


async def test_where_nobody_listens_the_reason_is_said() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        for host in ("127.0.0.1", "localhost"):
            with pytest.raises(CannotConnect) as caught:
                async with connect(host, port, "ann", "key"):
                    pytest.fail("is no member")
            said = f"cannot connect to {host} port {port}: Connection refused"
            assert str(caught.value) == said


async def test_an_unknown_host_is_said() -> None:
    with pytest.raises(CannotConnect, match="cannot connect to no such host port 9000: "):
        async with connect("no such host", 9000, "ann", "key"):
            pytest.fail("is no member")


@pytest.mark.parametrize(
    ("name", "key", "error"),
    [
        ("n" * 65, "key", FieldTooLong),
        ("ü" * 33, "key", FieldTooLong),
        ("ann", "k" * 449, FieldTooLong),
        ("a\0", "key", FieldHoldsNul),
        ("ann", "k\0", FieldHoldsNul),
    ],
)
async def test_what_cannot_be_said_in_a_frame_is_an_error_before_connecting(
    name: str, key: str, error: type[Exception]
) -> None:
    with pytest.raises(error):
        async with connect("192.0.2.1", 9000, name, key):
            pytest.fail("is no member")


async def test_a_text_with_nul_is_an_error_and_nothing_of_the_call_is_sent() -> None:
    received = bytearray()

    async def handler(stream: trio.SocketStream) -> None:
        await let_in(stream)
        async for data in stream:
            received.extend(data)

    async with playing(handler) as port, connect("localhost", port, "ann", "key") as chat:
        with pytest.raises(FieldHoldsNul):
            await chat.send("fine", "a\0b")
        await chat.send()
    assert received == b""


def test_messages_can_be_compared() -> None:
    raw = frame("ann", "hi")
    assert Message("ann", "hi", raw) == Message.from_bytes(b"ann", b"hi", raw)


def test_the_package_has_what_it_says_and_nothing_else() -> None:
    assert all(getattr(sopchat_client, name).__name__ == name for name in sopchat_client.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'conect'"):
        sopchat_client.conect  # type: ignore[attr-defined]  # noqa: B018
