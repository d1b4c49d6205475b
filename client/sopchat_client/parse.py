"""What an input line says: itself, or the text of a JSON object."""

import json
from collections.abc import Callable, Iterable

# What a line says, or None: nothing, and the line is passed over. Raises Unsayable.
Parse = Callable[[bytes], bytes | None]


class Unsayable(ValueError):
    """A line that cannot be said. The message says what is wrong with it."""


def said(lines: Iterable[bytes], parse: Parse, first: int = 1) -> tuple[list[bytes], str]:
    """What the lines say up to one that cannot be said, and what is wrong with that one.

    The latter is empty if nothing is. The lines count from `first`.
    """
    texts: list[bytes] = []
    for number, line in enumerate(lines, first):
        try:
            text = parse(line)
        except Unsayable as error:
            return texts, f"line {number} is not sent, nor any after it: {error}"
        if text is not None:
            texts.append(text)
    return texts, ""


def from_line(line: bytes) -> bytes:
    """The line itself, byte for byte. Raises Unsayable if it holds a NUL byte."""
    if b"\0" in line:
        raise Unsayable("it holds a NUL byte")
    return line


def from_json(line: bytes) -> bytes | None:
    """The UTF-8 of `text` in a JSON object, whatever else it says; None for a blank line.

    Raises Unsayable if the line is no such object, or its text holds a NUL or half a surrogate
    pair.
    """
    if not line.strip():
        return None
    try:
        said = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):  # the latter: thousands of brackets
        said = None
    if not isinstance(said, dict):
        raise Unsayable('it is no JSON object, as {"text": "hello"} is')
    text = said.get("text")
    if not isinstance(text, str):
        raise Unsayable('it has no "text" that is a string, as {"text": "hello"} has')
    if "\0" in text:
        raise Unsayable('its "text" holds a NUL, and may hold any other character')
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise Unsayable('its "text" holds half a surrogate pair, which no UTF-8 can say') from None
