"""The format of docs/room-log.md, read and written by hand, and every damage found."""

import struct
import zlib
from pathlib import Path

import pytest

from sopchat.log.export import as_csv, as_json, as_line, records
from sopchat.log.page import Group, header, read_page
from sopchat.log.reader import last_frames, scan
from sopchat.log.repair import repair
from sopchat.log.tail import torn_bytes
from sopchat.log.writer import Writer
from tests.support.frames import frame
from tests.support.logs import damages, frames_of, read, write


def test_a_page_is_to_the_byte_what_the_document_says(tmp_path: Path) -> None:
    log = tmp_path / "log"
    ann = write(log, 1, 10)
    data = log.read_bytes()
    assert len(data) == 2048 + 11 * 512
    fields = b"sopchat\x01" + struct.pack("<QQ", 1, 1) + bytes(36)
    assert data[:64] == fields + struct.pack("<I", zlib.crc32(fields))
    assert data[2048:] == b"".join(ann)
    first = zlib.crc32(struct.pack("<QQBH", 1, 1_000_000, 1, 0) + ann[0])
    assert data[64:80] == struct.pack("<QIBBH", 1_000_000, first, 0, 1, 0)
    rest = zlib.crc32(struct.pack("<QQBH", 2, 2_000_000, 10, 0) + b"".join(ann[1:]))
    for place in range(10):
        start = 80 + 16 * place
        entry = struct.pack("<QIBBH", 2_000_000, rest, place, 10, 0)
        assert data[start : start + 16] == entry
    assert not any(data[64 + 11 * 16 : 2048])


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    """Between the records, too: what is not written is zero."""
    log = tmp_path / "log"
    write(log, 1, 9)
    data = log.read_bytes()
    # Every bit of what stands beside the frames, some of the rest.
    bits = [8 * place + place % 8 for place in range(0, len(data), 5)]
    bits += range(8 * (64 + 11 * 16))
    for bit in bits:
        harmed = bytearray(data)
        harmed[bit // 8] ^= 1 << bit % 8
        page = read_page(bytes(harmed), 1)
        assert not page.headed or len(page.groups) < len(page.parts), bit


def test_a_record_that_was_moved_is_found(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write(log, 1, 1)
    data = bytearray(log.read_bytes())
    data[64:80], data[80:96] = data[80:96], data[64:80]
    data[2048:2560], data[2560:3072] = data[2560:3072], data[2048:2560]
    log.write_bytes(data)
    assert [(damage.sequence, damage.frames) for damage in damages(log)] == [(1, 2)]


def test_a_page_that_is_gone_is_found(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write(log, 400)
    data = log.read_bytes()
    log.write_bytes(data[:65536] + data[2 * 65536 :])
    assert [(damage.sequence, damage.frames) for damage in damages(log)] == [(125, 124)]


def test_truncation_anywhere_is_mended_to_the_whole_records_before(tmp_path: Path) -> None:
    log = tmp_path / "log"
    sizes = (1, 1, 9, 1)
    written = write(log, *sizes)
    data = log.read_bytes()
    ends = [sum(sizes[:count]) for count in range(len(sizes) + 1)]
    places = [*range(0, 64 + 16 * 13, 3), *range(2000, len(data), 47)]
    places += [2048 + 512 * end + off for end in ends for off in (-1, 0, 1)]
    for place in sorted(set(places)):
        log.write_bytes(data[:place])
        whole = max([end for end in ends if place >= 2048 + 512 * end], default=0)
        Writer.open(log, 8).close()
        assert read(log) == written[:whole], place
        assert torn_bytes(log) == 0
        log.write_bytes(data[:place])
        if place >= 64:  # without a header there is nothing to repair
            list(repair(log))
            assert read(log) == written[:whole], place


@pytest.mark.parametrize("place", [3, 70, 65536 + 5, 65536 + 2048 + 700, 65536 + 64 + 17])
def test_damage_is_given_up_by_a_repair_and_the_rest_stays(tmp_path: Path, place: int) -> None:
    log = tmp_path / "log"
    written = write(log, *[1] * 130, 300)
    data = bytearray(log.read_bytes())
    data[place] ^= 0x20
    log.write_bytes(data)
    assert damages(log)
    before = frames_of(list(scan(log)))
    assert list(repair(log))
    assert not damages(log)
    parts = list(scan(log))
    assert frames_of(parts) == before
    assert len(written) - len(before) == sum(
        part.end - part.sequence for part in parts if isinstance(part, Group) and part.lost
    )
    assert len(before) >= 429
    assert list(repair(log)) == []
    assert write(log, 3) == frames_of(list(scan(log)))[-3:]


def test_what_stands_behind_two_damaged_headers_is_not_cut_off(tmp_path: Path) -> None:
    log = tmp_path / "log"
    written = write(log, 400)
    data = bytearray(log.read_bytes())
    for number in (1, 2, 3):
        data[65536 * number + 10] ^= 1
    log.write_bytes(data)
    assert torn_bytes(log) == 0
    assert last_frames(log, 400) == (401, b"".join(written))
    more = write(log, 2)
    assert frames_of(list(scan(log))) == written + more
    list(repair(log))
    assert read(log) == written + more


def test_numbers_that_no_room_gets_to_are_damage(tmp_path: Path) -> None:
    log = tmp_path / "log"
    write(log, 3)
    log.write_bytes(header(2**64 - 2, 2**64 - 2) + log.read_bytes()[64:])
    assert [damage.words[:24] for damage in damages(log)] == ["the header of page 0 of "]
    list(repair(log))
    assert len(read(log)) == 3


def test_a_time_that_no_calendar_has_is_shown_as_the_last_one() -> None:
    (record,) = records(Group(1, 2**64 - 1, frame("ann", "when?")))
    for render in (as_line, as_json, as_csv):
        assert "9999-12-" in render(record)


def test_a_lost_page_becomes_a_gap_by_a_repair(tmp_path: Path) -> None:
    log = tmp_path / "log"
    written = write(log, 400)
    data = log.read_bytes()
    log.write_bytes(data[:65536] + bytes(65536) + data[2 * 65536 :])
    assert damages(log)
    list(repair(log))
    assert not damages(log)
    assert frames_of(list(scan(log))) == written[:124] + written[248:]


def test_the_log_goes_on_behind_damage(tmp_path: Path) -> None:
    log = tmp_path / "log"
    written = write(log, *[1] * 5)
    data = bytearray(log.read_bytes())
    data[2048 + 512 * 2] ^= 1
    log.write_bytes(data)
    more = write(log, 2)
    assert frames_of(list(scan(log))) == written[:2] + written[3:] + more
    assert more[0] == frame("ann", "text 6")
