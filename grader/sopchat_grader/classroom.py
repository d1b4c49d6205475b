"""A class at once: every folder is built and graded, and there is a page for each and for all."""

import csv
import errno
import hashlib
import io
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs

from sopchat_grader import __version__
from sopchat_grader.build import Build, NotCompiled, build, sanitized
from sopchat_grader.grading import Grading, Plan
from sopchat_grader.reports import write_file
from sopchat_grader.reports.html import Notice, html, page
from sopchat_grader.reports.json_report import as_values
from sopchat_grader.result import Report
from sopchat_grader.solution import Solution

_FULL, _LOST, _TROUBLE = 0, 1, 2

# The checks failed most that the class page names.
_MOST_FAILED = 15


@attrs.frozen
class Classroom:
    """A folder of solutions, and where their grades go."""

    folder: Path
    out: Path
    build: Sequence[str] | None
    """How to build one; None: with make, where there is a Makefile."""
    run: tuple[str, ...]
    """How to start one, from within its folder."""
    seconds: float
    """For the build of one, and as many for its checks."""
    plan: Plan
    tell: Callable[[str], None]
    """What the teacher reads meanwhile, line by line."""

    def grade(self) -> int:
        """Grade all that are not graded yet; 0 all points, 1 points lost, 2 a grader's fault."""
        folders = sorted(
            path
            for path in self.folder.iterdir()
            if path.is_dir() and not path.name.startswith(".") and path.resolve() != self.out
        )
        if not folders:
            raise FileNotFoundError(errno.ENOENT, "there is no folder in it", str(self.folder))
        self.out.mkdir(parents=True, exist_ok=True)
        grades = [self._grade(folder) for folder in folders]
        write_file(self.out / "grades.csv", self._spreadsheet(grades))
        write_file(self.out / "index.html", self._overview(grades))
        self.tell(f"\n{self.out / 'index.html'}\n{self.out / 'grades.csv'}")
        if any(check["status"] == "error" for grade in grades for check in grade["checks"]):
            return _TROUBLE
        full = all(grade["points"] >= grade["max_points"] for grade in grades)
        return _FULL if full else _LOST

    def _grade(self, folder: Path) -> dict[str, Any]:
        """One solution: from the file of an earlier run if nothing has changed since."""
        file = self.out / f"{folder.name}.json"
        digest = self._digest(folder)
        if file.exists():
            grade: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            if grade.get("digest") == digest:
                self._tell(grade, "graded before")
                return grade
        with tempfile.TemporaryDirectory(prefix="sop-chat-grade-") as copy:
            work = Path(copy) / folder.name
            shutil.copytree(folder, work, symlinks=True)
            report, notice = self._build_and_grade(work)
        grade = {
            "name": folder.name,
            "digest": digest,
            "notice": notice.title if notice else "",
            **as_values(report),
        }
        write_file(self.out / f"{folder.name}.html", html(report, folder.name, notice))
        write_file(file, json.dumps(grade, indent=1, ensure_ascii=False) + "\n")
        self._tell(grade, f"{report.seconds:.1f} s")
        return grade

    def _build_and_grade(self, work: Path) -> tuple[Report, Notice | None]:
        plan = attrs.evolve(
            self.plan, solution=Solution.from_words(self.run, self.plan.exercise.form, work)
        )
        built = self._build(work)
        if not built.succeeded:
            nothing = Grading(plan, lambda report, running: None)
            report = nothing.give_up("it could not be built")
            return report, Notice("does not build", built.said)
        program = plan.solution.words[0]
        if "/" in program and "{" not in program and not (work / program).exists():
            nothing = Grading(plan, lambda report, running: None)
            report = nothing.give_up(f"there is no {program}")
            return report, Notice(f"no {program}", f"It was built, and there is no {program}.")
        sources = sorted(work.glob("*.c"))
        asan: Path | None = None
        if sources and plan.exercise.name == "frame":
            try:
                asan = sanitized(sources, plan.environment, self.seconds)
                plan = plan.sanitized_by(asan)
            except NotCompiled:
                plan = plan.sanitized_by("its C sources are not one program")
        try:
            return Grading(plan, lambda report, running: None).run(self.seconds), None
        finally:
            if asan is not None:
                shutil.rmtree(asan.parent)

    def _build(self, work: Path) -> Build:
        command = self.build
        if command is None:
            names = ("GNUmakefile", "makefile", "Makefile")
            if not any((work / name).exists() for name in names):
                return Build(succeeded=True, said="")
            command = ["make"]
        return build(work, command, environment=self.plan.environment, seconds=self.seconds)

    def _digest(self, folder: Path) -> str:
        """What a grade depends on: the files, and how they are graded."""
        digest = hashlib.sha256()
        plan = self.plan
        names = [check.id for check in plan.selection]
        digest.update(
            repr(
                (
                    *(__version__, plan.exercise.name, plan.stage, names, plan.seed),
                    *(self.build, self.run, self.seconds, plan.timeout_scale),
                )
            ).encode()
        )
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink():
                content = hashlib.sha256(path.read_bytes()).digest()
                digest.update(str(path.relative_to(folder)).encode("utf-8", "surrogateescape"))
                digest.update(content)
        return digest.hexdigest()

    def _tell(self, grade: dict[str, Any], how: str) -> None:
        notice = f", {grade['notice']}" if grade["notice"] else ""
        points = f"{grade['points']:g} of {grade['max_points']:g} points"
        self.tell(f"{grade['name']}: {points}{notice} ({how})")

    def _spreadsheet(self, grades: Sequence[dict[str, Any]]) -> str:
        """Comma-separated: a line a solution, a column a stage and a check."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        stages = [stage["name"] for stage in grades[0]["stages"]]
        ids = [check.id for check in self.plan.selection]
        writer.writerow(["solution", "points", "max points", "bonus", "notice", *stages, *ids])
        for grade in grades:
            points = {check["id"]: check["points"] for check in grade["checks"]}
            writer.writerow(
                [grade["name"], grade["points"], grade["max_points"], grade["bonus"]]
                + [grade["notice"]]
                + [stage["points"] for stage in grade["stages"]]
                + [points.get(name, 0) for name in ids]
            )
        return text.getvalue()

    def _overview(self, grades: Sequence[dict[str, Any]]) -> str:
        stages = [
            {
                "name": stage["name"],
                "short": stage["name"].split()[0],
                "max_points": stage["max_points"],
                "average": sum(grade["stages"][at]["points"] for grade in grades) / len(grades),
            }
            for at, stage in enumerate(grades[0]["stages"])
        ]
        for stage in stages:
            stage["share"] = stage["average"] / stage["max_points"] if stage["max_points"] else 1
        return page(
            "class.html",
            heading=self.folder.resolve().name,
            title=self.plan.exercise.title,
            stages=stages,
            students=[_row(grade) for grade in grades],
            failures=_failed_most(grades),
        )


def _row(grade: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": grade["name"],
        "page": f"{grade['name']}.html",
        "notice": grade["notice"],
        "points": grade["points"],
        "max_points": grade["max_points"],
        "share": grade["points"] / grade["max_points"] if grade["max_points"] else 1,
        "stages": [stage["points"] for stage in grade["stages"]],
    }


def _failed_most(grades: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The checks that most solutions failed, with their names."""
    found: dict[str, dict[str, Any]] = {}
    for grade in grades:
        for check in grade["checks"]:
            if check["status"] == "failed":
                entry = found.setdefault(
                    check["id"], {"id": check["id"], "title": check["title"], "names": []}
                )
                entry["names"].append(grade["name"])
    for entry in found.values():
        entry["count"] = len(entry["names"])
    ranked = sorted(found.values(), key=lambda entry: -int(entry["count"]))
    return ranked[:_MOST_FAILED]
