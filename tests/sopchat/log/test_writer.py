"""Appending, rotating, going on after errors and restarts."""

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sopchat.log.errors import LogError
from sopchat.log.files import foreign_files, old_files, opened
from sopchat.log.page import Damage, Gap, Group
from sopchat.log.reader import last_frames, page_at, page_of, scan
from sopchat.log.repair import repair
from sopchat.log.writer import Writer, is_locked
from tests.support.frames import FRAME, cut, frame
from tests.support.logs import ALONE, damages, frames_of, read, write


def since(moment: int, parts: Iterator[Group | Damage | Gap]) -> list[Group]:
    return [part for part in parts if isinstance(part, Group) and part.time >= moment]


SIZES = st.lists(st.integers(1, 300), max_size=4)


@settings(max_examples=40)
@given(batches=st.lists(SIZES, max_size=5), pages=st.integers(0, 3))
def test_what_is_appended_in_any_chunks_is_read(
    tmp_path_factory: pytest.TempPathFactory, batches: list[list[int]], pages: int
) -> None:
    log = tmp_path_factory.mktemp("logs") / "log"
    written = []
    for sizes in batches:  # each continues the log
        written += write(log, *sizes, most_pages=pages)
    if batches:
        assert read(log) == written
        assert last_frames(log, 7) == (len(written) + 1, b"".join(written[-7:]))


def test_chunks_of_one_batch_are_written_together(tmp_path: Path) -> None:
    log = tmp_path / "log"
    chunks = [[frame("ann", f"{number}")] * number for number in range(1, 60)]
    writer = Writer.open(log, ALONE)
    batch, sequence = [], 1
    for chunk in chunks:
        batch.append((sequence, 5, b"".join(chunk)))
        sequence += len(chunk)
    writer.write(batch)
    writer.close()
    assert read(log) == [one for chunk in chunks for one in chunk]


def test_a_gap_is_visible_and_the_sequence_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    before = write(log, 3, 20)
    after = write(log, 5, 200, first=31)
    parts = list(scan(log))
    assert [part for part in parts if isinstance(part, Gap)] == [Gap(24, 7)]
    assert frames_of(parts) == before + after
    assert not damages(log)
    assert last_frames(log, 1)[0] == 236


def test_any_place_is_found(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write(log, *[1] * 150, 200, most_pages=2)
    write(log, *[1] * 100, 200, first=400, most_pages=2)
    for sequence in (1, 124, 125, 248, 249, 350, 400, 523, 524, 699):
        part = next(iter(scan(log, page_of(sequence))))
        assert sequence - 124 < part.sequence <= sequence
        moment = sequence * 1_000_000
        assert since(moment, scan(log, page_at(moment))) == since(moment, scan(log))


def test_a_full_file_gets_the_name_of_its_first_number(tmp_path: Path) -> None:
    log = tmp_path / "log"
    written = write(log, 1000, 5, most_pages=2)
    names = sorted(path.name for path in tmp_path.iterdir())
    firsts = [1, 249, 497, 745]
    assert names == ["log", *(f"log.{first:012}" for first in firsts)]
    assert all(path.stat().st_size <= 2 * 65536 for path in tmp_path.iterdir())
    assert read(log) == written


def test_a_log_whose_current_file_is_gone_goes_on_behind_the_old_ones(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write(log, 300, most_pages=2)
    log.unlink()
    write(log, 1)
    parts = list(scan(log))
    assert parts[-1].sequence == 249
    assert not damages(log)


def test_a_crash_between_the_two_steps_of_a_rotation_changes_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    written = write(log, 200, most_pages=2)
    os.link(log, tmp_path / "log.000000000001")
    assert read(log) == written
    written += write(log, 100, most_pages=2)
    assert read(log) == written


def test_a_rotation_writes_through_nothing_that_has_the_new_name(tmp_path: Path) -> None:
    log, other = tmp_path / "log", tmp_path / "other"
    other.write_text("of somebody else")
    (tmp_path / "log.new").symlink_to(other)
    written = write(log, 200, most_pages=1)
    assert other.read_text() == "of somebody else"
    assert log.is_file()
    assert not log.is_symlink()
    assert read(log) == written


def test_times_go_on_behind_a_rotation_that_a_restart_followed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write(log, 200, most_pages=1)
    os.truncate(log, 64)  # a crash: the frames behind the rotation are not there
    writer = Writer.open(log, ALONE)
    writer.close()
    assert (writer.next, writer.time) == (125, 1_000_000)


@pytest.mark.parametrize("syncs", [True, False])
def test_the_name_of_a_log_that_is_begun_is_brought_to_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syncs: bool
) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor)))
    for _ in range(2):  # the second time it is there
        Writer.open(tmp_path / "log", ALONE, syncs=syncs).close()
    assert len(synced) == syncs
    assert all(os.path.samestat(state, tmp_path.stat()) for state in synced)


def test_a_copy_with_a_name_like_an_old_file_is_left_alone(tmp_path: Path) -> None:
    log, copy = tmp_path / "log", tmp_path / "log.202611211200"
    written = write(log, 300, most_pages=1)
    damaged = bytearray(log.read_bytes())
    damaged[20] ^= 1
    for data in (log.read_bytes(), bytes(damaged), b"hello", b""):
        copy.write_bytes(data)
        with opened(log) as current:
            assert [path.name for path in old_files(current)] == [
                "log.000000000001",
                "log.000000000125",
            ]
        assert foreign_files(log) == [copy]
        assert read(log) == written
        before = log.read_bytes()
        assert list(repair(log)) == []
        assert (copy.read_bytes(), log.read_bytes()) == (data, before)
    writer = Writer.open(log, ALONE, most_pages=1, keep=1)
    writer.write([(301, 1, frame("ann", "x") * 200)])
    writer.close()
    names = ["log", "log.000000000373", "log.202611211200"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


@pytest.mark.parametrize("pages", [1, 2])
@pytest.mark.parametrize("place", [20, 70])
def test_an_old_file_whose_beginning_is_damaged_is_one_still(
    tmp_path: Path, place: int, pages: int
) -> None:
    log = tmp_path / "log"
    write(log, *[1] * 300, most_pages=pages)
    old = tmp_path / "log.000000000001"
    data = bytearray(old.read_bytes())
    data[place] ^= 1
    old.write_bytes(data)
    assert foreign_files(log) == []
    assert len(damages(log)) == 1
    assert list(repair(log))
    assert damages(log) == []


def test_the_last_frames_are_one_run_up_to_the_next(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write(log, 2)
    after = write(log, *[1] * 5, first=100)
    assert last_frames(log, 4) == (105, b"".join(after[1:]))
    assert last_frames(log, 9) == (105, b"".join(after))
    data = bytearray(log.read_bytes())
    data[65536 + 2048 + 512 * 2] ^= 1
    log.write_bytes(data)
    for _ in range(2):  # damaged, then given up
        assert last_frames(log, 4) == (105, b"".join(after[3:]))
        list(repair(log))


def test_old_files_beyond_those_kept_are_removed(tmp_path: Path) -> None:
    writer = Writer.open(tmp_path / "log", ALONE, most_pages=1, keep=2)
    writer.write([(1, 1, frame("ann", "x") * 1000)])
    writer.close()
    assert len(list(tmp_path.iterdir())) == 3
    assert not damages(tmp_path / "log")


def test_only_one_writes_and_nobody_repairs_meanwhile(tmp_path: Path) -> None:
    log = tmp_path / "log"
    writer = Writer.open(log, ALONE, most_pages=1)
    writer.write([(1, 1, frame("ann", "x") * 200)])  # over a rotation
    assert is_locked(log)
    with pytest.raises(LogError, match="is being written by a server already"):
        Writer.open(log, ALONE)
    with pytest.raises(LogError, match="is being written by a server already"):
        list(repair(log))
    writer.close()
    assert not is_locked(log)
    Writer.open(log, ALONE).close()


@pytest.mark.parametrize("data", [b"hello\n", bytes(100), b"x" * 70000])
def test_what_is_no_room_log_is_left_alone(tmp_path: Path, data: bytes) -> None:
    log = tmp_path / "log"
    log.write_bytes(data)
    for use in (
        lambda: Writer.open(log, ALONE),
        lambda: list(scan(log)),
        lambda: list(repair(log)),
    ):
        with pytest.raises(LogError, match="is no room log of version 1"):
            use()
    assert log.read_bytes() == data


def test_a_device_or_a_folder_is_no_room_log(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="is no file that can be a room log"):
        Writer.open(Path("/dev/null"), ALONE)
    with pytest.raises(IsADirectoryError):
        Writer.open(tmp_path, ALONE)


@pytest.fixture
def limit() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("again", [True, False])
@pytest.mark.parametrize("size", [65536 + 100, 65536 + 2048 + 512 * 5 + 7, 2 * 65536 + 3000])
def test_what_a_full_disk_takes_is_kept_and_the_rest_is_a_gap_or_written_again(
    tmp_path: Path, limit: None, size: int, again: bool
) -> None:
    log = tmp_path / "log"
    writer = Writer.open(log, ALONE)
    data = b"".join(frame("ann", f"{number}") for number in range(300))
    most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    with pytest.raises(OSError, match="File too large"):
        writer.write([(1, 1, data)])
    reached = writer.next
    assert reached in (125, 249)  # what comes in one page shares a checksum
    with pytest.raises(OSError, match="File too large"):
        writer.write([(301, 2, frame("ann", "later") * 200)])
    assert writer.next == reached
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    if again:
        writer.write([(1, 1, data), (301, 2, frame("ann", "later") * 200)])
        assert writer.next == 501
        reached = 501
        data += frame("ann", "later") * 200
    writer.write([(501, 3, frame("ann", "again"))])
    writer.close()
    parts = list(scan(log))
    assert frames_of(parts) == [*cut(data[: (reached - 1) * FRAME]), frame("ann", "again")]
    assert [part for part in parts if isinstance(part, Gap)] == (
        [] if again else [Gap(reached, 501 - reached)]
    )
    assert not damages(log)


def test_reading_the_end_touches_few_pages_however_long_the_log_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    reads = []
    pread = os.pread

    def counted(descriptor: int, size: int, place: int) -> bytes:
        reads.append(place)
        return pread(descriptor, size, place)

    monkeypatch.setattr(os, "pread", counted)
    counts = []
    for _ in range(2):
        write(log, 10_000)
        reads.clear()
        assert len(last_frames(log, 50)[1]) == 50 * FRAME
        counts.append(len(reads))
    assert counts[0] <= 6
    assert abs(counts[0] - counts[1]) <= 1


def test_a_writer_in_the_middle_of_a_record_does_not_disturb_reading(tmp_path: Path) -> None:
    log = tmp_path / "log"
    written = write(log, 5)
    with log.open("ab") as file:
        file.write(frame("ann", "on its way")[:300])
    assert read(log) == written
    with opened(log) as file_read:
        assert file_read.page(0).used == 5
