"""What the grader's tests share: compiled specimens, and the command."""

import json
import subprocess
from pathlib import Path
from typing import Any

import attrs
import pytest

from tests.grader.faults import GRADE, Specimens
from tests.support.programs import require_tool


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One after the other: a grader that is told to be impatient must not be kept waiting."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.xdist_group("grader"))


@attrs.frozen
class Graded:
    """A grading that ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        """What came out with `--json -`."""
        found: dict[str, Any] = json.loads(self.stdout)
        return found

    @property
    def statuses(self) -> dict[str, str]:
        return {check["id"]: check["status"] for check in self.report["checks"]}


def grade(*arguments: str, cwd: Path | None = None, env: dict[str, str] | None = None) -> Graded:
    """Run the grader to its end."""
    done = subprocess.run(
        [GRADE, *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        timeout=120,
    )
    assert not done.stderr.startswith("Traceback"), done.stderr
    assert "\nTraceback" not in done.stderr, done.stderr
    return Graded(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def specimens(tmp_path_factory: pytest.TempPathFactory) -> Specimens:
    return Specimens.compile(require_tool("gcc"), tmp_path_factory.mktemp("specimens"))
