"""Servers that encrypt, played for our client, and what it does with them."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trio
from sopchat_client import Tls, connect

from sopchat.wire.fingerprint import fingerprint
from sopchat.wire.tls import TlsCodec
from tests.support.frames import FRAME
from tests.support.tls import client_side, shake_hands

Handler = Callable[[trio.abc.Stream], Awaitable[None]]


@asynccontextmanager
async def playing(handler: Handler, context: ssl.SSLContext | None) -> AsyncIterator[int]:
    """A server that treats every client so; the port it listens on."""

    async def serve(stream: trio.SocketStream) -> None:
        try:
            await handler(
                stream
                if context is None
                else trio.SSLStream(stream, context, server_side=True, https_compatible=True)
            )
        except trio.BrokenResourceError:
            pass
        finally:
            await trio.aclose_forcefully(stream)

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(trio.serve_tcp, serve, 0)
            yield listeners[0].socket.getsockname()[1]
            nursery.cancel_scope.cancel()


async def echo(stream: trio.abc.Stream) -> None:
    """Let the client in, and say back what it says until it says goodbye."""
    offer = b""
    while len(offer) < FRAME:
        if not (data := await stream.receive_some(FRAME - len(offer))):
            return
        offer += data
    await stream.send_all(offer)
    while data := await stream.receive_some():
        await stream.send_all(data)
    if isinstance(stream, trio.SSLStream):
        await stream.unwrap()


def shown_by(context: ssl.SSLContext) -> str:
    """The fingerprint of its certificate."""
    client = TlsCodec(client_side(), server=False, server_name="localhost")
    shake_hands(TlsCodec(context, server=True), client)
    return fingerprint(client.certificate() or b"")


async def names_and_keys(stream: trio.abc.Stream, heard: list[bytes]) -> None:
    heard.append(bytes(await stream.receive_some()))


async def joined(host: str, port: int, tls: Tls) -> None:
    """Join, and go without a goodbye."""
    with pytest.raises(ZeroDivisionError):
        async with connect(host, port, "ann", "key", tls=tls) as chat:
            assert chat.name == b"ann"
            raise ZeroDivisionError
