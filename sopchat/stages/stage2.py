"""Stage 2: authenticate one client, answer it, show five frames of it, end."""

import socket
from collections.abc import Sequence

from sopchat.admission import key_fits
from sopchat.connection import Connection
from sopchat.console import Console
from sopchat.departure import Departure
from sopchat.doors.frame import FrameDoorway
from sopchat.doors.tcp import accept_first, shown_place

FRAMES = 5


async def serve(listeners: Sequence[socket.socket], key: bytes, console: Console) -> None:
    """Accept the first client at any of the listeners and hear it out."""
    console.listening(shown_place(listeners[0]))
    connection = await accept_first(listeners, console.exhausted)
    try:
        await _hear(connection, key, console)
    except OSError as error:
        console.turned_away(connection.peer, Departure.from_error(error))
    finally:
        connection.close()


async def _hear(connection: Connection, key: bytes, console: Console) -> None:
    doorway = FrameDoorway()
    offer = await doorway.receive_offer(connection)
    if offer is None:
        return  # it left before its frame was whole
    fits = key_fits(offer.key, key)
    console.offered(connection.peer, offer, fits)
    if not fits:
        return
    await connection.send([offer.welcome])  # nothing waits before it: it is taken whole
    for _ in range(FRAMES):
        frame = await doorway.receive_frame(connection)
        if frame is None:
            return
        console.messages(offer.name, frame.encode())
