"""The room log: any bytes as a page or a file, and what damage leaves of one that was written."""

import argparse
import contextlib
import csv
import io
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from sopchat.commands import sop_chat_log
from sopchat.log import page as pages
from sopchat.log import reader, repair
from sopchat.log.errors import LogError
from sopchat.log.export import CSV_HEADING, as_csv, as_json, as_line, records
from sopchat.log.page import HEAD_SIZE, HEADER_SIZE, PAGE_SIZE, Damage, Gap, Group
from sopchat.log.tail import torn_bytes
from sopchat.log.writer import Writer
from tests.faults.fuzz.display import assert_safe
from tests.faults.fuzz.files import file
from tests.faults.fuzz.material import Material
from tests.faults.fuzz.targets import target
from tests.support.frames import cut, frame

_ENTRIES = (HEAD_SIZE - HEADER_SIZE) // 16

# Numbers where something may overflow; the end of sequence numbers itself is nobody's concern.
_LARGE = [0, 1, 2**31, 2**32, 2**52, 2**62, 2**63, 2**64 - 200, 2**64 - 1]


def any_number(material: Material) -> int:
    """One of 64 bits."""
    choice = material.number(len(_LARGE))
    return material.number(65535) if choice == len(_LARGE) else _LARGE[choice]


def page_bytes(material: Material) -> bytes:
    """A page whose checksums fit, whatever it says; its numbers need not make sense."""
    first, after = any_number(material), any_number(material)
    beside, frames = b"", b""
    while material and len(frames) < _ENTRIES * 512 and len(beside) < 8 * 16:
        size = min(1 + material.number(16), _ENTRIES - len(frames) // 512)
        time, mark = any_number(material), material.number(1)
        group = frame(material.take(material.number(8)), material.take(8)) * size
        sequence = (first + len(frames) // 512) % 2**64
        beside += pages.entries(sequence, time, group, mark)
        frames += group
    return (pages.header(first, after) + beside).ljust(HEAD_SIZE, b"\0") + frames


def changed(material: Material, data: bytes) -> bytes:
    """The same bytes, but for what the input does to them: flips, cuts, swaps, and zeros."""
    spoilt = bytearray(data)
    for _ in range(material.number(4)):
        size = max(len(spoilt), 1)
        step, number = material.number(7), material.number(65535)
        there = (material.number(7) * PAGE_SIZE + number) % size
        number = material.number(7) * PAGE_SIZE
        if step <= 1:  # in the header of a page, or beside its frames
            there += there % (HEADER_SIZE, HEAD_SIZE)[step] - there % PAGE_SIZE
        if step <= 2 and there < len(spoilt):
            spoilt[there] ^= 1 + material.number(254)
        elif step == 3:
            del spoilt[there:]
        elif step == 4:
            spoilt[there : there + 16] = bytes(len(spoilt[there : there + 16]))
        elif step == 5:  # a page is gone, or doubled
            begin = there // PAGE_SIZE * PAGE_SIZE
            if material.number(1):
                del spoilt[begin : begin + PAGE_SIZE]
            else:
                spoilt[begin:begin] = spoilt[begin : begin + PAGE_SIZE].ljust(PAGE_SIZE, b"\0")
        elif step == 6:
            begin, other = (place // PAGE_SIZE * PAGE_SIZE for place in (there, number % size))
            if max(begin, other) + PAGE_SIZE <= len(spoilt):
                page = spoilt[begin : begin + PAGE_SIZE]
                spoilt[begin : begin + PAGE_SIZE] = spoilt[other : other + PAGE_SIZE]
                spoilt[other : other + PAGE_SIZE] = page
        else:
            spoilt += material.take(8) * (1 + number % 200)
    return bytes(spoilt)


@target(400)
def log_page(material: Material) -> None:
    """Any bytes are a page: each place up to the last is in a group as it stands there, or damaged.

    Where nothing was changed, nothing is damaged.
    """
    written = page_bytes(material) if material.number(1) else None
    data = changed(material, written) if written is not None else material.rest()
    data = data[:PAGE_SIZE]
    page = pages.read_page(data, 1 + material.number(255))
    place = page.first
    for part in page.parts:
        assert part.sequence == place
        if isinstance(part, Damage):
            place += part.frames
            continue
        number = place - page.first
        assert data.startswith(part.frames, HEAD_SIZE + 512 * number)
        beside = pages.entries(part.sequence, part.time, part.frames, int(part.lost))
        assert data.startswith(beside, HEADER_SIZE + 16 * number)
        place = part.end
    assert place == page.end
    if data == written and page.headed:
        assert len(page.groups) == len(page.parts)
        assert b"".join(group.frames for group in page.groups) == data[HEAD_SIZE:]


def undamaged(parts: list[Group | Damage | Gap]) -> list[Group]:
    return [part for part in parts if isinstance(part, Group) and not part.lost]


def numbered(groups: list[Group]) -> set[tuple[int, int, bytes]]:
    """Sequence number, time and bytes of every frame."""
    return {
        (group.sequence + place, group.time, one)
        for group in groups
        for place, one in enumerate(cut(group.frames))
    }


def assert_readable(path: Path, parts: list[Group | Damage | Gap], most: int) -> None:
    """What is looked for is among what is read from the beginning."""
    following, last = reader.last_frames(path, most)
    frames = [one for group in undamaged(parts) for one in cut(group.frames)]
    assert following >= 1
    assert set(cut(last)) <= set(frames)
    assert len(last) <= most * 512
    reader.last_groups(path, most)
    for begin in (reader.page_of(most), reader.page_at(most)):
        assert set(undamaged(list(reader.scan(path, begin)))) <= set(undamaged(parts))


def assert_repairable(path: Path, parts: list[Group | Damage | Gap]) -> None:
    """A repair keeps what can be read, and leaves a log that verifies and needs no other one."""
    said = list(repair.repair(path))
    assert all(map(str.isprintable, said))
    assert torn_bytes(path) == 0
    mended = list(reader.scan(path))
    assert not any(isinstance(part, Damage) for part in mended)
    assert undamaged(mended) == undamaged(parts)
    assert not list(repair.repair(path))


@target(400)
def log_file(material: Material) -> None:
    """Any file is read, searched and repaired as far as it goes, or is said to be no room log."""
    most, count = material.number(255), material.number(3)
    data = b"".join(page_bytes(material).ljust(PAGE_SIZE, b"\0") for _ in range(count))
    data = changed(material, data) + material.rest()
    with file("log", data) as path:
        try:
            parts = list(reader.scan(path))
        except LogError as error:
            assert str(path) in str(error)
            with pytest.raises(LogError):
                reader.last_frames(path, most)
            with pytest.raises(LogError):
                list(repair.repair(path))
            return
        assert_readable(path, parts, most)
        assert_repairable(path, parts)


@contextlib.contextmanager
def written(material: Material) -> Iterator[Path]:
    """A log of up to 700 frames, with gaps, and with a file for every page if that is wanted."""
    with file("log", b"") as path:
        writer = Writer.open(path, 4, material.number(1), syncs=False)
        sequence, time = 1, 1_000_000
        for _ in range(material.number(7)):
            size, gap = 1 + material.number(200) % 130, material.number(1)
            sequence += gap * material.number(300)
            time += material.number(255)
            chunk = b"".join(frame("ann", f"text {sequence + place}") for place in range(size))
            writer.write([(sequence, time, chunk)])
            sequence += size
        writer.close()
        yield path


def run_up_to(following: int, groups: list[Group]) -> bytes:
    """The frames whose numbers lead up to that one without a gap."""
    run = b""
    for group in reversed(groups):
        if group.end != following:
            break
        run, following = group.frames + run, group.sequence
    return run


@target(128)
def damaged_log(material: Material) -> None:
    """Of a log that was changed nothing is read that was not written at that number.

    Either it is damaged, or what it holds is a piece of what was written. A repair keeps all that
    can be read. A server that goes on with it does, too, and its frames come behind.
    """
    with written(material) as path:
        before = undamaged(list(reader.scan(path)))
        assert torn_bytes(path) == 0
        most = material.number(255)
        following, last = reader.last_frames(path, most)
        frames = run_up_to(following, before)
        assert last == frames[max(len(frames) - most * 512, 0) :]
        asked = undamaged(list(reader.scan(path, reader.page_of(most))))
        assert [one for one in before if one.end > most] == [one for one in asked if one.end > most]
        goes_on = material.number(1)
        files = sorted(path.parent.iterdir())
        for one in files[material.number(len(files) - 1) :]:
            one.write_bytes(changed(material, one.read_bytes()))
        try:
            parts = list(reader.scan(path))
        except LogError:
            return
        there = undamaged(parts)
        assert numbered(there) <= numbered(before)
        if not torn_bytes(path) and not any(isinstance(part, Damage) for part in parts):
            begin = before.index(there[0]) if there else 0
            assert there == before[begin : begin + len(there)]
        assert_readable(path, parts, most)
        if goes_on:
            writer = Writer.open(path, 4, int(len(files) > 1), syncs=False)
            first = writer.next
            writer.write([(first, writer.time, frame("bob", "more") * 5)])
            writer.close()
            more = undamaged(list(reader.scan(path)))
            assert [group for group in more if group in there] == there
            assert all(first >= group.end for group in there)
            assert sum(group.end - group.sequence for group in more if group.sequence >= first) == 5
        else:
            assert_repairable(path, parts)


@target()
def log_exports(material: Material) -> None:
    """Every frame is one safe line, one JSON object and one row of CSV, which say the same."""
    sequence, time = any_number(material), any_number(material)
    data = material.stream()
    frames = data[: len(data) // 512 * 512] or data.ljust(512, b"\0")[:512]
    found = list(records(Group(sequence, time, frames)))
    assert len(found) == len(frames) // 512
    rows = list(csv.reader(io.StringIO(CSV_HEADING + "".join(map(as_csv, found)), newline="")))
    assert rows[0] == ["sequence", "time", "name", "text"]
    for record, row in zip(found, rows[1:], strict=True):
        told = as_json(record)
        assert told.isascii()
        assert told.count("\n") == 1
        said = json.loads(told)
        assert (said["sequence"], said["name"], said["text"]) == (
            *(record.sequence, record.name, record.text),
        )
        assert datetime.fromisoformat(said["time"]).tzinfo is not None
        assert row == [str(record.sequence), said["time"], record.name, record.text]
        line = as_line(record)
        assert line.endswith("\n")
        assert_safe(line[:-1])


@target(64)
def since(material: Material) -> None:
    """A text is a sequence number, or a time, or refused in words that show it."""
    text = material.text()
    try:
        sequence, moment = sop_chat_log._since(text)
    except argparse.ArgumentTypeError as error:
        assert text in str(error)
        assert not (text.isascii() and text.isdigit()) or len(text) > 18
    else:
        assert 0 <= sequence < 10**18
        assert not (sequence and moment)
        if text.removeprefix("#").isdigit():
            assert (sequence, moment) == (int(text.removeprefix("#")), 0) or len(text) > 7
        else:
            assert abs(moment) < 2**63


_PARSER = sop_chat_log._parser()


@target(256)
def log_arguments(material: Material) -> None:
    """Any arguments of `sop-chat-log` are options, or wrong use with status 1."""
    known = [option for action in _PARSER._actions for option in action.option_strings]
    arguments = ["room.log"][: material.number(1)]
    while material and len(arguments) < 8:
        choice = material.number(len(known))
        if choice < len(known):
            arguments.append(known[choice])
        else:
            arguments.append(material.take(material.number(15)).decode("utf-8", "replace"))
    silent = io.StringIO()
    with contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
        try:
            options = _PARSER.parse(arguments)
        except SystemExit as end:
            assert end.code in (0, 1)
            assert end.code == 0 or silent.getvalue().startswith("USAGE: sop-chat-log ")
        else:
            assert options.last is None or options.last >= 0
            assert options.since is None or options.last is None
