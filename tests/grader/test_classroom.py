"""A class at once: six solutions, each of which is wrong in its own way but the first."""

import csv
import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.grader.conftest import Graded, grade
from tests.grader.faults import GRADE, SPECIMENS
from tests.grader.test_containment import running
from tests.support.programs import Program, eventually, require_tool

_MAKEFILE = "sop-chat: sop-chat.c\n\tgcc -O1 -o $@ $<\n"

_FOREVER = "int main(void) { for (;;) ; }\n"
_BROKEN = "int main(void) { return <b>nothing</b>; }\n"
_FORKS = """
#include <unistd.h>
int main(void)
{
    /* Bounded, should the grader fail to hold it off. */
    for (int i = 0; i < 1000; i++)
        if (fork() == 0) {
            setsid();
            sleep(60);
            return 0;
        }
    for (;;)
        pause();
}
"""


@pytest.fixture(scope="module")
def students(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the work of six students, one of whom has an unusual name."""
    require_tool("gcc")
    require_tool("make")
    folder = tmp_path_factory.mktemp("class") / "students"
    sources = {
        "anna": (SPECIMENS / "frame.c").read_text(),
        "bert": (SPECIMENS / "frame.c")
        .read_text()
        .replace("mistake = M", 'mistake = "prefix-key";//'),
        "chris <i>&": (SPECIMENS / "frame_blocking.c").read_text(),
        "dora": _FOREVER,
        "emil": _BROKEN,
        "fritz": _FORKS,
    }
    for name, source in sources.items():
        student = folder / name
        student.mkdir(parents=True)
        (student / "sop-chat.c").write_text(source)
        (student / "Makefile").write_text(_MAKEFILE)
    return folder


_OPTIONS = ("--timeout-scale", "0.2", "--skip", "R.8", "R.14", "R.19")


@pytest.fixture(scope="module")
def graded(students: Path) -> Graded:
    return grade("class", str(students), *_OPTIONS)


@pytest.fixture(scope="module")
def out(students: Path, graded: Graded) -> Path:
    return students.with_name("students-grades")


def test_each_solution_gets_what_it_deserves(graded: Graded, out: Path) -> None:
    assert graded.status == 1, graded.stderr
    lines = (out / "grades.csv").read_text().splitlines()
    rows = {row["solution"]: row for row in csv.DictReader(lines)}
    points = {name: float(row["points"]) for name, row in rows.items()}
    assert points == {
        "anna": 16.5,
        "bert": 16,
        "chris <i>&": 16.5,
        "dora": 0,
        "emil": 0,
        "fritz": 0,
    }
    assert float(rows["bert"]["2.6"]) == 0
    assert rows["emil"]["notice"] == "does not build"
    assert {row["max points"] for row in rows.values()} == {"16.5"}


def test_nothing_is_left_running(graded: Graded, students: Path) -> None:
    assert graded.status == 1
    assert running("sop-chat-grade-") == []


def test_what_was_handed_in_stays_as_it_was(graded: Graded, students: Path) -> None:
    for student in students.iterdir():
        assert {path.name for path in student.iterdir()} == {"sop-chat.c", "Makefile"}


def test_every_student_has_a_page_and_what_the_compiler_said(out: Path) -> None:
    page = html.unescape((out / "solutions" / "emil.html").read_text())
    assert "does not build" in page
    assert "return <b>nothing</b>" in page
    report = json.loads((out / "solutions" / "dora.json").read_text())
    assert report["checks"][0]["status"] == "failed"
    assert "it is running" in report["checks"][0]["seen"]


def test_the_class_page_leads_to_all_of_them_in_a_browser(out: Path, tmp_path: Path) -> None:
    browser = require_tool("chromium-headless-shell")
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--window-size=1100,900")
    address = f"file://{out / 'index.html'}"
    dom = subprocess.run(
        [browser, *options, "--dump-dom", address], capture_output=True, text=True, timeout=50
    ).stdout
    assert dom.count('class="student"') == 6
    assert "chris &lt;i&gt;&amp;" in dom
    assert "<svg" in dom
    assert "refuses keys that are nearly right" in dom
    picture = tmp_path / "class.png"
    subprocess.run([browser, *options, f"--screenshot={picture}", address], timeout=50, check=True)
    assert picture.stat().st_size > 20_000


def test_what_is_graded_is_not_graded_again_unless_it_changed(
    graded: Graded, students: Path, out: Path
) -> None:
    with (students / "emil" / "sop-chat.c").open("a") as file:
        file.write("\n")
    again = grade("class", str(students), *_OPTIONS)
    told = {line.partition(":")[0]: line for line in again.stdout.splitlines() if ":" in line}
    assert "graded before" not in told["emil"]
    assert all("graded before" in told[name] for name in ("anna", "bert", "dora", "fritz"))


def test_a_class_that_was_interrupted_goes_on_where_it_was(students: Path, tmp_path: Path) -> None:
    folder = tmp_path / "two"
    for name in ("anna", "dora"):
        shutil.copytree(students / name, folder / name)
    with Program(GRADE, "class", str(folder), *_OPTIONS) as grader:
        grader.wait_for("anna: ")
        grader.interrupt()
        assert grader.wait() == 130
        assert "Traceback" not in grader.stderr
    eventually(lambda: running(str(folder)) == [], "something still runs")
    again = grade("class", str(folder), *_OPTIONS)
    assert "anna: 16.5 of 16.5 points (graded before)" in again.stdout
    assert "dora: 0 of 16.5 points" in again.stdout


def test_a_class_may_be_built_and_started_in_other_ways(tmp_path: Path) -> None:
    student = tmp_path / "class" / "gerd"
    student.mkdir(parents=True)
    shutil.copy(SPECIMENS / "talk.py", student / "source")
    done = grade(
        *("class", str(tmp_path / "class"), "--exercise", "talk"),
        *("--build", "cp source chat.py", "--run", "python3 chat.py", "--only", "1.1", "2.1"),
    )
    assert done.status == 0, done.stderr
    assert "gerd: 3 of 3 points" in done.stdout


def test_odd_folders_cost_themselves_alone(tmp_path: Path) -> None:
    """Names that are links, formulas, other pages or no text; pipes; files that mislead."""
    folder = tmp_path / "class"
    names = [
        "index",
        "a#b?c%41",
        "javascript:alert(1)",
        "=cmd()",
        "-x",
        os.fsdecode(b"\xff\x1b[31m"),
    ]
    for name in names:
        (folder / name).mkdir(parents=True)
        shutil.copy(SPECIMENS / "talk.py", folder / name)
    os.mkfifo(folder / "index" / "pipe")
    (folder / "-x" / "Makefile").write_text("all:\n\ttrue\n")
    (folder / "-x" / ".home").write_text("a file\n")
    done = grade(
        *("class", str(folder), "--exercise", "talk", "--out", str(folder / "out")),
        *("--run", "python3 talk.py", "--only", "1.1"),
    )
    assert done.status == 0, done.stdout
    page = (folder / "out" / "index.html").read_text()
    links = re.findall(r'href="([^"]*)"', page)
    assert len(links) == len(names)
    for link in links:
        assert (folder / "out" / unquote(html.unescape(link))).is_file()
        assert link.startswith("solutions/")
    cells = [row[0] for row in csv.reader((folder / "out" / "grades.csv").read_text().splitlines())]
    assert not [cell for cell in cells if cell.startswith(("=", "-"))]
    again = grade(
        *("class", str(folder), "--exercise", "talk", "--out", str(folder / "out")),
        *("--run", "python3 talk.py", "--only", "1.1"),
    )
    assert again.stdout.count("(graded before)") == len(names)


def test_what_changes_a_grade_is_graded_again(tmp_path: Path) -> None:
    student = tmp_path / "class" / "gerd"
    student.mkdir(parents=True)
    shutil.copy(SPECIMENS / "talk.py", student)
    (student / "talk.py").chmod(0o644)
    options = ("--exercise", "talk", "--run", "python3 talk.py", "--only", "1.1")

    def told(*more: str) -> str:
        return grade("class", str(tmp_path / "class"), *options, *more).stdout

    assert "graded before" not in told()
    assert "graded before" in told()
    (student / "talk.py").chmod(0o755)
    assert "graded before" not in told()
    assert "graded before" not in told("--env", "LANG=C")
    kept = tmp_path / "class-grades" / "solutions" / "gerd.json"
    for damaged in ("{", "[]"):
        kept.write_text(damaged)
        assert "graded before" not in told()


def test_time_that_was_over_is_told_and_not_kept(students: Path, tmp_path: Path) -> None:
    shutil.copytree(students / "dora", tmp_path / "class" / "dora")
    for _ in range(2):
        done = grade("class", str(tmp_path / "class"), "--seconds", "1", "--skip", "R.19")
        assert "dora: 0 of 16.5 points, time was over" in done.stdout
    assert "graded before" not in done.stdout


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    done = grade("class", str(tmp_path))
    assert done.status == 2
    assert "there is no folder in it" in done.stderr
