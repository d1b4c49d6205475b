"""Listening TCP sockets, and the connection over one accepted socket, TCP or Unix-domain.

Plain non-blocking sockets under `trio.lowlevel`, whose waits and calls are told apart.
"""

import contextlib
import errno
import fcntl
import ipaddress
import os
import socket
import struct
import sys
import termios
from collections.abc import Callable, Iterable, Sequence
from typing import NoReturn

import attrs
import trio

from sopchat import limits
from sopchat.doors.unix import shown_user

# The system has no descriptor or memory for one more connection: it will have again.
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}

# The listening socket itself is of no use: a defect, not bad luck.
_UNUSABLE = {errno.EBADF, errno.EINVAL, errno.ENOTSOCK, errno.EOPNOTSUPP, errno.EFAULT}


def open_listeners(port: int, host: str | None = None) -> list[socket.socket]:
    """Listen on a TCP port: of every address, or of each address that `host` has.

    Port 0 lets the system choose; the same port is then used for all addresses.
    Raises OSError: the port is taken or forbidden, the host unknown or not of this machine.
    """
    if host is None:
        return [_open_everywhere(port)]
    with contextlib.ExitStack() as opened:
        listeners = []
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
        for family, _, _, _, address in dict.fromkeys(found):
            listener = _open_listener(family, str(address[0]), port)
            opened.callback(listener.close)
            port = listener.getsockname()[1]
            listeners.append(listener)
        opened.pop_all()
        return listeners


def _open_everywhere(port: int) -> socket.socket:
    """One socket for IPv4 and IPv6, or for IPv4 alone where there is no IPv6."""
    if socket.has_dualstack_ipv6():
        try:
            return _open_listener(socket.AF_INET6, "", port)
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
    return _open_listener(socket.AF_INET, "", port)


def _open_listener(family: int, host: str, port: int) -> socket.socket:
    listener = socket.create_server(
        (host, port),
        family=family,
        backlog=limits.BACKLOG,
        dualstack_ipv6=family == socket.AF_INET6 and not host,
    )
    prepare_listener(listener)
    return listener


def prepare_listener(listener: socket.socket) -> None:
    """Make a listening socket, TCP or Unix-domain, one that `accept` can serve.

    Raises OSError: it does not take the options.
    """
    listener.setblocking(False)
    if listener.family == socket.AF_UNIX:
        return  # nothing is delayed there, and nobody dies unnoticed
    # An accepted socket inherits these, which saves setting them for every connection.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE" if sys.platform != "darwin" else "TCP_KEEPALIVE", limits.KEEPALIVE_IDLE),
        ("TCP_KEEPINTVL", limits.KEEPALIVE_INTERVAL),
        ("TCP_KEEPCNT", limits.KEEPALIVE_PROBES),
    ):
        listener.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    # Keepalives are not sent while data is unconfirmed: then this is what notices (milliseconds).
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        silence = limits.KEEPALIVE_IDLE + limits.KEEPALIVE_PROBES * limits.KEEPALIVE_INTERVAL
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, silence * 1000)


# Closing does not linger: the system drops what it has not sent, and resets the connection.
_NO_LINGER = struct.pack("ii", 1, 0)


async def accept(
    listener: socket.socket,
    welcome: "Callable[[SocketConnection], None]",
    exhausted: Callable[[OSError], None],
    most: int = limits.ACCEPTS,
) -> NoReturn:
    """Give every client of `listener` to `welcome`, as they come, until cancelled.

    When the system has no descriptor or memory for one more, `exhausted` is told, once until it
    has again, and it is tried after pauses; a client that left before it was accepted is nobody.
    Raises OSError: the listener is of no use.
    """
    told, local = False, listener.family == socket.AF_UNIX
    while True:
        await trio.lowlevel.wait_readable(listener)
        # Those that have come are taken in one turn of the loop, but not without end: `most`.
        for _ in range(most):
            try:
                accepted, address = listener.accept()
            except OSError as error:
                if error.errno in _UNUSABLE:
                    raise
                if error.errno in _EXHAUSTED:
                    if not told:
                        exhausted(error)
                        told = True
                    await trio.sleep(limits.ACCEPT_BACKOFF)
                break
            told = False
            accepted.setblocking(False)
            peer = shown_user(accepted) if local else shown_address(address)
            welcome(SocketConnection(accepted, peer, local))


async def accept_first(
    listeners: Iterable[socket.socket], exhausted: Callable[[OSError], None]
) -> "SocketConnection":
    """Wait for one client at any of the listeners."""
    accepted: list[SocketConnection] = []
    async with trio.open_nursery() as nursery:

        def welcome(connection: SocketConnection) -> None:
            accepted.append(connection)
            nursery.cancel_scope.cancel()

        for listener in listeners:
            nursery.start_soon(accept, listener, welcome, exhausted, 1)
    first, *late = accepted
    for connection in late:
        connection.close()
    return first


def shown_place(listener: socket.socket) -> str:
    """Where a socket listens, as it is shown: `port 9000`, or the path of a Unix-domain socket."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return os.fsdecode(name).replace("\0", "@")
    return f"port {name[1]}"


def shown_address(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """A socket address as people write it; IPv4 as IPv4 also where it came over IPv6."""
    host, port = address[:2]
    host = host.removeprefix("::ffff:")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


@attrs.define(eq=False)
class SocketConnection:
    """A connection over one accepted, non-blocking socket, TCP or Unix-domain."""

    _socket: socket.socket
    peer: str
    # Whether the bytes never leave this machine: a Unix-domain socket.
    local: bool = False
    # The socket's own calls, without one of ours around them: they are made for every frame.
    receive_now: Callable[[int], bytes] = attrs.field(init=False)
    send_now: Callable[[bytes | memoryview], int] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.receive_now = self._socket.recv
        self.send_now = self._socket.send

    @property
    def descriptor(self) -> int:
        """The socket's number in this process."""
        return self._socket.fileno()

    @property
    def address(self) -> str:
        """The client's host without its port, or the local user.

        Of a global IPv6 address its network of 64 bits: whoever has one commonly has them all
        (RFC 6177). In a local network there are as many hosts as addresses.
        """
        if self.local:
            return self.peer.partition(",")[0]
        host = self.peer.rpartition(":")[0]
        if host.startswith("["):
            address = ipaddress.IPv6Address(host.strip("[]"))
            if address.is_global:
                return str(ipaddress.IPv6Network((address, 64), strict=False))
        return host

    async def ready(self) -> None:
        """Nothing has to be agreed upon first."""

    async def wait_readable(self) -> None:
        """Wait until there is something to receive."""
        await trio.lowlevel.wait_readable(self._socket)

    async def wait_writable(self) -> None:
        """Wait until the socket takes something; rarely, it takes nothing all the same."""
        await trio.lowlevel.wait_writable(self._socket)

    async def send(self, pieces: Sequence[bytes | memoryview]) -> int:
        """Wait until the socket takes bytes of the pieces, in order; give how many."""
        while True:
            await self.wait_writable()
            try:
                return self._socket.sendmsg(pieces)
            except BlockingIOError:  # a false alarm, which select(2) allows
                continue

    def unacknowledged(self) -> int:
        """Bytes in the socket's send queue that the peer has not confirmed (SIOCOUTQ).

        Of a Unix-domain socket: the memory of what the peer has not read, which is more.
        """
        try:
            (size,) = struct.unpack("i", fcntl.ioctl(self._socket, termios.TIOCOUTQ, b"\0" * 4))
        except OSError:
            return 0  # no such request here: a slow reader cannot be told from a stuck one
        return int(size)

    def close(self, *, reset: bool = False) -> None:
        """Close the socket; what waits on it is woken.

        A Unix-domain socket knows no reset: what it sent, 200 KiB or so, stays the peer's.
        """
        if self._socket.fileno() != -1:
            if reset:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            trio.lowlevel.notify_closing(self._socket)
            self._socket.close()
