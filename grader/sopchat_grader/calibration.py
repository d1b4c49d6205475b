"""How slow this machine is now: the measure of every wait."""

import socket
import threading
import time

# Seconds that the sample takes on a quiet, ordinary machine.
_ORDINARY = 0.025

# No machine is so slow that one should wait longer for it.
_MOST = 10.0

_ROUNDS = 500


def slowness() -> float:
    """How many times longer the machine takes than a quiet, ordinary one, 1 to 10."""
    start = time.perf_counter()
    left, right = socket.socketpair()
    with left, right:
        echo = threading.Thread(target=_echo, args=(right,))
        echo.start()
        for _ in range(_ROUNDS):
            left.sendall(bytes(512))
            left.recv(512)
        left.shutdown(socket.SHUT_WR)
        echo.join()
    return min(max((time.perf_counter() - start) / _ORDINARY, 1.0), _MOST)


def _echo(end: socket.socket) -> None:
    while data := end.recv(512):
        end.sendall(data)
