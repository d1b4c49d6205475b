"""Light and dark: the colours of the screen, and one for each name on both."""

import os

from rich.style import Style
from textual.theme import Theme

from sopchat.wire.display import COLOURS, colour_number

DARK = Theme(
    name="dark",
    primary="#5aa9e6",
    secondary="#8fb8de",
    accent="#ffb454",
    warning="#ffb454",
    error="#ff7b72",
    success="#6fcf8a",
    foreground="#d8dee9",
    background="#14171c",
    surface="#1c2128",
    panel="#262c36",
    dark=True,
)
LIGHT = Theme(
    name="light",
    primary="#1f6fb2",
    secondary="#3c6e9f",
    accent="#a85300",
    warning="#9a5b00",
    error="#b3261e",
    success="#1f7a3d",
    foreground="#20242b",
    background="#fbfbf9",
    surface="#f0f0ec",
    panel="#e3e4e0",
    dark=False,
)

# Red, green, yellow, blue, magenta, cyan, then their bright kin, as a terminal's colours in
# sopchat.wire.display, but readable on each of the two backgrounds.
NAMES_ON_DARK = (
    "#ff7b72",
    "#6fcf8a",
    "#e3c15c",
    "#6ea8fe",
    "#d69bf0",
    "#56c7d6",
    "#ff9f7a",
    "#b5de6a",
    "#a5b4ff",
    "#f59ac6",
    "#6fe0c0",
)
NAMES_ON_LIGHT = (
    "#b3261e",
    "#196a33",
    "#7d5c00",
    "#1d5fbf",
    "#8e35a8",
    "#0b6b80",
    "#a5430a",
    "#4f6d00",
    "#4250c8",
    "#ab1f68",
    "#087058",
)
assert len(NAMES_ON_DARK) == len(NAMES_ON_LIGHT) == len(COLOURS)


_ON_DARK, _ON_LIGHT = (
    [Style(color=colour, bold=True) for colour in colours]
    for colours in (NAMES_ON_DARK, NAMES_ON_LIGHT)
)


def name_style(name: str, *, dark: bool) -> Style:
    """A name's own colour, of the same kind as on a console."""
    return (_ON_DARK if dark else _ON_LIGHT)[colour_number(name)]


def background_is_light() -> bool:
    """What `COLORFGBG` says, which some terminals set: `0;15` is black on white.

    Where nothing is said, it is dark.
    """
    return os.environ.get("COLORFGBG", "").rpartition(";")[2] in ("7", "15")
