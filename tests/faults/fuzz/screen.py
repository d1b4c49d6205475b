"""What the full screen reads from the terminal, and how it wraps what it shows."""

import re
import unicodedata

from rich.cells import cell_len
from sopchat_client.tui.composer import Size, texts_of
from sopchat_client.tui.scrollback import Entry, Kind, Scrollback
from sopchat_client.tui.terminal import TerminalInput
from sopchat_client.tui.wrap import wrap
from wcwidth import iter_graphemes

from sopchat.wire.display import escape
from tests.faults.fuzz.material import Material
from tests.faults.fuzz.targets import target

_PASTE = re.compile("\x1b\\[200~(.*?)(?:\x1b\\[201~|$)", re.DOTALL)


@target(512)
def terminal_input(material: Material) -> None:
    """Keys come through, also in bytes that are no UTF-8; a paste holds no control characters."""
    pieces = [material.text().encode()] if material.number(1) else material.pieces()
    data = b"".join(pieces)
    decoder = TerminalInput()
    told = "".join([*(decoder.decode(piece) for piece in pieces), decoder.decode(b"", True)])
    for pasted in _PASTE.findall(told):
        for one in pasted:
            assert one in "\r\n\t" or unicodedata.category(one) != "Cc"
    if b"\x1b" not in data:
        assert told == data.decode("utf-8", "replace")
    alone = TerminalInput().decode(data, True)
    assert re.sub("[\x00-\x1f\x7f-\x9f]", "", alone).count("[200~") >= len(_PASTE.findall(alone))
    again = TerminalInput().decode(alone.encode(), True)
    assert len(again) <= len(alone)


@target(512)
def wrapped(material: Material) -> None:
    """The rows of a text are the text; each fits, and nothing read as one character is cut."""
    first, others = 2 + material.number(40), 2 + material.number(40)
    text = escape(material.text())
    rows = wrap(text, first, others)
    assert [start for start, _ in rows] == [0, *(end for _, end in rows[:-1])]
    assert rows[-1][1] == len(text)
    clusters = list(iter_graphemes(text))
    parts = [list(iter_graphemes(text[start:end])) for start, end in rows]
    assert [one for part in parts for one in part] == clusters
    for number, (start, end) in enumerate(rows):
        shown = text[start:end].removesuffix(" ")
        fits = cell_len(shown) <= (others if number else first)
        assert fits or len(list(iter_graphemes(shown))) == 1


@target(512)
def scrollback(material: Material) -> None:
    """Every row is one entry's, and names leave room, whatever comes, goes and is resized."""
    screen = Scrollback(10 + material.number(90))
    for _ in range(30):
        if not material:
            break
        step = material.number(3)
        if step == 0 and screen.entries:
            screen.remove(screen.entries[material.number(29) % len(screen.entries)])
        elif step == 1:
            screen.resize(10 + material.number(90))
        else:
            kind = list(Kind)[material.number(len(Kind) - 1)]
            text = Material(material.take(material.number(40))).text()
            name = Material(material.take(material.number(20))).text()
            screen.append(Entry(kind, "12:34", escape(text), escape(name)))
    places = [screen.at(row) for row in range(screen.height)]
    assert places == [
        (number, row)
        for number, entry in enumerate(screen.entries)
        for row in range(len(screen.rows(entry)))
    ]
    for entry in screen.entries:
        assert places[screen.row_of(entry)] == (screen.entries.index(entry), 0)
        name = screen.name(entry)
        one = len(list(iter_graphemes(name.removesuffix("…: ")))) == 1
        assert one or cell_len(name) <= max(screen.width, 10)


@target(512)
def composed(material: Material) -> None:
    """What was typed is messages that can all be said: one line each, none blank, no NUL."""
    typed = material.text()
    texts = texts_of(typed)
    for text in texts:
        assert text.strip()
        assert "\0" not in text
        assert len(text.splitlines()) == 1
        text.encode()
    assert "".join("".join(texts).split()) == "".join(typed.replace("\0", "").split())
    assert str(Size.of(texts))
