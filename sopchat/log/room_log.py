"""The watcher that keeps the room log. Never blocks the room.

What is relayed is kept in the room's order, and one task hands batches to a thread that writes. A
disk that is slower than the room slows it down. One that is full or fails is tried again, and what
comes meanwhile waits, up to the mark. Beyond that it is as one that is stuck: the room goes on,
and frames are missing in the log, counted, and said on the console.
"""

import contextlib
import time
from collections.abc import AsyncIterator
from enum import Enum
from pathlib import Path
from typing import Self

import attrs
import trio

from sopchat import limits
from sopchat.arguments import system_words
from sopchat.console import Console
from sopchat.departure import Departure
from sopchat.log.page import PAGE_SIZE
from sopchat.log.writer import Chunk, Writer
from sopchat.pressure import Pressure
from sopchat.room import Member, Room
from sopchat.wire.frame import FRAME_SIZE

# A disk that is full or fails is tried again after this time (seconds): often enough that the log
# goes on soon, and seldom enough that a try costs nothing.
_RETRY = 0.5


class Sync(Enum):
    """When what was written is brought to disk (docs/room-log.md, "What a crash may lose")."""

    ALWAYS = "always"
    SECOND = "second"
    NEVER = "never"


@attrs.define(eq=False)
class RoomLog:
    """Appends every frame that is relayed."""

    _writer: Writer
    _console: Console
    _sync: Sync
    # Bytes that may wait before readers do.
    mark: int = limits.LOG_MARK
    # The sequence number of the next frame.
    next: int = attrs.field(init=False)
    # Since the start: frames written; frames that are missing; bytes that wait to be written; how
    # often writing and syncing failed.
    written: int = attrs.field(default=0, init=False)
    missing: int = attrs.field(default=0, init=False)
    waiting: int = attrs.field(default=0, init=False)
    failures: int = attrs.field(default=0, init=False)
    sync_failures: int = attrs.field(default=0, init=False)
    # Microseconds since 1970 of the last frame: times never run backwards.
    _time: int = attrs.field(init=False)
    _chunks: list[Chunk] = attrs.field(factory=list, init=False)
    # Where the room's pressure is raised, while it is.
    _pressed: Pressure | None = attrs.field(default=None, init=False)
    _pressure: Pressure | None = attrs.field(default=None, init=False)
    # The sequence number after the last frame that is missing.
    _behind_missing: int = attrs.field(default=0, init=False)
    # Whether nothing is kept because the disk takes nothing.
    _stuck: bool = attrs.field(default=False, init=False)
    # Whether the console has been told that the log is not written, or not safe on disk.
    _told: bool = attrs.field(default=False, init=False)
    _sync_told: bool = attrs.field(default=False, init=False)
    _news: trio.Event = attrs.field(factory=trio.Event, init=False)
    _over: trio.Event = attrs.field(factory=trio.Event, init=False)
    _moved: trio.Event = attrs.field(factory=trio.Event, init=False)
    _unsynced: trio.Event = attrs.field(factory=trio.Event, init=False)
    _closing: trio.Event = attrs.field(factory=trio.Event, init=False)

    def __attrs_post_init__(self) -> None:
        self.next, self._time = self._writer.next, self._writer.time

    @classmethod
    def open(
        cls, path: Path, console: Console, sync: Sync = Sync.SECOND, size: int = 0, keep: int = 0
    ) -> Self:
        """Continue the log at `path`, or begin it, and say on the console if its end was torn.

        `size` is how many bytes a file may have before it is rotated, 0 for no end; `keep` how
        many old files stay, 0 for all. Raises OSError, LogError.
        """
        pages = size and max(size // PAGE_SIZE, 1)
        syncs = sync is not Sync.NEVER
        writer = Writer.open(path, limits.LOG_ALONE, pages, keep, syncs=syncs)
        if writer.next > 1:
            console.show(f"the room log goes on with message {writer.next}")
        if writer.torn:
            console.show(f"the room log ended in a torn record: {writer.torn} bytes dropped")
        return cls(writer, console, sync)

    # What happens in the room.

    def joined(self, room: Room, member: Member) -> None:
        """A member joined: it may be the first of its room."""
        self._pressure = room.pressure

    def relayed(self, member: Member, frames: bytes) -> None:
        """A member sent frames."""
        sequence, count = self.next, len(frames) // FRAME_SIZE
        self.next += count
        self._time = max(self._time, time.time_ns() // 1000)
        if self._stuck:
            self.missing += count
            self._behind_missing = self.next
            return
        self._chunks.append((sequence, self._time, frames))
        self.waiting += len(frames)
        if self.waiting > self.mark and self._pressed is None and self._pressure is not None:
            self._pressed = self._pressure
            self._pressed.rise()
            self._over.set()
        self._news.set()

    def left(self, room: Room, member: Member, departure: Departure) -> None:
        """A member left."""

    # How it gets onto the disk.

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Write what comes while the block runs; its end writes what is left, within 5 s.

        Also when it is cancelled. Then another server may continue the log.
        """
        scope = trio.CancelScope(shield=True)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._run, scope)
            try:
                yield
            finally:
                self._closing.set()
                self._news.set()
                self._unsynced.set()
                scope.deadline = trio.current_time() + limits.LOG_FAREWELL

    async def _run(self, scope: trio.CancelScope) -> None:
        with scope:
            async with trio.open_nursery() as syncing:
                if self._sync is Sync.SECOND:
                    syncing.start_soon(self._sync_each_second)
                async with trio.open_nursery() as watching:
                    watching.start_soon(self._watch_disk)
                    await self._write_batches()
                    watching.cancel_scope.cancel()
            if self._sync is Sync.SECOND:
                await self._bring_to_disk()
            self._writer.close()
        if scope.cancelled_caught:  # the thread that writes is left behind, with its file
            self.missing += self.waiting // FRAME_SIZE
            self._console.show(
                f"THE ROOM LOG'S DISK IS STUCK: {self.missing} frames are missing, and the last"
                " that were written may not be safe"
            )
        elif self._told:
            self._console.show(f"THE ROOM LOG ENDS WITH {self.missing} FRAMES MISSING")

    async def _write_batches(self) -> None:
        while self._chunks or not self._closing.is_set():
            if not self._chunks:
                self._news = trio.Event()
                await self._news.wait()
                continue
            batch, size = self._take_batch()
            await self._write(batch)
            self.waiting -= size
            self._moved.set()
            self._stuck = False
            if self._pressed is not None and self.waiting <= self.mark // 2:
                self._fall()
            if self.waiting < limits.LOG_BATCH:
                with trio.move_on_after(limits.LOG_INTERVAL):
                    await self._closing.wait()

    def _take_batch(self) -> tuple[list[Chunk], int]:
        size = count = 0
        for _, _, frames in self._chunks:
            if count and size + len(frames) > limits.LOG_BATCH:
                break
            size += len(frames)
            count += 1
        batch = self._chunks[:count]
        del self._chunks[:count]
        return batch, size

    async def _write(self, batch: list[Chunk]) -> None:
        """Write a batch: again and again while that fails, but for the end, which tries once."""
        frames = sum(len(chunk[2]) for chunk in batch) // FRAME_SIZE
        while True:
            closing = self._closing.is_set()
            try:
                await trio.to_thread.run_sync(self._writer.write, batch, abandon_on_cancel=True)
                break
            except OSError as error:
                self.failures += 1
                self._complain(system_words(error))
            if closing:
                done = _frames_before(batch, self._writer.next)
                self.written += done
                self.missing += frames - done
                return
            with trio.move_on_after(_RETRY):
                await self._closing.wait()
        self.written += frames
        self._unsynced.set()
        if self._sync is Sync.ALWAYS:
            await self._bring_to_disk()
        if self._told:
            self._told = False
            self._console.show(f"the room log is written again: {self._left_out()}")

    def _left_out(self) -> str:
        if not self.missing:
            return "no frame is missing"
        words = f"{self.missing} frames so far are missing, the last of them before frame"
        return f"{words} {self._behind_missing}"

    def _complain(self, words: str) -> None:
        if not self._told:
            self._told = True
            self._console.show(f"THE ROOM LOG IS NOT WRITTEN: {words}; the room goes on without it")

    async def _watch_disk(self) -> None:
        """While the room waits for the disk: see whether that takes anything."""
        while True:
            await self._over.wait()
            self._moved = trio.Event()
            with trio.move_on_after(limits.LOG_STALL) as timeout:
                await self._moved.wait()
            if timeout.cancelled_caught and self._pressed is not None:
                self._stuck = True
                self._drop()
                self._fall()
                self._complain(f"its disk took nothing for {limits.LOG_STALL:g} seconds")

    def _drop(self) -> None:
        """Give up what waits to be written, but for the batch under way."""
        size = sum(len(frames) for _, _, frames in self._chunks)
        if self._chunks:
            self._behind_missing = self.next
        self._chunks.clear()
        self.waiting -= size
        self.missing += size // FRAME_SIZE

    def _fall(self) -> None:
        if self._pressed is not None:
            self._pressed.fall()
            self._pressed = None
            self._over = trio.Event()

    async def _sync_each_second(self) -> None:
        while True:
            await self._unsynced.wait()
            with trio.move_on_after(limits.LOG_SYNC_INTERVAL):
                await self._closing.wait()
                return  # the end brings all to disk
            self._unsynced = trio.Event()
            await self._bring_to_disk()

    async def _bring_to_disk(self) -> None:
        try:
            await trio.to_thread.run_sync(self._writer.sync, abandon_on_cancel=True)
        except OSError as error:
            self.sync_failures += 1
            if not self._sync_told:
                self._sync_told = True
                words = system_words(error)
                self._console.show(f"THE ROOM LOG IS NOT SAFE ON DISK: {words}; the room goes on")


def _frames_before(batch: list[Chunk], reached: int) -> int:
    """How many frames of a batch have a sequence number below `reached`."""
    return sum(
        min(max(reached - sequence, 0), len(frames) // FRAME_SIZE) for sequence, _, frames in batch
    )
