"""The same protocol on asyncio, or on uvloop: `asyncio_server.py LOOP PORT KEY`. Shows nothing.

Whole reads are relayed as one chunk, as sop-chat does it, and nobody is read while anybody has
more waiting than its transport likes.
"""

import asyncio
import sys
from typing import cast

FRAME = 512
LOOP, PORT, KEY = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode()

members: set["Member"] = set()
full: set["Member"] = set()


class Member(asyncio.Protocol):
    """One connection; the frame with the key makes it a member."""

    transport: asyncio.Transport
    rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It has come."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """It said something."""
        data = self.rest + data
        whole = len(data) // FRAME * FRAME
        chunk, self.rest = data[:whole], data[whole:]
        if chunk and self not in members:
            if chunk[64:FRAME].rstrip(b"\0") != KEY:
                self.transport.close()
                return
            members.add(self)
            self.transport.write(chunk[:FRAME])
            chunk = chunk[FRAME:]
        if chunk:
            for member in members:
                if member is not self:
                    member.transport.write(chunk)

    def pause_writing(self) -> None:
        """Too much waits for it."""
        full.add(self)
        for member in members:
            member.transport.pause_reading()

    def resume_writing(self) -> None:
        """It has taken enough."""
        full.discard(self)
        if not full:
            for member in members:
                member.transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        """It has gone."""
        members.discard(self)
        if self in full:
            self.resume_writing()


async def serve() -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Member, "127.0.0.1", PORT, backlog=4096)
    await server.serve_forever()


if LOOP == "uvloop":
    import uvloop

    uvloop.run(serve())
else:
    asyncio.run(serve())
