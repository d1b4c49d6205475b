"""A connection that ends at every point of a client's life, in every way, at every door."""

import contextlib
import socket
import struct
from collections.abc import Callable, Iterator

import attrs

from tests.faults.figures import Figure, Figures, milliseconds, percentile
from tests.faults.party import Party, party_of
from tests.faults.room import Room
from tests.faults.villains import make_deaf
from tests.support.clients import PATIENCE
from tests.support.frames import frame

_AUTHENTICATES = {
    "frame": frame("leaver", "key"),
    "line": b"leaver\r\nkey\r\n",
    "talk": b"leaver says: key\n",
}
# How much of what authenticates a client is sent before the end: at the frame door where a field
# or the frame begins or ends, elsewhere within and behind each answer.
_BYTES = {"frame": (0, 1, 63, 64, 511, 512), "line": (0, 3, 8, 11, 13), "talk": (0, 7, 17)}
# What a member is doing when it ends: nothing, half of a message, hearing many, hearing none.
_MEMBERS = ("at rest", "in a message", "in a flood", "with a full outbox")
# Frames in a flood, and in one that no system takes for a member that does not read.
_FLOOD, _LARGE_FLOOD = 200, 4000


@attrs.frozen
class Point:
    """A point of a client's life."""

    door: str
    # Bytes of what authenticates it that are sent; or what it does as a member.
    sent: int | None = None
    doing: str = ""


def points() -> Iterator[Point]:
    """All of them."""
    for door, sizes in _BYTES.items():
        for size in sizes:
            yield Point(door, size)
        for doing in _MEMBERS:
            yield Point(door, doing=doing)


def arrive(room: Room, party: Party, point: Point) -> socket.socket:
    """A client at that point of its life."""
    client = socket.socket()
    client.settimeout(PATIENCE)
    if point.doing == "with a full outbox":
        make_deaf(client)
    client.connect(("127.0.0.1", room.port_of(point.door)))
    whole = _AUTHENTICATES[point.door]
    if point.sent is not None:
        client.sendall(whole[: point.sent])
        return client
    if point.door == "talk":
        client.recv(64)
    client.sendall(whole)
    _wait_for_the_room(point, client)
    if point.doing == "in a message":
        client.sendall(b"half of what I wanted to s")
    elif point.doing == "in a flood":
        party.say(party.members[1], _FLOOD, b"x")
    elif point.doing == "with a full outbox":
        party.say(party.members[1], _LARGE_FLOOD, b"x")
        party.settle()
    return client


def _wait_for_the_room(point: Point, client: socket.socket) -> None:
    """It is a member for sure, where its protocol says so; at the talk door it soon is one."""
    welcome = {"frame": _AUTHENTICATES["frame"], "line": b"Welcome.\r\n", "talk": b""}[point.door]
    heard = b""
    while not heard.endswith(welcome):
        more = client.recv(1 if point.door == "line" else 512)
        assert more, f"{point} ended with {heard!r}"
        heard += more


def _reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def _close(client: socket.socket) -> None:
    client.close()


def _half_close(client: socket.socket) -> None:
    """The server ends what sends no more."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    client.shutdown(socket.SHUT_WR)
    with contextlib.suppress(ConnectionResetError):
        while client.recv(1 << 20):
            pass
    client.close()


ENDINGS: dict[str, Callable[[socket.socket], None]] = {
    "reset": _reset,
    "closed": _close,
    "half closed": _half_close,
}


def run(rounds: int, auth_timeout: float = 1.0) -> Figures:
    """Every ending at every point, so many times; those who fall silent as well."""
    ended = 0
    options = ("--auth-timeout", str(auth_timeout))
    with Room(*options, members=40) as room, party_of(room, "frame", "frame") as party:
        begun = room.belongings()
        for _ in range(rounds):
            silent = []
            for point in points():
                for end in ENDINGS.values():
                    end(arrive(room, party, point))
                    ended += 1
                    for member in party.members[1:]:
                        party.say(member)
                    party.settle()
                if point.doing != "with a full outbox":
                    silent.append((point, arrive(room, party, point)))
            ended += len(silent)
            for point, client in silent:
                with client:
                    if point.sent is not None and point.sent < len(_AUTHENTICATES[point.door]):
                        _await_the_end(point, client)
            room.returns_to(begun)
        party.settle()
        assert "internal error" not in room.stdout
        return {
            "connections ended": Figure(ended),
            "words that the honest said, all heard": Figure(party.said),
            "from a word to who hears it, p99": milliseconds(percentile(party.delays, 99)),
            "descriptors more than at the start": Figure(0),
        }


def _await_the_end(point: Point, client: socket.socket) -> None:
    try:
        while client.recv(65536):
            pass
    except TimeoutError:
        raise AssertionError(f"{point}, silent, was not disconnected") from None
