"""What is shown of bytes from the network."""

import unicodedata

from sopchat.wire import display
from sopchat.wire.frame import encode_texts
from tests.faults.fuzz.material import Material
from tests.faults.fuzz.targets import target

# Marks, embeddings, overrides and isolates that turn the writing direction, and line ends.
_TURNS = {"\u061c", "\u200e", "\u200f", *map(chr, [*range(0x2028, 0x202F), *range(0x2066, 0x206A)])}

_PLAIN = set(map(chr, range(0x20, 0x7F)))


def assert_safe(shown: str) -> None:
    """Nothing in it drives a terminal, turns its direction or ends its line."""
    for character in set(shown) - _PLAIN:
        assert not character < " "
        assert not "\x7f" <= character <= "\x9f"
        assert character not in _TURNS
        assert unicodedata.category(character) not in ("Cc", "Cs", "Co", "Cn", "Zl", "Zp")
    assert len(shown.splitlines()) <= 1


def slowly(text: str) -> str:
    """What `escape` does, a character after the other."""
    return "".join(
        one
        if one.isprintable() or one in "\u200c\u200d" or unicodedata.category(one) == "Zs"
        else one.encode("unicode_escape").decode("ascii")
        for one in text
    )


@target()
def shown_bytes(material: Material) -> None:
    """Bytes are shown in one safe line, as a slow and simple way would show them."""
    data = material.rest()
    shown = display.printable(data)
    assert_safe(shown)
    assert shown == slowly(data.decode("utf-8", "backslashreplace"))
    assert display.escape(shown) == shown
    assert shown.encode().decode() == shown


@target()
def shown_text(material: Material) -> None:
    """A text is shown in one safe line, what is printable in it as it is, and has a colour."""
    text = material.text()
    shown = display.escape(text)
    assert_safe(shown)
    assert shown == slowly(text)
    if text.isprintable():
        assert shown == text
    assert display.coloured(shown).endswith(f"m{shown}\x1b[0m")


@target()
def shown_frames(material: Material) -> None:
    """Frames are shown in one safe line each, also where all are told together."""
    count, others = 1 + material.number(7), material.number(1)
    names = [material.take(material.number(64)) for _ in range(count if others else 1)]
    frames = b"".join(
        encode_texts(names[number % len(names)], [material.take(material.number(447))])
        for number in range(count)
    )
    # What stands behind a NUL is not shown, whatever it is.
    frames = frames[:-1] + material.take(1).ljust(1, b"\0")

    def start(name: bytes) -> str:
        return f"{display.printable(name)}: "

    shown = display.as_lines(frames, start, "\n")
    alone = [display.as_lines(frames[at : at + 512], start) for at in range(0, len(frames), 512)]
    assert shown == "".join(alone)
    assert len(alone) == shown.count("\n") == len(shown.splitlines())
    for at, line in enumerate(alone):
        assert_safe(line.removesuffix("\n"))
        name, text = (
            field.partition(b"\0")[0]
            for field in (frames[512 * at : 512 * at + 64], frames[512 * at + 64 : 512 * at + 512])
        )
        assert line == start(name) + slowly(text.decode("utf-8", "backslashreplace")) + "\n"
