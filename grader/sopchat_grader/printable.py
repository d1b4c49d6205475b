"""Bytes from anybody, as text that no report, terminal or parser stumbles over."""


def printable(data: bytes | str) -> str:
    r"""Decode UTF-8; what is invalid or cannot be printed appears escaped: `\x1b`, `\n`."""
    if isinstance(data, str):
        data = data.encode("utf-8", "surrogateescape")
    return "".join(map(_shown, data.decode("utf-8", "backslashreplace")))


def printable_lines(data: bytes) -> str:
    """The same, with the line breaks kept."""
    return "\n".join(printable(line.removesuffix(b"\r")) for line in data.split(b"\n"))


def _shown(character: str) -> str:
    if character.isprintable():
        return character
    return character.encode("unicode_escape", "backslashreplace").decode("ascii")
