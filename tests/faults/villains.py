"""A process of those who misbehave, at every door: `python -m tests.faults.villains`.

Each kind is a function that lives one life; its villain begins anew when that has ended. They come
from addresses of their own on the loopback network, since an address may be refused for what its
clients do. Prints `ready` once all have begun, and ends with its standard input.
"""

import argparse
import contextlib
import itertools
import json
import os
import random
import socket
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping

import attrs
import trio

from tests.faults.room import Room, allow_descriptors
from tests.support.frames import FRAME, frame
from tests.support.programs import Program

DOORS = ("frame", "line", "talk")
_NO_LINGER = struct.pack("ii", 1, 0)
# TCP_ESTABLISHED, the first byte of TCP_INFO.
_ESTABLISHED = 1
# Of 64 KiB, what one says who says as much as it can: more than may wait for a member.
_BLOCKS = 128
# Bytes that are no text, each of which is shown as four.
_ESCAPED = bytes(range(0x80, 0x100)) * 2
_numbers = itertools.count()


@attrs.frozen
class Villain:
    """One who misbehaves, and chance."""

    ports: Mapping[str, int]
    chance: random.Random
    # Frames that a flood says at once, and seconds from one thing to the next, about.
    burst: int
    pause: float

    async def connect(self, door: str, *, deaf: bool = False) -> trio.SocketStream:
        """A connection from a random address; one that is deaf has room for little."""
        connection = trio.socket.socket()
        if deaf:
            make_deaf(connection)
        host = ".".join(["127", *(str(self.chance.randrange(1, 255)) for _ in range(3))])
        await connection.bind((host, 0))
        await connection.connect(("127.0.0.1", self.ports[door]))
        return trio.SocketStream(connection)

    async def join(self, door: str = "frame", *, deaf: bool = False) -> trio.SocketStream:
        """A member."""
        stream = await self.connect(door, deaf=deaf)
        name = b"villain-%d" % next(_numbers)
        if door == "frame":
            await stream.send_all(frame(name, b"key"))
            await stream.receive_some(FRAME)
        elif door == "line":
            await stream.send_all(name + b"\nkey\n")
        else:
            await stream.receive_some(64)
            await stream.send_all(name + b" says: key")
        return stream

    def says(self, door: str) -> bytes:
        """Something that has not been said before."""
        text = b"villainy %d %d" % (os.getpid(), next(_numbers))
        return frame(b"villain", text) if door == "frame" else text + b"\n"

    async def wait(self, most: float) -> None:
        """Some time passes."""
        await trio.sleep(self.chance.uniform(0, most))

    def door(self) -> str:
        """Any of the doors."""
        return self.chance.choice(DOORS)


def make_deaf(connection: "socket.socket | trio.socket.SocketType") -> None:
    """Before it connects: both systems keep little for it, so that the server soon has to.

    With the segments of a thin line the server's system begins with a small buffer, too.
    """
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)


def established(connection: "socket.socket | trio.socket.SocketType") -> bool:
    """Whether the system holds a connection for open, seen without reading from it."""
    state: int = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    return state == _ESTABLISHED


async def read_all(stream: trio.SocketStream) -> None:
    """Hear everything, until the end."""
    async for _ in stream:
        pass


async def stuck(villain: Villain) -> None:
    """Joins and never reads again: it knows that it was cut when its socket says so."""
    async with await villain.join(villain.door(), deaf=True) as stream:
        while established(stream.socket):
            await trio.sleep(0.1)


async def trickle(villain: Villain) -> None:
    """Reads some bytes now and then, for a while."""
    stream = await villain.join(villain.door(), deaf=True)
    async with stream:
        end = trio.current_time() + villain.chance.uniform(0, 30 * villain.pause)
        while trio.current_time() < end and await stream.receive_some(
            villain.chance.randrange(1, 2000)
        ):
            await villain.wait(0.2)


async def half(villain: Villain) -> None:
    """Begins a frame or a line and does not end it, for a while."""
    door = villain.door()
    stream = await villain.join(door)
    async with stream, trio.open_nursery() as nursery:
        nursery.start_soon(read_all, stream)
        whole = villain.says(door)
        await stream.send_all(whole[: villain.chance.randrange(1, len(whole))])
        await villain.wait(3 * villain.pause)
        nursery.cancel_scope.cancel()


async def resets(villain: Villain) -> None:
    """Says part of what it has to say, and resets the connection."""
    door = villain.door()
    stream = await villain.connect(door)
    async with stream:
        words = frame(b"villain", b"key") if door == "frame" else b"villain\nkey\n"
        words += b"".join(villain.says(door) for _ in range(20))
        await stream.send_all(words[: villain.chance.randrange(len(words))])
        await villain.wait(0.1)
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    await villain.wait(villain.pause)


async def floods(villain: Villain) -> None:
    """Says very much at once, again and again."""
    door = villain.door()
    stream = await villain.join(door)
    async with stream, trio.open_nursery() as nursery:
        nursery.start_soon(read_all, stream)
        for _ in range(10):
            await stream.send_all(b"".join(villain.says(door) for _ in range(villain.burst)))
            await villain.wait(2 * villain.pause)
        nursery.cancel_scope.cancel()


async def garbage(villain: Villain) -> None:
    """Sends random bytes, as a member or instead of becoming one."""
    door = villain.door()
    stream = await (villain.connect if villain.chance.random() < 0.5 else villain.join)(door)
    async with stream, trio.open_nursery() as nursery:
        nursery.start_soon(read_all, stream)
        for _ in range(villain.chance.randrange(20)):
            await stream.send_all(villain.chance.randbytes(villain.chance.randrange(1, 2000)))
            await villain.wait(villain.pause)
        if door != "frame":
            await stream.send_all(b"\n")
        nursery.cancel_scope.cancel()


async def silent(villain: Villain) -> None:
    """Connects, and says nothing or not all that would let it in."""
    door = villain.door()
    async with await villain.connect(door) as stream:
        await stream.send_all(b"v" * villain.chance.randrange(64))
        with trio.move_on_after(villain.chance.uniform(0, 20)):
            await read_all(stream)


async def asks(villain: Villain) -> None:
    """Asks who is there, all the time, and never reads the answers."""
    async with await villain.join("talk", deaf=True) as stream:
        await trio.sleep(0.1)
        while True:
            await stream.send_all(b"/who:\n" * 200)


async def deaf_flood(villain: Villain) -> None:
    """Says much, as fast as it can, and never reads."""
    async with await villain.join("frame", deaf=True) as stream:
        for _ in range(_BLOCKS):
            await stream.send_all(b"".join(villain.says("frame") for _ in range(128)))
        await villain.wait(villain.pause)


async def long_lines(villain: Villain) -> None:
    """Sends a line that does not end, of what has to be escaped."""
    async with await villain.join("line") as stream, trio.open_nursery() as nursery:
        nursery.start_soon(read_all, stream)
        for _ in range(_BLOCKS):
            await stream.send_all(villain.chance.randbytes(65536).translate(_ESCAPED))
        nursery.cancel_scope.cancel()
    await villain.wait(villain.pause)


Kind = Callable[[Villain], Awaitable[None]]
KINDS: dict[str, Kind] = {
    kind.__name__: kind
    for kind in (
        stuck,
        trickle,
        half,
        resets,
        floods,
        garbage,
        silent,
        asks,
        deaf_flood,
        long_lines,
    )
}


@contextlib.contextmanager
def villains(
    room: Room, kinds: Mapping[str, int], seed: int, *, burst: int = 200, pause: float = 1.0
) -> Iterator[dict[str, int]]:
    """So many of each kind misbehave while the block runs; in the end, how many lives each led."""
    lives: dict[str, int] = {}
    ports = {door: room.port_of(door) for door in DOORS}
    described = json.dumps({"ports": ports, "kinds": kinds})
    command = (sys.executable, "-m", "tests.faults.villains", described, str(seed))
    pace = ("--burst", str(burst), "--pause", str(pause))
    with Program(*command, *pace, stdin=subprocess.PIPE) as program:
        program.wait_for("ready")
        yield lives
        program.end_input()
        assert program.wait() == 0, program.stderr
        lives.update(json.loads(program.stdout.removeprefix("ready")))


async def _live(kind: Kind, villain: Villain, lives: Counter[str]) -> None:
    while True:
        try:
            await kind(villain)
        except* (OSError, trio.BrokenResourceError):
            pass  # the server ended it
        lives[kind.__name__] += 1
        await villain.wait(0.2)


async def _misbehave(options: argparse.Namespace) -> None:
    described = json.loads(options.described)
    chance = random.Random(options.seed)
    lives: Counter[str] = Counter()
    async with trio.open_nursery() as nursery:
        for name, count in described["kinds"].items():
            for _ in range(count):
                luck = random.Random(chance.random())
                villain = Villain(described["ports"], luck, options.burst, options.pause)
                nursery.start_soon(_live, KINDS[name], villain, lives)
        print("ready", flush=True)
        await trio.to_thread.run_sync(sys.stdin.read)
        nursery.cancel_scope.cancel()
    print(json.dumps({name: lives[name] + count for name, count in described["kinds"].items()}))


def main() -> None:
    """Misbehave until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("described", help="ports by door and numbers by kind, as JSON")
    parser.add_argument("seed", type=int)
    parser.add_argument("--burst", type=int, required=True)
    parser.add_argument("--pause", type=float, required=True)
    allow_descriptors(0)
    trio.run(_misbehave, parser.parse_args())


if __name__ == "__main__":
    main()
