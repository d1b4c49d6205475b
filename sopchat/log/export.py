"""A record of the room log as a line for people, as JSON and as CSV for programs."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from sopchat.log.page import Group
from sopchat.wire.display import escape
from sopchat.wire.frame import field_value, name_fields_and_texts


class Record(NamedTuple):
    r"""A frame of the log; bytes that are not UTF-8 are shown as `\xNN`."""

    sequence: int
    # Microseconds since 1970, UTC.
    time: int
    name: str
    text: str


Render = Callable[[Record], str]

# A calendar ends with the year 9999, wherever one is. Only a wrong clock gets there.
_LAST_TIME = int(datetime(9999, 12, 30, tzinfo=UTC).timestamp()) * 1_000_000

CSV_HEADING = "sequence,time,name,text\r\n"


def records(group: Group) -> Iterator[Record]:
    """The frames of a group, one by one."""
    fields, texts = name_fields_and_texts(group.frames)
    for place, (field, text) in enumerate(zip(fields, texts, strict=True)):
        yield Record(
            group.sequence + place,
            group.time,
            field_value(field).decode("utf-8", "backslashreplace"),
            text.decode("utf-8", "backslashreplace"),
        )


def as_line(record: Record) -> str:
    """Local time, name and text, without anything that a terminal takes as an order."""
    name = escape(record.name) or "(no name)"
    return f"{_local(record.time):%Y-%m-%d %H:%M:%S} {name}: {escape(record.text)}\n"


def as_json(record: Record) -> str:
    """One object in one line, in ASCII: `sequence`, `time` (ISO 8601), `name`, `text`."""
    return json.dumps(record._asdict() | {"time": _iso(record.time)}) + "\n"


def as_csv(record: Record) -> str:
    """One row (RFC 4180) of the columns in `CSV_HEADING`."""
    row = io.StringIO()
    csv.writer(row).writerow(record._replace(time=_iso(record.time)))  # type: ignore[arg-type]
    return row.getvalue()


def _local(time: int) -> datetime:
    seconds, micros = divmod(min(time, _LAST_TIME), 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros).astimezone()


def _iso(time: int) -> str:
    return _local(time).isoformat(timespec="microseconds")
