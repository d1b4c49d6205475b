"""The measurement of the client's screen, made small."""

import pytest

from benchmarks import screen


def test_it_measures_starts_keys_and_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"KEYS": 20, "SCROLLBACK": 300, "STARTS": 1, "RATES": (0, 100)}.items():
        monkeypatch.setattr(screen, name, value)
    told: list[str] = []
    assert screen.main([], told.append) == 0
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in told if "|" in row]
    figures = {row[0]: [float(cell) for cell in row[1:]] for row in cells if row[-1][-1].isdigit()}
    assert list(figures) == ["`import trio`", "full screen", "line mode", "0 more", "100 more"]
    start, full, line = (figures[name][0] for name in list(figures)[:3])
    assert 0 < start < line < full
    for rate in ("0 more", "100 more"):
        p50, p99, memory = figures[rate]
        assert 0 < p50 <= p99
        assert 20 < memory < 120
