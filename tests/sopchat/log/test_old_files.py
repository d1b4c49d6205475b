"""Of a file whose first header is damaged, its name and the files beside it know the number."""

import os
from pathlib import Path

import pytest

from sopchat.log.files import foreign_files
from sopchat.log.page import Group
from sopchat.log.reader import last_frames, page_of, scan
from sopchat.log.repair import repair
from sopchat.log.tail import torn_bytes
from sopchat.log.writer import Writer
from tests.support.frames import FRAME, frame
from tests.support.logs import ALONE, damages, frames_of, read, write


def flip(path: Path, *places: int) -> None:
    data = bytearray(path.read_bytes())
    for place in places:
        data[place] ^= 1
    path.write_bytes(data)


def test_an_old_file_keeps_its_number_though_the_one_before_it_was_cut_short(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    written = write(log, *[1] * 300, most_pages=1)
    os.truncate(tmp_path / "log.000000000001", 2048 + 100 * FRAME)
    flip(tmp_path / "log.000000000125", 10)
    kept = written[:100] + written[124:]
    assert frames_of(list(scan(log))) == kept
    assert last_frames(log, 170) == (301, b"".join(written[130:]))
    assert next(iter(scan(log, page_of(200)))).sequence == 125
    assert list(repair(log))
    assert (damages(log), foreign_files(log), list(repair(log))) == ([], [], [])
    assert frames_of(list(scan(log))) == kept


def test_behind_an_old_file_that_ends_in_damage_nothing_is_cut_off(tmp_path: Path) -> None:
    log = tmp_path / "log"
    written = write(log, *[1] * 130, most_pages=1)
    flip(tmp_path / "log.000000000001", 2048 + 123 * FRAME)
    flip(log, 10)
    assert torn_bytes(log) == 0
    assert last_frames(log, 6) == (131, b"".join(written[124:]))
    writer = Writer.open(log, ALONE, 1)
    writer.close()
    assert (writer.torn, writer.next, writer.time) == (0, 131, 130_000_000)
    assert frames_of(list(scan(log))) == written[:123] + written[124:]
    assert list(repair(log))
    assert damages(log) == []
    assert frames_of(list(scan(log))) == written[:123] + written[124:]


def test_a_current_file_behind_a_gap_is_placed_by_its_second_page(tmp_path: Path) -> None:
    log = tmp_path / "log"
    written = write(log, *[1] * 248, most_pages=2)
    written += write(log, *[1] * 150, first=300, most_pages=2)
    flip(log, 10)
    assert last_frames(log, 150) == (450, b"".join(written[248:]))
    assert torn_bytes(log) == 0
    assert list(repair(log))
    assert damages(log) == []
    assert frames_of(list(scan(log))) == written


@pytest.mark.parametrize("kept", [True, False])
def test_a_rotation_gives_a_file_whose_header_is_damaged_the_right_name(
    tmp_path: Path, kept: bool
) -> None:
    log = tmp_path / "log"
    written = write(log, *[1] * 400, most_pages=2)
    if not kept:
        (tmp_path / "log.000000000001").unlink()
        written = written[248:]
    flip(log, 10)
    written += write(log, *[1] * 100, most_pages=2)
    assert (tmp_path / "log.000000000249").exists()
    assert foreign_files(log) == []
    assert frames_of(list(scan(log))) == written
    assert list(repair(log))
    assert read(log) == written


def test_a_writer_begins_behind_old_files_whose_own_header_is_damaged(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write(log, *[1] * 300, most_pages=1)
    flip(tmp_path / "log.000000000125", 10)
    log.unlink()
    writer = Writer.open(log, ALONE, 1)
    writer.write([(writer.next, writer.time, frame("bob", "on"))])
    writer.close()
    last = list(scan(log))[-1]
    assert isinstance(last, Group)
    assert (last.sequence, last.time) == (249, 248_000_000)


def test_a_header_that_is_damaged_after_the_start_gives_no_wrong_name(tmp_path: Path) -> None:
    log = tmp_path / "log"
    written = write(log, *[1] * 200, most_pages=1)
    writer = Writer.open(log, ALONE, 1)
    for first in (201, 301):  # opened, then rotated
        with log.open("r+b") as file:
            file.write(b"?")
        chunk = [frame("ann", f"later {first + place}") for place in range(100)]
        for place, one in enumerate(chunk):
            writer.write([(first + place, writer.time, one)])
        written += chunk
    writer.close()
    names = [f"log.{first:012}" for first in (1, 125, 249)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", *names]
    assert frames_of(list(scan(log))) == written
