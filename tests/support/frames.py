"""Frames made by hand: nothing here comes from the code under test."""

FRAME = 512


def frame(name: str | bytes, text: str | bytes = b"") -> bytes:
    """The 512 bytes of a frame: name in 64 bytes, text in 448, padded with NUL."""
    name = name.encode() if isinstance(name, str) else name
    text = text.encode() if isinstance(text, str) else text
    assert len(name) <= 64
    assert len(text) <= 448
    return name.ljust(64, b"\0") + text.ljust(448, b"\0")


def frames(name: str, count: int, start: int = 0) -> list[bytes]:
    """Frames that can be told apart and say who sent them."""
    return [frame(name, f"{name} {number}") for number in range(start, start + count)]


def cut(data: bytes) -> list[bytes]:
    """Whole frames out of a byte string."""
    assert len(data) % FRAME == 0
    return [data[place : place + FRAME] for place in range(0, len(data), FRAME)]
