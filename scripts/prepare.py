"""Makes .venv in the checkout: `prepare.py core` for the commands, `prepare.py dev` for the tests.

Started by scripts/environment with any Python 3.11 or later, before anything is installed.
"""

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYPROJECT = ROOT / "pyproject.toml"
PYTHON = VENV / "bin" / "python"


def is_ready(extra: str) -> bool:
    """Whether what pyproject.toml asks for has been installed since it last changed."""
    mark = VENV / f"ready-{extra}"
    return made_here(mark) and mark.stat().st_mtime > PYPROJECT.stat().st_mtime


def made_here(mark: Path) -> bool:
    """Whether an environment was made for this place: one that was moved or copied is of no use."""
    return mark.exists() and mark.read_text().strip() == str(ROOT)


def run(what: str, *command: str | Path) -> None:
    """Run quietly; where it fails, end and show what it said."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{what} failed:\n{done.stdout}{done.stderr}".rstrip())


def works(python: Path) -> bool:
    """Whether an environment made earlier can still install packages."""
    if not python.exists():
        return False
    return not subprocess.run([python, "-m", "pip", "--version"], capture_output=True).returncode


def prepare(extra: str) -> None:
    """Make the environment if there is none that works, and install into it."""
    print(f"first use: preparing {VENV} ...", file=sys.stderr)
    if not (made_here(VENV / "ready-core") and works(PYTHON)):
        shutil.rmtree(VENV, ignore_errors=True)
        run(
            "making the environment (on Debian it needs: apt install python3-venv)",
            *(sys.executable, "-m", "venv", VENV),
        )
    source = str(ROOT) if extra == "core" else f"{ROOT}[{extra}]"
    pip = (PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run("installing the dependencies", *pip, "--editable", source)
    for mark in {"core", extra}:
        (VENV / f"ready-{mark}").write_text(f"{ROOT}\n")


def main() -> None:
    """One at a time: several terminals may start for the first time at once."""
    (extra,) = sys.argv[1:]
    with PYPROJECT.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_ready(extra):
            prepare(extra)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
