"""One member's outbox: what waits to be sent to it, and who sends it.

Two write, never at once: the direct write while nothing waits, and otherwise the sender task.
"""

import contextlib
import math
import os
from collections.abc import Callable, Sequence

import attrs
import trio

from sopchat.connection import Connection
from sopchat.departure import Departure, Reason
from sopchat.limits import Limits
from sopchat.pressure import Pressure

# The most pieces that one gathering write takes (POSIX IOV_MAX; 16 is its least value).
_MOST_PIECES = max(os.sysconf("SC_IOV_MAX"), 16)

_Channel = tuple[
    trio.MemorySendChannel[bytes | memoryview], trio.MemoryReceiveChannel[bytes | memoryview]
]

# How often within the stall timeout it is looked whether a member that takes nothing confirms.
_LOOKS = 50


class _TooSlow(Exception):
    """The member takes nothing, or only a trickle."""


@attrs.define(eq=False)
class Outbox:
    """The queue of chunks for one member, in a memory channel.

    The channel itself is unbounded: its chunks are shared with the other outboxes, so what
    bounds the memory is the number of bytes that wait, and over `limits.mark` of them
    the outbox raises the room's pressure instead of refusing.
    """

    _connection: Connection
    _pressure: Pressure
    _limits: Limits
    # Cancelled when for the first time something has to wait. Most members never need more than
    # the direct write, and a channel and a task of their own would cost each of them 5 KiB.
    idle: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    # Bytes put and not yet taken by the connection, the batch being written included.
    waiting: int = attrs.field(default=0, init=False)
    # When `waiting` went over the mark (Trio's clock), until it is half the mark again.
    _over_since: float | None = attrs.field(default=None, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    # What a direct write met, for the sender task to report: the system says it only once.
    _error: OSError | None = attrs.field(default=None, init=False)
    _channel: _Channel | None = attrs.field(default=None, init=False)
    _send_now: Callable[[bytes], int] = attrs.field(init=False)
    _mark: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._mark = self._limits.mark
        self._send_now = self._connection.send_now

    def put(self, chunk: bytes) -> None:
        """Send `chunk` after all that came before it. Never waits, never fails.

        A closed outbox drops what would have to wait: its member is on the way out.
        """
        piece: bytes | memoryview = chunk
        if not self.waiting:
            # The direct write: an idle member gets its frames without a task being woken.
            try:
                sent = self._send_now(chunk)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                # Without the traceback, which would hold this outbox and be held by it.
                self._error, sent = error.with_traceback(None), 0
            if sent == len(chunk):
                return
            if sent:
                piece = memoryview(chunk)[sent:]
        if self._closed:
            return
        put, _ = self._channel or self._open()
        put.send_nowait(piece)
        self.waiting += len(piece)
        if self._over_since is None and self.waiting > self._mark:
            self._over_since = trio.current_time()
            self._pressure.rise()

    def put_first(self, chunk: bytes) -> None:
        """Send what a member gets before it hears anybody: the others do not wait for that."""
        self._mark += len(chunk)
        self.put(chunk)

    def _open(self) -> _Channel:
        self._channel = trio.open_memory_channel[bytes | memoryview](math.inf)
        self.idle.cancel()
        return self._channel

    @property
    def unsent(self) -> bool:
        """Whether something waits here, or on the way to the client's system."""
        return bool(self.waiting or self._connection.unacknowledged())

    async def run(self) -> Departure:
        """The sender task: write what waits until the connection fails or is too slow."""
        _, take = self._channel or self._open()
        try:
            while True:
                await self._write(await _next_batch(take))
        except OSError as error:
            return Departure.from_error(error)
        except _TooSlow:
            return Departure(Reason.TOO_SLOW)
        finally:
            self.close()

    async def _write(self, batch: list[bytes | memoryview]) -> None:
        while batch:
            sent = await self._send(batch[:_MOST_PIECES])
            self.waiting -= sent
            if self._over_since is not None and self.waiting <= self._mark // 2:
                self._over_since = None
                self._pressure.fall()
            whole = 0
            while whole < len(batch) and sent >= len(batch[whole]):
                sent -= len(batch[whole])
                whole += 1
            del batch[:whole]
            if sent:
                batch[0] = memoryview(batch[0])[sent:]

    async def _send(self, pieces: Sequence[bytes | memoryview]) -> int:
        """One write, as soon as the connection takes something.

        A socket becomes writable only when much of its buffer is free, so a slow member that
        does read may look stuck: what the far side has confirmed tells the two apart.
        """
        unconfirmed, moved = self._connection.unacknowledged(), trio.current_time()
        while True:
            if self._error is not None:
                raise self._taken_error()
            looked, stalled = trio.current_time(), moved + self._limits.stall_timeout
            if looked >= stalled or self._trickles():
                raise _TooSlow
            with trio.move_on_at(min(looked + self._limits.stall_timeout / _LOOKS, stalled)):
                return await self._connection.send(pieces)
            before, unconfirmed = unconfirmed, self._connection.unacknowledged()
            if unconfirmed < before:
                moved = looked  # or a little later: it is cut within its time, not after it

    def _taken_error(self) -> OSError:
        """What a direct write met, kept no longer: once raised, its traceback holds this outbox."""
        assert self._error is not None
        try:
            return self._error
        finally:
            self._error = None

    def _trickles(self) -> bool:
        """Whether the outbox has been over its mark for too long though it is being taken."""
        return (
            self._over_since is not None
            and trio.current_time() - self._over_since >= self._limits.over_mark_timeout
        )

    def close(self) -> None:
        """Keep nothing from now on, and raise no pressure. A second call does nothing."""
        self._closed = True
        if self._over_since is not None:
            self._over_since = None
            self._pressure.fall()


async def _next_batch(
    take: trio.MemoryReceiveChannel[bytes | memoryview],
) -> list[bytes | memoryview]:
    """Wait for a chunk, then take all that wait with it."""
    batch = [await take.receive()]
    with contextlib.suppress(trio.WouldBlock):
        while True:
            batch.append(take.receive_nowait())
    return batch
