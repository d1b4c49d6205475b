"""The measurement of what encryption costs, made small."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_it_measures_both_rooms_in_turn() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.tls", "--quick"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines()]
    figures = {title: [float(cell.replace(",", "")) for cell in cells] for title, *cells in rows}
    assert len(figures) == 4
    assert all(plain > 0 and encrypted > 0 for plain, encrypted in figures.values())
    plain, encrypted = figures["an idle member, KiB"]
    assert plain < encrypted < 100
