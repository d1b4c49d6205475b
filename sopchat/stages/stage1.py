"""Stage 1: accept one client, close that connection, end."""

import socket
from collections.abc import Sequence

from sopchat.console import Console
from sopchat.doors.tcp import accept_first, shown_place


async def serve(listeners: Sequence[socket.socket], console: Console) -> None:
    """Accept the first client at any of the listeners and close its connection."""
    console.listening(shown_place(listeners[0]))
    connection = await accept_first(listeners, console.exhausted)
    connection.close()
