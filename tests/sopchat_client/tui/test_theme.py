import pytest
from sopchat_client.tui import theme
from textual.color import Color
from textual.theme import Theme


def luminance(colour: str) -> float:
    """WCAG 2, relative luminance."""
    parts = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in Color.parse(colour).normalized
    ]
    return sum(part * share for part, share in zip(parts, (0.2126, 0.7152, 0.0722), strict=True))


def contrast(one: str, other: str) -> float:
    """WCAG 2, contrast ratio."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_the_contrast_is_as_wcag_has_it() -> None:
    assert contrast("#000000", "#ffffff") == 21
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


@pytest.mark.parametrize(
    ("shown", "colours"),
    [(theme.DARK, theme.NAMES_ON_DARK), (theme.LIGHT, theme.NAMES_ON_LIGHT)],
    ids=lambda value: value.name if isinstance(value, Theme) else "",
)
def test_every_name_can_be_read_on_the_background_and_on_what_one_said_oneself(
    shown: Theme, colours: tuple[str, ...]
) -> None:
    assert shown.background is not None
    assert shown.surface is not None
    for colour in colours:
        assert contrast(colour, shown.background) >= 4.5, colour
        assert contrast(colour, shown.surface) >= 4.5, colour


def test_a_name_has_its_own_bold_colour_of_those_of_the_theme() -> None:
    for dark, colours in ((True, theme.NAMES_ON_DARK), (False, theme.NAMES_ON_LIGHT)):
        styles = [theme.name_style(f"name {number}", dark=dark) for number in range(200)]
        assert {style.color.name for style in styles if style.color} == set(colours)
        assert all(style.bold for style in styles)
        assert theme.name_style("ann", dark=dark) == theme.name_style("ann", dark=dark)


@pytest.mark.parametrize(
    ("said", "light"),
    [
        ("0;15", True),
        ("0;7", True),
        ("0;default;15", True),
        ("15;0", False),
        ("7;8", False),
        ("15;default;0", False),
        ("0;default", False),
        ("", False),
        (None, False),
    ],
)
def test_colorfgbg_says_whether_the_terminal_is_light(
    said: str | None, light: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("COLORFGBG", raising=False)
    if said is not None:
        monkeypatch.setenv("COLORFGBG", said)
    assert theme.background_is_light() is light
