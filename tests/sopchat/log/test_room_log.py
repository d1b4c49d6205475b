"""The watcher: everything relayed is written, and whatever the disk does, the room goes on."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from sopchat import limits
from sopchat.console import Console
from sopchat.doors.frame import FrameDoor
from sopchat.limits import Limits
from sopchat.log import room_log
from sopchat.log.page import Gap
from sopchat.log.reader import last_groups, scan
from sopchat.log.room_log import RoomLog, Sync
from sopchat.log.writer import Chunk, Writer
from sopchat.outbox import Outbox
from sopchat.room import Member, Room
from tests.support.connection import PlayedConnection
from tests.support.frames import FRAME, frame
from tests.support.logs import damages, frames_of, read


class Told(Console):
    """A console that keeps its lines."""

    def __init__(self) -> None:
        super().__init__(None)
        self.lines: list[str] = []

    def show(self, line: str) -> None:
        self.lines.append(line)


class Disk:
    """Stands before the writer: the test says what the disk does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.takes = threading.Event()
        self.takes.set()
        self.error: OSError | None = None
        self.asked = threading.Event()
        self.syncs = 0
        write, sync = Writer.write, Writer.sync

        def played(writer: Writer, chunks: Sequence[Chunk]) -> None:
            self.asked.set()
            self.takes.wait()
            if self.error is not None:
                raise self.error
            write(writer, chunks)

        def counted(writer: Writer) -> None:
            self.syncs += 1
            sync(writer)

        monkeypatch.setattr(Writer, "write", played)
        monkeypatch.setattr(Writer, "sync", counted)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def a_room(log: RoomLog) -> tuple[Room, Member]:
    room = Room(4, watchers=[log])
    outbox = Outbox(PlayedConnection(), room.pressure, Limits())
    ann = Member(b"ann", "192.0.2.1:5", FrameDoor(), outbox)
    room.join(ann)
    return room, ann


async def until_written(log: RoomLog, frames: int) -> None:
    with trio.fail_after(20):
        while log.written < frames:
            await trio.sleep(0.001)


@pytest.mark.parametrize("sync", list(Sync))
async def test_all_that_is_relayed_is_written_in_order(tmp_path: Path, sync: Sync) -> None:
    log = RoomLog.open(tmp_path / "log", Told(), sync, size=3 * 65536)
    _, ann = a_room(log)
    sent = []
    async with log.running():
        for size in (1, 5, 9, 700, 2):
            chunk = [frame("ann", f"{size} {place}") for place in range(size)]
            log.relayed(ann, b"".join(chunk))
            sent += chunk
            await until_written(log, len(sent) // 2)
    assert read(tmp_path / "log") == sent
    assert (log.written, log.missing, log.waiting, log.next) == (717, 0, 0, 718)


async def test_the_end_writes_what_is_left_though_it_is_cancelled(tmp_path: Path) -> None:
    log = RoomLog.open(tmp_path / "log", Told())
    _, ann = a_room(log)
    with trio.CancelScope() as scope:
        async with log.running():
            log.relayed(ann, frame("ann", "last words") * 5)
            scope.cancel()
            await trio.sleep_forever()
    assert scope.cancelled_caught
    assert read(tmp_path / "log") == [frame("ann", "last words")] * 5
    Writer.open(tmp_path / "log", 8).close()


async def test_a_restart_continues_and_says_what_was_torn(tmp_path: Path) -> None:
    for _ in range(3):
        log = RoomLog.open(tmp_path / "log", told := Told())
        _, ann = a_room(log)
        async with log.running():
            log.relayed(ann, frame("ann", "x"))
        with (tmp_path / "log").open("ab") as file:
            file.write(b"torn")
    assert told.lines == [
        "the room log goes on with message 3",
        "the room log ended in a torn record: 4 bytes dropped",
    ]
    assert last_groups(tmp_path / "log", 9)[0] == 4


async def test_times_never_run_backwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = RoomLog.open(tmp_path / "log", Told())
    _, ann = a_room(log)
    clock = [5_000_000, 3_000_000, 9_000_000]
    monkeypatch.setattr("time.time_ns", lambda: clock.pop(0))
    async with log.running():
        for _ in range(3):
            log.relayed(ann, frame("ann", "x"))
    _, groups = last_groups(tmp_path / "log", 3)
    assert [group.time for group in groups] == [5_000, 5_000, 9_000]


NO_SPACE = OSError(28, os.strerror(28))
SHOUTED = "THE ROOM LOG IS NOT WRITTEN: No space left on device; the room goes on without it"


async def until_failed(log: RoomLog, failures: int) -> None:
    with trio.fail_after(20):
        while log.failures < failures:
            await trio.sleep(0.001)


async def test_a_full_disk_is_shouted_once_and_what_waits_is_written_when_it_has_room(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_log, "_RETRY", 0.001)
    log = RoomLog.open(tmp_path / "log", told := Told())
    room, ann = a_room(log)
    async with log.running():
        log.relayed(ann, frame("ann", "1"))
        await until_written(log, 1)
        disk.error = NO_SPACE
        for failures in (2, 4):
            log.relayed(ann, frame("ann", "waits") * 10)
            await until_failed(log, failures)
        assert not room.pressure.over
        assert (log.missing, log.waiting) == (0, 20 * FRAME)
        disk.error = None
        await until_written(log, 21)
        assert log.waiting == 0
    assert told.lines == [SHOUTED, "the room log is written again: no frame is missing"]
    assert read(tmp_path / "log") == [frame("ann", "1")] + [frame("ann", "waits")] * 20


async def test_what_a_full_disk_leaves_no_place_for_is_missing_and_the_room_goes_on(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LOG_STALL", 0.05)
    monkeypatch.setattr(room_log, "_RETRY", 0.001)
    log = RoomLog.open(tmp_path / "log", told := Told())
    log.mark = 10 * FRAME
    room, ann = a_room(log)
    disk.error = NO_SPACE
    async with log.running():
        log.relayed(ann, frame("ann", "1"))
        await until_failed(log, 1)
        log.relayed(ann, frame("ann", "lost") * 20)
        assert room.pressure.over
        with trio.fail_after(20):
            await room.pressure.relief()
        log.relayed(ann, frame("ann", "lost"))
        assert (log.missing, log.waiting) == (21, FRAME)
        disk.error = None
        await until_written(log, 1)
        log.relayed(ann, frame("ann", "again"))
    assert told.lines == [
        SHOUTED,
        "the room log is written again: 21 frames so far are missing, the last of them before"
        " frame 23",
    ]
    parts = list(scan(tmp_path / "log"))
    assert frames_of(parts) == [frame("ann", "1"), frame("ann", "again")]
    assert Gap(2, 21) in parts
    assert not damages(tmp_path / "log")


async def test_the_end_waits_for_no_disk_that_fails(tmp_path: Path, disk: Disk) -> None:
    log = RoomLog.open(tmp_path / "log", told := Told())
    _, ann = a_room(log)
    disk.error = NO_SPACE
    async with log.running():
        log.relayed(ann, frame("ann", "lost") * 3)
        await until_failed(log, 1)
        begin = trio.current_time()
    assert trio.current_time() - begin < limits.LOG_FAREWELL / 2
    assert (log.missing, log.waiting, told.lines) == (
        3,
        0,
        [SHOUTED, "THE ROOM LOG ENDS WITH 3 FRAMES MISSING"],
    )


async def test_a_slow_disk_makes_readers_wait_and_nothing_is_lost(
    tmp_path: Path, disk: Disk
) -> None:
    log = RoomLog.open(tmp_path / "log", Told())
    log.mark = 100 * FRAME
    room, ann = a_room(log)
    disk.takes.clear()
    async with log.running():
        log.relayed(ann, frame("ann", "x") * 100)
        assert not room.pressure.over
        log.relayed(ann, frame("ann", "x"))
        assert room.pressure.over
        disk.takes.set()
        with trio.fail_after(20):
            await room.pressure.relief()
    assert len(read(tmp_path / "log")) == 101


async def test_a_stuck_disk_stops_neither_the_room_nor_its_end(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LOG_STALL", 0.05)
    log = RoomLog.open(tmp_path / "log", told := Told())
    log.mark = 10 * FRAME
    room, ann = a_room(log)
    disk.takes.clear()
    async with log.running():
        log.relayed(ann, frame("ann", "1"))
        await trio.to_thread.run_sync(disk.asked.wait)
        log.relayed(ann, frame("ann", "lost") * 20)
        with trio.fail_after(20):
            await room.pressure.relief()
        log.relayed(ann, frame("ann", "lost"))
        assert (log.missing, log.waiting) == (21, FRAME)
        disk.takes.set()
        await until_written(log, 1)
        log.relayed(ann, frame("ann", "again"))
        await until_written(log, 2)
        disk.takes.clear()
        monkeypatch.setattr(limits, "LOG_FAREWELL", 0.05)
        disk.asked.clear()
        log.relayed(ann, frame("ann", "last") * 3)
        await trio.to_thread.run_sync(disk.asked.wait)
    assert log.missing == 24
    assert [line.partition(":")[0] for line in told.lines] == [
        "THE ROOM LOG IS NOT WRITTEN",
        "the room log is written again",
        "THE ROOM LOG'S DISK IS STUCK",
    ]
    assert Gap(2, 21) in list(scan(tmp_path / "log"))
    disk.takes.set()


async def test_what_is_synced_is_what_was_asked_for(
    tmp_path: Path, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LOG_SYNC_INTERVAL", 0.01)
    syncs = {}
    for sync in Sync:
        disk.syncs = 0
        log = RoomLog.open(tmp_path / sync.value, Told(), sync)
        _, ann = a_room(log)
        async with log.running():
            for number in range(1, 4):
                log.relayed(ann, frame("ann", "x"))
                await until_written(log, number)
                with trio.fail_after(20):
                    while sync is not Sync.NEVER and disk.syncs < number:
                        await trio.sleep(0.001)
        syncs[sync] = disk.syncs
    assert syncs == {Sync.ALWAYS: 3, Sync.SECOND: 4, Sync.NEVER: 0}
