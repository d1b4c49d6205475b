"""Reading a log that is being written: no frame is passed over, and nothing is called damaged."""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from sopchat.log.files import PagedFile
from sopchat.log.page import Damage, Gap, Group
from sopchat.log.reader import follow, last_groups, page_of, scan
from sopchat.log.writer import Writer
from tests.support.clients import PATIENCE
from tests.support.logs import ALONE, damages, frames_of, read, write
from tests.support.programs import Program

PREAD = os.pread


@pytest.fixture
def after_reading(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], object]], None]:
    """Has something done once, right after the bytes at a place of a file were read."""

    def play(place: int, act: Callable[[], object]) -> None:
        def played(descriptor: int, size: int, begin: int) -> bytes:
            data = PREAD(descriptor, size, begin)
            if begin == place and size == 65536:
                monkeypatch.setattr(os, "pread", PREAD)
                act()
            return data

        monkeypatch.setattr(os, "pread", played)

    return play


@pytest.mark.parametrize("size", [65536 + 20, 65536 + 2048, 65536 + 2048 + 512 * 7 + 100])
def test_nothing_is_read_behind_a_page_that_was_on_its_way(
    tmp_path: Path, after_reading: Callable[..., None], size: int
) -> None:
    log = tmp_path / "log"
    written = write(log, *[1] * 300)
    data = log.read_bytes()
    log.write_bytes(data[:size])
    after_reading(65536, lambda: log.write_bytes(data))
    parts = list(scan(log))
    frames = frames_of(parts)
    assert 124 <= len(frames) <= 248
    assert frames == written[: len(frames)]
    assert all(isinstance(part, Group) for part in parts[:-1])


def test_an_entry_that_comes_while_its_page_is_read_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader may see a later entry and not the one before it."""
    log = tmp_path / "log"
    written = write(log, *[1] * 10)
    data = log.read_bytes()
    played = [data[: 64 + 5 * 16] + bytes(16) + data[64 + 6 * 16 :]]
    monkeypatch.setattr(PagedFile, "read", lambda file, number: played.pop() if played else data)
    assert read(log) == written
    played.append(data[: 64 + 5 * 16] + bytes(16) + data[64 + 6 * 16 :])
    following, groups = last_groups(log, 10)
    assert (following, frames_of(groups)) == (11, written)


def test_what_is_removed_meanwhile_is_told_and_the_rest_is_read(tmp_path: Path) -> None:
    log = tmp_path / "log"
    written = write(log, 700, most_pages=1)
    parts = scan(log)
    before = next(parts)
    (tmp_path / "log.000000000125").unlink()
    (tmp_path / "log.000000000249").unlink()
    after = list(parts)
    assert after[0] == Gap(125, 248, "went with a file that was removed meanwhile")
    assert frames_of([before, *after]) == written[:124] + written[372:]
    assert not any(isinstance(part, Damage) for part in after)


def test_a_rotation_while_the_files_are_looked_for_changes_no_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "log"
    written = write(log, 300, most_pages=1)
    look = Path.iterdir

    def rotated(folder: Path) -> object:
        monkeypatch.setattr(Path, "iterdir", look)
        write(log, 500, most_pages=1)
        return look(folder)

    monkeypatch.setattr(Path, "iterdir", rotated)
    assert read(log)[:300] == written
    assert len(read(log)) == 800


WRITER = """
import sys, time
from pathlib import Path
from sopchat.log.writer import Writer

writer = Writer.open(Path(sys.argv[1]), 8, int(sys.argv[2]))
frames = bytes(512 * 128)
for round in range(60):
    chunks = [(writer.next + 128 * place, 1, frames) for place in range(40)]
    writer.write(chunks)
    time.sleep(0.004)
"""
FRAMES = 60 * 40 * 128


@pytest.fixture
def quick_path(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, where there is one: a reader sees a write there step by step."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        yield Path(folder)


@pytest.mark.parametrize("pages", [0, 100])
def test_whoever_follows_a_flood_gets_every_frame_once(quick_path: Path, pages: int) -> None:
    log = quick_path / "log"
    Writer.open(log, ALONE).close()
    with Program(sys.executable, "-c", WRITER, str(log), str(pages)) as writer:
        reached, end = 1, time.monotonic() + PATIENCE
        for part in follow(log, 1):
            if part is not None:
                assert part.sequence == reached
                reached = part.end
                continue
            # The last part may be a record on its way.
            assert all(isinstance(found, Group) for found in list(scan(log, page_of(reached)))[:-1])
            if reached == 1 + FRAMES:
                break
            assert time.monotonic() < end, (reached, writer.stderr)
        assert writer.wait() == 0
    assert damages(log) == []
