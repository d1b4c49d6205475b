"""Bytes from anybody, as text that no report, terminal or parser stumbles over."""

import unicodedata

# Control characters, what is not assigned or cannot be encoded, and what turns text round.
_UNSAFE = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}


def printable(data: bytes) -> str:
    r"""Decode UTF-8; what is invalid or unsafe, newlines too, appears escaped: `\x1b`, `\n`."""
    return "".join(map(_shown, data.decode("utf-8", "backslashreplace")))


def printable_lines(data: bytes) -> str:
    """The same, with the line breaks kept."""
    return "\n".join(printable(line.removesuffix(b"\r")) for line in data.split(b"\n"))


def _shown(character: str) -> str:
    if unicodedata.category(character) in _UNSAFE:
        return character.encode("unicode_escape", "backslashreplace").decode("ascii")
    return character
