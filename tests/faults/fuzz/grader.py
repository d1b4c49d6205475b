"""What reports show of a solution's bytes."""

from sopchat_grader.exercises.line.trial import _WAITING
from sopchat_grader.failure import Difference
from sopchat_grader.printable import printable, printable_lines
from sopchat_grader.transcript import hex_dump, summary

from tests.faults.fuzz.display import assert_safe
from tests.faults.fuzz.material import Material
from tests.faults.fuzz.targets import target


@target(1500)
def report_text(material: Material) -> None:
    """Any bytes are one printable line, or as many as they have newlines; a summary is short."""
    data = material.rest()
    assert_safe(printable(data))
    assert printable(data).isprintable()
    lines = printable_lines(data).split("\n")
    assert len(lines) == data.count(b"\n") + 1
    assert "".join(lines).isprintable()
    told = summary(data)
    assert told.isprintable()
    assert told.startswith(f"{len(data)} bytes '")
    assert len(told) < 100
    assert len(_WAITING.sub(b"", data)) <= len(data)


@target()
def report_dump(material: Material) -> None:
    """Where two runs of bytes differ is found and marked, in lines of ASCII."""
    at = material.number(1500)
    data = material.stream()
    wanted, got = data[:at], data[: material.number(3)] + data[at:]
    difference = Difference(wanted, got)
    place = difference.position
    assert wanted[:place] == got[:place]
    assert wanted[place : place + 1] != got[place : place + 1] or wanted == got
    rows = hex_dump(difference)
    assert rows[0] == f"first difference at byte {place} (0x{place:x})"
    assert all(row.isascii() and row.isprintable() for row in rows)
    assert sum(row.startswith(">") for row in rows) == 2
    assert len(rows) <= 16
