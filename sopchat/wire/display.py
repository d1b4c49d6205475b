"""How bytes from the network are shown on a terminal: nobody forges a line or drives it.

Everything a terminal could take as an order is shown escaped: control characters with newline
and carriage return, the C1 controls, marks that turn the writing direction, characters
that Unicode has not assigned. What people write is left alone: spaces of any script and the
joiners inside emoji.
"""

import codecs
import re
import unicodedata
import zlib
from collections.abc import Callable

from sopchat.wire.frame import field_value, name_fields_and_texts

# Zero width non-joiner and joiner: format characters that are part of how words and emoji are
# written, and that no terminal takes as an order.
_JOINERS = "\u200c\u200d"

# The colours of names: red, green, yellow, blue, magenta and cyan, then their bright kin, all seen
# on light and on dark.
COLOURS = (31, 32, 33, 34, 35, 36, 91, 92, 94, 95, 96)

# Printable ASCII.
_PLAIN = bytes(range(0x20, 0x7F))


def printable(data: bytes) -> str:
    r"""The text in UTF-8 `data`, one line, safe on any terminal.

    Bytes that are not UTF-8 are shown as `\xNN`.
    """
    return escape(data.decode("utf-8", _ESCAPE_RUNS))


# Bytes that are in no UTF-8 character, whatever stands around them.
_NO_CHARACTER = re.compile(rb"(?:[\x80-\xc1\xf5-\xff]|[\xc2-\xf4](?![\x80-\xbf]))+")

_ESCAPE_RUNS = "sopchat.escape_runs"


def _escape_run(error: UnicodeError) -> tuple[str, int]:
    """What "backslashreplace" does, for a whole run of bytes in one call."""
    assert isinstance(error, UnicodeDecodeError)
    run = _NO_CHARACTER.match(error.object, error.start)
    end = max(error.end, run.end() if run else 0)
    escaped = error.object[error.start : end].decode("latin-1").encode("unicode_escape")
    return escaped.decode("ascii"), end


codecs.register_error(_ESCAPE_RUNS, _escape_run)


def as_lines(frames: bytes, start: Callable[[bytes], str], end: str = "\n") -> str:
    """Each of the whole frames as one line: `start(name)`, its text, `end`.

    Where all say the same name and their texts are plain ASCII, which most are, it takes a few
    calls for all of them together.
    """
    names, texts = name_fields_and_texts(frames)
    if names.count(names[0]) == len(names):
        first = start(field_value(names[0]))
        between = end + first
        if not b"".join(texts).translate(None, _PLAIN):
            return first + between.encode().join(texts).decode() + end
        return first + between.join(map(printable, texts)) + end
    return "".join(
        start(field_value(name)) + printable(text) + end
        for name, text in zip(names, texts, strict=True)
    )


def escape(text: str) -> str:
    r"""`text` with everything unsafe as `\n`, `\x1b`, `\u202e`."""
    if text.isprintable():
        return text
    if text.isascii():  # the same in two calls: a flood of control characters costs little
        return text.encode("unicode_escape").decode("ascii").replace("\\\\", "\\")
    return text.translate(_ESCAPES)


# The characters of a room's people, in any script. Whoever sends all that there are must not fill
# the memory: 130 MiB they would take.
_MOST_KNOWN = 8192


class _Escapes(dict[int, str]):
    """How characters are shown, found out when they come; at most `_MOST_KNOWN` are kept."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        if not (
            character.isprintable()
            or character in _JOINERS
            or unicodedata.category(character) == "Zs"  # no-break, ideographic and other spaces
        ):
            character = character.encode("unicode_escape").decode("ascii")
        if len(self) < _MOST_KNOWN:
            self[code] = character
        return character


_ESCAPES = _Escapes()


def colour_number(name: str) -> int:
    """Which of `COLOURS` belongs to a name: the same everywhere and always."""
    return zlib.crc32(name.encode("utf-8", "backslashreplace")) % len(COLOURS)


def coloured(name: str) -> str:
    """`name` in its colour (ANSI X3.64 SGR)."""
    return f"\x1b[{COLOURS[colour_number(name)]}m{name}\x1b[0m"
