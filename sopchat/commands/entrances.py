"""Where the room is entered: ports, a path, and the sockets that a service manager hands over."""

import argparse
import contextlib
import socket
from pathlib import Path

from sopchat.arguments import Parser, UsageError, port_number, system_words
from sopchat.doors.tcp import open_listeners
from sopchat.doors.unix import open_unix_listener
from sopchat.service import inherited_listeners


class CannotListen(Exception):
    """A port or a path is taken or forbidden. The message says which and why."""


def add_entrances(parser: Parser) -> None:
    """Add the port and what stands beside it. `port` may be left out: `open_entrances` asks."""
    parser.add_argument("port", nargs="?", type=port_number, help="the TCP port, 1 to 65535")
    parser.add_key()
    parser.add_argument(
        "--host", metavar="ADDRESS", help="listen on this name or address only (default: all)"
    )
    parser.add_argument(
        "--line", type=port_number, metavar="PORT", help="let in telnet and nc users there"
    )
    parser.add_argument(
        "--talk", type=port_number, metavar="PORT", help="let in clients of the talk protocol there"
    )
    parser.add_argument(
        "--unix",
        type=Path,
        metavar="PATH",
        help="let in frame clients of this user there as well, by a Unix-domain socket",
    )


def entrances_handed_over(options: argparse.Namespace) -> dict[str, list[socket.socket]]:
    """What the service manager opened. Raises UsageError: no entrance is given, or one twice."""
    entrances = inherited_listeners()
    if options.port is None and not entrances and options.unix is None:
        raise UsageError("the following arguments are required: port")
    ports = {"the room": options.port, "--line": options.line, "--talk": options.talk}
    taken: dict[int, str] = {}
    for door, port in ports.items():
        if port in taken:
            raise UsageError(f"{door} cannot have port {port}: {taken[port]} has it")
        if port is not None:
            taken[port] = door
    return entrances


def open_entrances(
    options: argparse.Namespace, entrances: dict[str, list[socket.socket]]
) -> dict[str, list[socket.socket]]:
    """Those and the ones that the options ask for, by door: frame, line, talk.

    Raises CannotListen.
    """
    with contextlib.ExitStack() as opened:
        for door, port in (("frame", options.port), ("line", options.line), ("talk", options.talk)):
            if port is not None:
                for listener in _open_port(port, options.host):
                    opened.callback(listener.close)
                    entrances.setdefault(door, []).append(listener)
        if options.unix is not None:
            try:
                listener = open_unix_listener(options.unix)
            except OSError as error:
                raise CannotListen(
                    f"cannot listen on {options.unix}: {system_words(error)}"
                ) from None
            entrances.setdefault("frame", []).append(listener)
        opened.pop_all()
    return entrances


def _open_port(port: int, host: str | None) -> list[socket.socket]:
    try:
        return open_listeners(port, host)
    except (OSError, UnicodeError) as error:
        where = f"port {port}" + (f" of {host}" if host else "")
        raise CannotListen(f"cannot listen on {where}: {system_words(error)}") from None
