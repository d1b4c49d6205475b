"""The console: what the operator sees on standard output. Never blocks the room.

What is shown is kept in the room's order; one task formats it in batches and hands them to a
thread that writes. Where the output is stuck, what could not be kept is counted, and the count is
shown as soon as the output moves again.
"""

import contextlib
import errno
import ipaddress
import os
import select
import socket
import sys
from collections.abc import AsyncIterator, Iterable
from functools import partial
from itertools import groupby
from operator import itemgetter

import attrs
import trio

from sopchat import limits
from sopchat.departure import Departure
from sopchat.doors import Offer
from sopchat.rate import Rate
from sopchat.room import Member, Room
from sopchat.wire.display import as_lines, coloured, printable
from sopchat.wire.frame import FRAME_SIZE


@attrs.define(eq=False)
class Console:
    """Shows lines on a file descriptor, or nowhere if there is none.

    A watcher of the room; sessions and the server tell it the rest.
    """

    output: int | None
    encoding: str = "utf-8"
    colour: bool = False
    show_messages: bool = True
    show_keys: bool = True
    # Bytes that may wait for the output before lines are counted instead of kept.
    mark: int = limits.CONSOLE_MARK
    # Chunks with the name of who sent them, not formatted yet, and the bytes of the chunks.
    _chunks: list[tuple[bytes, bytes]] = attrs.field(factory=list, init=False)
    _chunks_size: int = attrs.field(default=0, init=False)
    # What is to be written, as it will be.
    _waiting: list[bytes] = attrs.field(factory=list, init=False)
    # How many lines of messages and events that is, mentions of unshown lines not counted.
    _lines_waiting: int = attrs.field(default=0, init=False)
    # Bytes waiting, the batch being written included.
    _size: int = attrs.field(default=0, init=False)
    # Lines that were not kept since the start, and how many of them have been mentioned.
    _unshown: int = attrs.field(default=0, init=False)
    _mentioned: int = attrs.field(default=0, init=False)
    # Whether standard error has been told that the output fails.
    _complained: bool = attrs.field(default=False, init=False)
    _news: trio.Event = attrs.field(factory=trio.Event, init=False)
    _closing: trio.Event = attrs.field(factory=trio.Event, init=False)

    # What happens, in the order of a connection's life.

    def listening(self, place: str, door: str = "") -> None:
        """The server accepts connections now: frame clients', or those of the door named."""
        shown = printable(os.fsencode(place))
        self.show(f"listening on {shown}{f' for {door}' if door else ', Ctrl-C ends'}")

    def encrypted(self, fingerprint: str) -> None:
        """What crosses the network will be encrypted; who joins may compare the fingerprint."""
        self.show(f"encrypted; the certificate's SHA-256 fingerprint is {fingerprint}")

    def unencrypted(self, listeners: Iterable[socket.socket]) -> None:
        """Nothing will be: told where others than this machine may listen."""
        hosts = {
            listener.getsockname()[0].removeprefix("::ffff:")
            for listener in listeners
            if listener.family != socket.AF_UNIX
        }
        if not all(ipaddress.ip_address(host.partition("%")[0]).is_loopback for host in hosts):
            self.show("what is said crosses the network in the clear; --tls auto encrypts it")

    def exhausted(self, error: OSError) -> None:
        """The system has no descriptor or memory for one more connection."""
        self.show(f"no new clients for now: {error.strerror}")

    def offered(self, peer: str, offer: Offer, fits: bool) -> None:
        """A client offered a name and a key."""
        key = f" '{printable(offer.key)}'" if self.show_keys else ""
        verdict = "which fits" if fits else "which does not fit"
        self.show(f"{peer} offers as {self._name(offer.name)} the key{key}, {verdict}")

    def turned_away(self, peer: str, departure: Departure) -> None:
        """A connection ended that never was a member."""
        self.show(f"{peer} did not join: {departure}")

    def joined(self, room: Room, member: Member) -> None:
        """A member joined."""
        self.show(f"{self._name(member.name)} joined ({len(room)}/{room.limit})")

    def relayed(self, member: Member, chunk: bytes) -> None:
        """A member sent frames."""
        self.messages(member.name, chunk)

    @property
    def shows_messages(self) -> bool:
        """Whether messages are formatted, and not dropped."""
        return self.show_messages and self.output is not None

    def messages(self, name: bytes, chunk: bytes) -> None:
        """Frames came from whom authenticated as `name`."""
        if self.shows_messages:
            self._chunks.append((name, chunk))
            self._chunks_size += len(chunk)
            if self._chunks_size >= limits.CONSOLE_BATCH:
                self._format()
            self._news.set()

    def slowed(self, member: Member, rate: Rate) -> None:
        """A member says more than its rate, and is read more slowly now."""
        self.show(f"{self._name(member.name)} is slowed down: {rate} are let through")

    def left(self, room: Room, member: Member, departure: Departure) -> None:
        """A member left."""
        self.show(f"{self._name(member.name)} left ({len(room)}/{room.limit}): {departure}")

    def closing(self) -> None:
        """The server has closed everything and ends."""
        self.show("closing")

    # How it is shown.

    def show(self, line: str) -> None:
        """Show a line that holds nothing unsafe."""
        if self._chunks:
            self._format()
        self._keep(line + "\n", 1)

    def _format(self) -> None:
        """Format the chunks that have come, those of one member in a row together."""
        for name, chunks in groupby(self._chunks, itemgetter(0)):
            chunk = b"".join(map(itemgetter(1), chunks))
            if self._size > self.mark:
                self._unshown += len(chunk) // FRAME_SIZE
                continue
            self._keep(as_lines(chunk, partial(self._start, name)), len(chunk) // FRAME_SIZE)
        self._chunks.clear()
        self._chunks_size = 0

    def _name(self, name: bytes) -> str:
        shown = printable(name) or "(no name)"
        return coloured(shown) if self.colour else shown

    def _start(self, name: bytes, used: bytes) -> str:
        """What stands before a text; both names of who uses another one than it joined with."""
        by = "" if used == name else f" (by {self._name(name)})"
        return f"{self._name(used)}{by}: "

    # How it gets out.

    def _keep(self, text: str, lines: int) -> None:
        if self.output is None:
            return
        if self._size > self.mark:
            self._unshown += lines
            return
        self._mention_unshown()
        self._append(text)
        self._lines_waiting += lines

    def _append(self, text: str) -> None:
        data = text.encode(self.encoding, "backslashreplace")
        self._waiting.append(data)
        self._size += len(data)
        self._news.set()

    def _mention_unshown(self) -> None:
        """The count is of all lines since the start, so that one lost mention loses nothing."""
        if self._unshown > self._mentioned:
            self._mentioned = self._unshown
            self._append(f"{self._unshown} lines so far not shown: the output did not take them\n")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Show what comes while the block runs; its end waits a moment for the last lines."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write_batches)
            yield
            self._closing.set()
            self._news.set()
            nursery.cancel_scope.deadline = trio.current_time() + limits.CONSOLE_FAREWELL

    async def _write_batches(self) -> None:
        while self.output is not None and (self._news.is_set() or not self._closing.is_set()):
            await self._news.wait()
            self._news = trio.Event()
            self._format()
            batch, self._waiting = b"".join(self._waiting), []
            lines, self._lines_waiting = self._lines_waiting, 0
            try:
                await trio.to_thread.run_sync(
                    _write_all, self.output, batch, abandon_on_cancel=True
                )
            except OSError as error:
                self._failed(error, len(batch), lines)
            else:
                self._size -= len(batch)
                self._mention_unshown()
            with trio.move_on_after(limits.CONSOLE_INTERVAL):
                await self._closing.wait()

    def _failed(self, error: OSError, size: int, lines: int) -> None:
        """The output did not take the batch: for good, or for now as when a disk is full."""
        self._size -= size
        self._unshown += lines
        if error.errno in (errno.EPIPE, errno.EBADF, errno.EIO):
            self.output = None
            self._waiting.clear()
            self._complain(f"{error.strerror}: nothing more is shown")
        elif not self._complained:
            self._complain(f"{error.strerror}: lines are not shown until that has passed")
        self._complained = True

    def _complain(self, text: str) -> None:
        """On standard error, if there is one that takes it.

        By the descriptor: what Python's own buffer cannot get rid of spoils the exit status.
        """
        if sys.stderr is not None:
            with contextlib.suppress(OSError):
                os.write(sys.stderr.fileno(), f"sop-chat: {text}\n".encode())


def _write_all(output: int, batch: bytes) -> None:
    """Write all of `batch`, waiting as long as it takes. Runs in a thread of its own."""
    rest = memoryview(batch)
    while rest:
        try:
            rest = rest[os.write(output, rest) :]
        except BlockingIOError:  # somebody who shares the output made it non-blocking
            select.select([], [output], [])
