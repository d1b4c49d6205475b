"""The least that Trio can do: `trio_server.py PORT`. Everybody is let in; no limits, no console.

What its loop costs for a frame, nothing that runs on it can be without. It drops what a member
does not take at once, so it is no peer in a flood.
"""

import contextlib
import socket
import sys

import trio

members: set[socket.socket] = set()


async def serve(connection: socket.socket) -> None:
    """Echo the first read, relay the rest."""
    with connection:
        await trio.lowlevel.wait_readable(connection)
        connection.send(connection.recv(512))
        members.add(connection)
        try:
            while True:
                await trio.lowlevel.wait_readable(connection)
                data = connection.recv(65536)
                if not data:
                    return
                for member in members:
                    if member is not connection:
                        with contextlib.suppress(BlockingIOError):
                            member.send(data)
        finally:
            members.discard(connection)


async def main() -> None:
    """Listen until killed."""
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=4096)
    listener.setblocking(False)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    async with trio.open_nursery() as nursery:
        while True:
            await trio.lowlevel.wait_readable(listener)
            connection, _ = listener.accept()
            connection.setblocking(False)
            nursery.start_soon(serve, connection)


trio.run(main)
