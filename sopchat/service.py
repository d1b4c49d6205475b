"""The server as a service: it tells the service manager how it is, and gets its sockets from it.

The protocols of sd_notify(3), sd_watchdog_enabled(3) and sd_listen_fds(3): a few variables of the
environment, datagrams of text, and descriptors from 3 on. All variables are taken out of the
environment, so that no child believes that they are meant for it.
"""

import contextlib
import os
import socket
import time
from collections.abc import MutableMapping
from typing import Self

import attrs
import trio

from sopchat.arguments import UsageError, system_words
from sopchat.doors.tcp import prepare_listener

# A notification longer than 4096 bytes is ignored as a whole. A status of so many characters fits
# whatever they are, and is more than anybody reads.
_STATUS_SIZE = 500

# Notifications within the time after which the manager takes the server for dead: one or two may
# come late on a busy machine.
_BEATS = 3

# The first descriptor that the manager hands over.
_FIRST_DESCRIPTOR = 3

# What the manager calls a socket to which the unit gives no name, beside the unit's own name.
_NAMELESS = {"", "unknown", "connection"}

# The doors by which a socket may be named.
_DOORS = ("frame", "line", "talk")


@attrs.define(eq=False)
class Notifier:
    """Tells the service manager how the server is; where there is no manager, nobody.

    Nothing here waits or fails: what the manager has no room for is lost.
    """

    _socket: socket.socket | None = None
    _address: bytes = b""
    # Seconds from one sign of life to the next; None where the manager waits for none.
    interval: float | None = None

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str] = os.environ) -> Self:
        """What NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID say; they are taken out."""
        address = os.fsencode(environ.pop("NOTIFY_SOCKET", ""))
        limit = _number(environ.pop("WATCHDOG_USEC", ""))
        watched = environ.pop("WATCHDOG_PID", str(os.getpid()))
        if address[:1] not in (b"/", b"@"):
            return cls()
        try:
            sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        except OSError:
            return cls()
        sender.setblocking(False)
        if address[:1] == b"@":  # a name without a file
            address = b"\0" + address[1:]
        interval = limit / 1e6 / _BEATS if limit and _number(watched) == os.getpid() else None
        return cls(sender, address, interval)

    def ready(self) -> None:
        """The server listens; or it has done what it was asked to reload."""
        self._send("READY=1")

    def reloading(self) -> None:
        """It reads its settings anew; `ready` follows."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """It is about to end."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """One line for whoever asks the manager how the server is."""
        # A further line would be a notification of its own, and a NUL the end of this one.
        line = "".join(sign if sign.isprintable() else " " for sign in text[:_STATUS_SIZE])
        self._send(f"STATUS={line}")

    async def watchdog(self) -> None:
        """Give signs of life as long as the event loop turns; return where nobody wants them."""
        if self.interval is None:
            return
        while True:
            self._send("WATCHDOG=1")
            await trio.sleep(self.interval)

    def close(self) -> None:
        """Say nothing from now on."""
        if self._socket is not None:
            self._socket.close()

    def _send(self, text: str) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.sendto(text.encode(), self._address)


def inherited_listeners(
    environ: MutableMapping[str, str] = os.environ,
) -> dict[str, list[socket.socket]]:
    """The listening sockets that the service manager hands over, by door: frame, line, talk.

    LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES tell them, and are taken out. Sockets without a name
    of their own are the frame door's. Empty where nothing is handed over to this process.
    Raises UsageError: the variables make no sense, or one is no listening stream socket.
    """
    count_text = environ.pop("LISTEN_FDS", None)
    process = environ.pop("LISTEN_PID", None)
    names_text = environ.pop("LISTEN_FDNAMES", None)
    if count_text is None or process is None:
        return {}
    if not (pid := _number(process)):
        raise UsageError(f"LISTEN_PID is {process!r}, and a process's number is expected")
    if pid != os.getpid():
        return {}
    if (count := _number(count_text)) is None:
        raise UsageError(f"LISTEN_FDS is {count_text!r}, and a number of sockets is expected")
    names = [] if names_text is None else names_text.split(":")
    if names_text is not None and len(names) != count and (count or names_text):
        raise UsageError(f"LISTEN_FDNAMES names {len(names)} sockets, and LISTEN_FDS says {count}")
    listeners: dict[str, list[socket.socket]] = {}
    with contextlib.ExitStack() as opened:
        for place in range(count):
            listener = _take_over(_FIRST_DESCRIPTOR + place)
            opened.callback(listener.close)
            listeners.setdefault(_door(names[place] if names else ""), []).append(listener)
        opened.pop_all()
    return listeners


def _door(name: str) -> str:
    """The door that a socket's name means. Raises UsageError: there is none of that name."""
    if name in _NAMELESS or name.endswith(".socket"):
        return "frame"
    if name not in _DOORS:
        raise UsageError(
            f"a socket is handed over for a door {name!r}, and the doors are {', '.join(_DOORS)}"
            " (FileDescriptorName= of the socket unit)"
        )
    return name


def _take_over(descriptor: int) -> socket.socket:
    """A listening socket of ours. Raises UsageError: that descriptor is something else."""
    what = f"descriptor {descriptor}, handed over by the service manager,"
    try:
        listener = socket.socket(fileno=descriptor)
    except OSError as error:
        raise UsageError(f"{what} is no socket: {system_words(error)}") from None
    try:
        if listener.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
            raise UsageError(f"{what} is neither a TCP nor a Unix-domain socket")
        if listener.type != socket.SOCK_STREAM:
            raise UsageError(f"{what} is no stream socket (ListenStream= of the socket unit)")
        if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise UsageError(f"{what} does not listen (Accept=no in the socket unit)")
        listener.set_inheritable(False)
        prepare_listener(listener)
    except OSError as error:
        listener.close()
        raise UsageError(f"{what} cannot be used: {system_words(error)}") from None
    except UsageError:
        listener.close()
        raise
    return listener


def _number(text: str) -> int | None:
    """A number of 64 bits in decimal digits; None for anything else, and for the largest one.

    The largest stands for infinity.
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        return None
    return number if (number := int(text)) < 2**64 - 1 else None
