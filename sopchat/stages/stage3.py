"""Stage 3: many clients. A place, once taken, stays taken: giving it back is stage 4."""

import contextlib
import socket
from collections.abc import Sequence

import trio

from sopchat.admission import key_fits
from sopchat.connection import Connection, receive
from sopchat.console import Console
from sopchat.doors.frame import FrameDoor, FrameDoorway
from sopchat.doors.tcp import accept, shown_place
from sopchat.limits import READ_SIZE, Limits
from sopchat.outbox import Outbox
from sopchat.room import Member, Room


async def serve(
    listeners: Sequence[socket.socket], key: bytes, console: Console, limits: Limits
) -> None:
    """Relay between the clients of the listeners until cancelled."""
    room = Room(limits.max_clients, watchers=[console])
    door = FrameDoor()

    def welcome(connection: Connection) -> None:
        if room.full:
            connection.close()
        else:
            nursery.start_soon(_talk, connection, door, room, key, console, limits)

    console.listening(shown_place(listeners[0]))
    async with trio.open_nursery() as nursery:
        for listener in listeners:
            nursery.start_soon(accept, listener, welcome, console.exhausted)


async def _talk(
    connection: Connection,
    door: FrameDoor,
    room: Room,
    key: bytes,
    console: Console,
    limits: Limits,
) -> None:
    """Hear one client out: its authentication frame, then its messages."""
    doorway = FrameDoorway()
    with contextlib.closing(connection), contextlib.suppress(OSError):
        offer = await doorway.receive_offer(connection)
        if offer is None or room.full:
            return
        fits = key_fits(offer.key, key)
        console.offered(connection.peer, offer, fits)
        if not fits:
            return
        outbox = Outbox(connection, room.pressure, limits)
        member = Member(offer.name, connection.peer, door, outbox)
        outbox.put(offer.welcome)
        room.join(member)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_send, outbox, nursery.cancel_scope)
            with contextlib.suppress(OSError):
                while True:
                    await connection.wait_readable()  # others have their turn, whatever comes
                    data = await receive(connection, doorway.most(READ_SIZE))
                    if not data:
                        break
                    if chunk := doorway.feed(data):
                        room.broadcast(member, chunk)
                    while room.pressure.over:
                        await room.pressure.relief()
            nursery.cancel_scope.cancel()


async def _send(outbox: Outbox, scope: trio.CancelScope) -> None:
    """Send until that fails: then nothing more can be said, and the connection is closed."""
    await outbox.run()
    scope.cancel()
