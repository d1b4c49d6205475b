"""What a terminal sends, as it is put right before Textual reads it."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sopchat_client.tui.terminal import TerminalInput

BEGIN, END = "\x1b[200~", "\x1b[201~"


def told(*pieces: bytes) -> str:
    decoder = TerminalInput()
    return "".join(map(decoder.decode, pieces))


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("grün".encode(), "grün"),
        (b"a\x9bb\xe9c", "a\ufffdb\ufffdc"),
        (b"a\x1b\rb", "a\nb"),
        (b"\x1b[27;2;13~\x1b[27;5;13~\r", "\n\n\r"),
        (b"\x1b", "\x1b"),
        (b"\x1b[", "\x1b["),
        (b"\x1b[A\x1b[15~", "\x1b[A\x1b[15~"),
        (
            f"{BEGIN}see \x1b[1mbold\x1b[0m\r\nnow\0\x07{END}x".encode(),
            f"{BEGIN}see [1mbold[0m\r\nnow{END}x",
        ),
        (f"{BEGIN}a\x1b\rb{BEGIN}c{END}".encode(), f"{BEGIN}a\rb[200~c{END}"),
    ],
)
def test_what_is_sent_is_read_as_it_is_meant(sent: bytes, meant: str) -> None:
    assert told(sent) == meant


@given(
    st.lists(st.text("aü\x1b\x9b\r\n\0 👋", max_size=20), max_size=4),
    st.lists(st.integers(0, 200), max_size=6),
)
def test_a_paste_is_the_same_however_its_reads_are_cut(texts: list[str], cuts: list[int]) -> None:
    whole = "x".join(f"{BEGIN}{text}{END}" for text in texts).encode()
    # A mark that begins a paste is one write of the terminal: it is not cut within two characters.
    begins = {whole.find(BEGIN.encode(), place) for place in range(len(whole))}
    places = sorted(cut for cut in {*cuts} if cut - 1 not in begins and cut - 2 not in begins)
    edges = [0, *(place for place in places if place < len(whole)), len(whole)]
    pieces = [whole[start:end] for start, end in itertools.pairwise(edges)]
    assert told(*pieces) == told(whole)
    assert told(whole).count(BEGIN) == len(texts)
