"""Certificates for the tests, and a room behind TLS in this process."""

import functools
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import trio
import trustme

from sopchat.console import Console
from sopchat.doors import Door
from sopchat.doors.frame import FrameDoor
from sopchat.doors.tcp import open_listeners
from sopchat.limits import Limits
from sopchat.server import Server
from sopchat.wire.tls import TlsCodec
from tests.support.frames import frame
from tests.support.streams import receive

# Far beyond what anything here takes (seconds).
PATIENCE = 30


@functools.cache
def authority() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@functools.cache
def server_side(*names: str) -> ssl.SSLContext:
    """A server's context, for localhost if no other name is given."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0
    certificate = authority().issue_cert(*names or ("localhost",), key_type=trustme.KeyType.ECDSA)
    certificate.configure_cert(context)
    return context


@functools.cache
def client_side() -> ssl.SSLContext:
    """A client's context that trusts the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority().configure_trust(context)
    return context


def written(folder: Path, *names: str) -> Path:
    """A certificate with its key behind it, in a PEM file."""
    certificate = authority().issue_cert(*names or ("localhost",), key_type=trustme.KeyType.ECDSA)
    file = folder / "both.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(file)
    return file


def carry(teller: TlsCodec, listener: TlsCodec, *sizes: int) -> None:
    """What one side has to send comes to the other, in pieces of these sizes."""
    data = teller.outgoing()
    for size in sizes:
        if data[:size]:
            listener.feed(data[:size])
        data = data[size:]
    if data:
        listener.feed(data)


def shake_hands(server: TlsCodec, client: TlsCodec, *sizes: int) -> None:
    while not (server.ready and client.ready):
        client.handshake()
        carry(client, server, *sizes)
        server.handshake()
        carry(server, client, *sizes)


def talking() -> tuple[TlsCodec, TlsCodec]:
    """A server and a client that have shaken hands."""
    server = TlsCodec(server_side(), server=True)
    client = TlsCodec(client_side(), server=False, server_name="localhost")
    shake_hands(server, client)
    return server, client


@attrs.define(eq=False)
class HeardConsole(Console):
    """Keeps its lines for the test."""

    output: int | None = None
    lines: list[str] = attrs.field(factory=list)

    def show(self, line: str) -> None:
        self.lines.append(line)


@attrs.define
class EncryptedRoom:
    """A room behind TLS that listens, by the ports of its doors."""

    ports: list[int]
    server: Server
    lines: list[str]
    streams: list[trio.SocketStream] = attrs.field(factory=list)

    async def connect(self, door: int = 0) -> trio.SocketStream:
        self.streams.append(await trio.open_tcp_stream("127.0.0.1", self.ports[door]))
        return self.streams[-1]

    async def shake_hands(self, door: int = 0) -> trio.SSLStream[trio.SocketStream]:
        """A client that is not ours."""
        stream = trio.SSLStream(
            await self.connect(door), client_side(), server_hostname="localhost"
        )
        await stream.do_handshake()
        return stream

    async def join(self, name: str) -> trio.SSLStream[trio.SocketStream]:
        stream = await self.shake_hands()
        await stream.send_all(frame(name, "key"))
        assert await receive(stream, 1) == [frame(name, "key")]
        return stream

    async def until_told(self, words: str) -> None:
        while not any(words in line for line in self.lines):
            await trio.sleep(0.001)


@asynccontextmanager
async def encrypted_room(
    doors: Sequence[Door] = (), **limits: float
) -> AsyncIterator[EncryptedRoom]:
    console = HeardConsole()
    server = Server(b"key", console, Limits(**limits), server_side())  # type: ignore[arg-type]
    listeners: dict[Door, list[socket.socket]] = {
        door: open_listeners(0, "127.0.0.1") for door in doors or (FrameDoor(),)
    }
    with trio.fail_after(PATIENCE):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.serve, listeners)
            ports = [group[0].getsockname()[1] for group in listeners.values()]
            room = EncryptedRoom(ports, server, console.lines)
            try:
                yield room
            finally:
                nursery.cancel_scope.cancel()
                for stream in room.streams:
                    stream.socket.close()


async def until(stream: trio.abc.ReceiveStream, end: bytes) -> bytes:
    """All that comes, as far as something that ends with `end`."""
    data = b""
    while not data.endswith(end):
        more = await stream.receive_some()
        assert more, f"closed after {data!r}"
        data += bytes(more)
    return data
