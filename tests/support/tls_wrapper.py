"""An encrypted room for clients that do not encrypt.

Starts `sop-chat --tls auto` on another port and carries bytes, ends and resets both ways, so that
the grader can judge the encrypted room as any other:

    scripts/sop-chat-grade -- .venv/bin/python -m tests.support.tls_wrapper {port} {key}
"""

import argparse
import contextlib
import os
import signal
import socket
import ssl
import struct
import sys
import tempfile
from functools import partial
from pathlib import Path

import trio
from sopchat_client.tls import TlsStream

from sopchat.arguments import port_number
from sopchat.doors.tcp import open_listeners

SOP_CHAT = str(Path(sys.executable).parent / "sop-chat")

_READ_SIZE = 64 * 1024
_NO_LINGER = struct.pack("ii", 1, 0)


def main() -> int:
    """Run it; the exit status is the room's."""
    try:
        port, key = sys.argv[1:]
        return trio.run(_serve, port_number(port), key)
    except (ValueError, argparse.ArgumentTypeError, _CannotListen):
        os.execv(SOP_CHAT, [SOP_CHAT, *sys.argv[1:]])  # the room itself says what is wrong


class _CannotListen(Exception):
    """The port is taken or forbidden."""


async def _serve(own_port: int, key: str) -> int:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with socket.socket() as reserved, tempfile.TemporaryDirectory() as folder:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        command = [SOP_CHAT, "--tls", "auto", "--host", "127.0.0.1", "--", str(port), key]
        environment = {**os.environ, "XDG_STATE_HOME": folder}
        async with trio.open_nursery(strict_exception_groups=False) as nursery:
            room: trio.Process = await nursery.start(
                partial(
                    trio.run_process,
                    command,
                    env=environment,
                    stdin=None,
                    check=False,
                    start_new_session=True,
                )
            )
            nursery.start_soon(_hand_on_signals, room)
            async with trio.open_nursery(strict_exception_groups=False) as carriers:
                carriers.start_soon(_wait, room, carriers.cancel_scope)
                while not _listens(port):
                    await trio.sleep(0.005)
                try:
                    listeners = open_listeners(own_port)
                except OSError:
                    room.kill()
                    raise _CannotListen from None
                for listener in listeners:
                    carriers.start_soon(_accept, listener, port, context, carriers)
            nursery.cancel_scope.cancel()
        return room.returncode or 0


async def _wait(room: trio.Process, scope: trio.CancelScope) -> None:
    await room.wait()
    await trio.sleep(0.05)  # what it said last is carried
    scope.cancel()


async def _hand_on_signals(room: trio.Process) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for number in signals:
            room.send_signal(number)


def _listens(port: int) -> bool:
    """Asks /proc: connecting would be noticed."""
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return any(int(line[1].rpartition(":")[2], 16) == port and line[3] == "0A" for line in lines)


async def _accept(
    listener: socket.socket, port: int, context: ssl.SSLContext, nursery: trio.Nursery
) -> None:
    async_listener = trio.socket.from_stdlib_socket(listener)
    while True:
        client, _ = await async_listener.accept()
        nursery.start_soon(_carry, client, port, context)


async def _carry(client: trio.socket.SocketType, port: int, context: ssl.SSLContext) -> None:
    """One client's life, as the room sees it, and the room's, as the client does."""
    server = trio.socket.socket()
    try:
        await server.connect(("127.0.0.1", port))
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = TlsStream.over(trio.SocketStream(server), context, "localhost")
        with contextlib.suppress(OSError, trio.BrokenResourceError):
            await stream.handshake()
            async with trio.open_nursery(strict_exception_groups=False) as nursery:
                nursery.start_soon(_from_client, client, stream, server)
                await _to_client(stream, client, server)
                nursery.cancel_scope.cancel()
    finally:
        client.close()
        server.close()


async def _from_client(
    client: trio.socket.SocketType, stream: TlsStream, server: trio.socket.SocketType
) -> None:
    try:
        while data := await client.recv(_READ_SIZE):
            await stream.send_all(data)
        await stream.send_eof()
    except ConnectionResetError:
        _reset(server)
    except (OSError, trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # the room is gone, and what it said last is still carried


async def _to_client(
    stream: TlsStream, client: trio.socket.SocketType, server: trio.socket.SocketType
) -> None:
    try:
        while data := await stream.receive_some(_READ_SIZE):
            rest = memoryview(data)
            while rest:
                rest = rest[await client.send(rest) :]
    except trio.BrokenResourceError as error:
        if isinstance(error.__cause__, ConnectionResetError):
            _reset(client)
    except OSError:
        _reset(server)
    except trio.ClosedResourceError:
        pass


def _reset(connection: trio.socket.SocketType) -> None:
    with contextlib.suppress(OSError):
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
