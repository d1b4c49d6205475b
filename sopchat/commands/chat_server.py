"""`chat-server PORT`: the line exercise by itself (docs/line-protocol.md)."""

import contextlib
import os
import socket
import sys
from argparse import ArgumentTypeError
from collections.abc import Sequence

from sopchat.arguments import USAGE_STATUS, port_number, system_words
from sopchat.commands.running import run_until_signal
from sopchat.console import Console
from sopchat.exercises import line
from sopchat.limits import BACKLOG

_STDOUT = 1


class _CallFailed(Exception):
    """A system call failed before the loop starts: `call: reason`, as perror writes it."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and give its exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    try:
        (text,) = given
        port = port_number(text)
    except (ValueError, ArgumentTypeError):
        print("Usage: server <port>")
        return USAGE_STATUS
    try:
        listener = _listen(port)
    except _CallFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    return run_until_signal(Console(None), line.serve, listener, _show)


def _show(text: str) -> None:
    """Write a piece of the trace at once; whom nobody reads goes on in silence.

    By the descriptor: what Python's own buffer cannot get rid of spoils the exit status.
    """
    if sys.stdout is not None:  # otherwise its number may be a socket's by now
        with contextlib.suppress(OSError):
            os.write(_STDOUT, text.encode("ascii"))


def _listen(port: int) -> socket.socket:
    """Listen on the port of every address, IPv4 and IPv6. Raises _CallFailed."""
    call = "socket"
    try:
        dual = socket.has_dualstack_ipv6()
        listener = socket.socket(socket.AF_INET6 if dual else socket.AF_INET)
        try:
            call = "setsockopt"
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if dual:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            listener.setblocking(False)
            call = "bind"
            listener.bind(("", port))
            call = "listen"
            listener.listen(BACKLOG)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise _CallFailed(f"{call}: {system_words(error)}") from None
    return listener
