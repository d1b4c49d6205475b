"""A class at once: every folder is built and graded, each by itself, and only what is new."""

import errno
import hashlib
import json
import random
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs

from sopchat_grader import __version__
from sopchat_grader.build import Build, NotCompiled, build, sanitized
from sopchat_grader.containment import remove
from sopchat_grader.grading import Grading, Plan
from sopchat_grader.printable import printable
from sopchat_grader.reports import write_file
from sopchat_grader.reports.class_pages import overview, solution_file, spreadsheet
from sopchat_grader.reports.html import Notice, html
from sopchat_grader.reports.json_report import as_values
from sopchat_grader.result import Report
from sopchat_grader.solution import Solution

_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")

Grade = dict[str, Any]
"""A report as JSON has it, with the solution's `name`, a `notice`, and a `digest`."""


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
    """With the seed that was asked for; none: one is drawn, and kept for the next time."""
    tell: Callable[[str], None]
    """What the teacher reads meanwhile, line by line."""

    def grade(self) -> list[Grade]:
        """Grade all that are not graded yet, and write the pages. Raises OSError."""
        folders = sorted(
            path
            for path in self.folder.iterdir()
            if path.is_dir() and not path.name.startswith(".") and path.resolve() != self.out
        )
        if not folders:
            raise FileNotFoundError(errno.ENOENT, "there is no folder in it", str(self.folder))
        (self.out / "solutions").mkdir(parents=True, exist_ok=True)
        plan = attrs.evolve(self.plan, seed=self.plan.seed or self._kept_seed())
        grades: list[Grade] = []
        for folder in folders:
            grades.append(self._grade(folder, plan))
            self._write_pages(grades)
        self.tell(f"\n{self.out / 'index.html'}\n{self.out / 'grades.csv'}")
        return grades

    def _kept_seed(self) -> str:
        """The seed of an earlier run, so that what it graded still counts."""
        file = self.out / "seed"
        if not file.exists():
            write_file(file, str(random.randrange(10**6)))  # noqa: S311  # no secret
        return file.read_text(encoding="utf-8").strip()

    def _write_pages(self, grades: Sequence[Grade]) -> None:
        """As far as we are: an interrupted run leaves them, too."""
        checks = [check.id for check in self.plan.selection]
        write_file(self.out / "grades.csv", spreadsheet(grades, checks))
        name = printable(self.folder.resolve().name)
        write_file(self.out / "index.html", overview(name, self.plan.exercise.title, grades))

    def _grade(self, folder: Path, plan: Plan) -> Grade:
        """One solution: from the file of an earlier run if nothing has changed since."""
        name = printable(folder.name)
        page = self.out / "solutions" / solution_file(name, "html")
        file = page.with_suffix(".json")
        start = time.monotonic()
        try:
            digest = self._digest(folder, plan)
            kept = _kept(file, digest) if page.exists() else None
            if kept is not None:
                self._tell(kept, "graded before")
                return kept
            with _copy(folder) as (writable, work):
                report, notice = self._build_and_grade(writable, work, plan)
        except (OSError, shutil.Error, RuntimeError) as error:
            digest = ""  # the next run tries again
            report = plan.nothing("it could not be graded")
            notice = Notice("could not be graded", printable(str(error)))
        grade = {
            "name": name,
            "digest": digest,
            "notice": notice.title if notice else "",
            **as_values(report),
        }
        write_file(page, html(report, name, notice))
        write_file(file, json.dumps(grade, indent=1, ensure_ascii=False) + "\n")
        self._tell(grade, f"{time.monotonic() - start:.1f} s")
        return grade

    def _build_and_grade(
        self, writable: Path, work: Path, plan: Plan
    ) -> tuple[Report, Notice | None]:
        solution = Solution.from_words(self.run, plan.exercise.form, work)
        plan = attrs.evolve(plan, solution=solution)
        built = self._build(writable, work)
        if not built.succeeded:
            return plan.nothing("it could not be built"), Notice("does not build", built.said)
        program = solution.words[0]
        if "/" in program and "{" not in program and not (work / program).exists():
            notice = Notice(f"no {program}", f"When it was built, there was no {program}.")
            return plan.nothing(f"there is no {program}"), notice
        with self._sanitized(work, plan) as plan:
            report = Grading(plan, lambda report, running: None).run(self.seconds)
        if report.seconds > self.seconds:
            text = f"The checks were not over after {self.seconds:g} s; the rest is not assessed."
            return report, Notice("time was over", text)
        return report, None

    @contextmanager
    def _sanitized(self, work: Path, plan: Plan) -> Iterator[Plan]:
        """The plan with what AddressSanitizer watches, where the C sources are one program."""
        sources = sorted(work.glob("*.c"))
        if not sources or not any(check.needs_sources for check in plan.selection):
            yield attrs.evolve(plan, sanitized="there are no C sources")
            return
        try:
            program = sanitized(sources, plan.environment, self.seconds)
        except NotCompiled:
            yield attrs.evolve(plan, sanitized="its C sources are not one program")
            return
        try:
            yield attrs.evolve(plan, sanitized=program)
        finally:
            remove(program.parent)

    def _build(self, writable: Path, work: Path) -> Build:
        command = self.build
        if command is None:
            if not any((work / name).exists() for name in _MAKEFILES):
                return Build(succeeded=True, said="")
            command = ["make"]
        return build(
            work,
            command,
            writable=writable,
            environment=self.plan.environment,
            seconds=self.seconds,
        )

    def _digest(self, folder: Path, plan: Plan) -> str:
        """What a grade depends on: the files, and how they are graded. Raises OSError."""
        names = [check.id for check in plan.selection]
        how = [
            *(__version__, plan.exercise.name, plan.stage, names, plan.seed, plan.timeout_scale),
            *(self.build, self.run, self.seconds, sorted(plan.environment.items())),
        ]
        digest = hashlib.sha256(repr(how).encode("utf-8", "surrogateescape"))
        for path in sorted(folder.rglob("*")):
            status = path.lstat()
            what: object = ""
            if path.is_symlink():
                what = path.readlink()
            elif stat.S_ISREG(status.st_mode):
                with path.open("rb") as file:
                    what = hashlib.file_digest(file, "sha256").hexdigest()
            line = f"{path.relative_to(folder)} {status.st_mode} {what}\n"
            digest.update(line.encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def _tell(self, grade: Grade, how: str) -> None:
        notice = f", {grade['notice']}" if grade["notice"] else ""
        points = f"{grade['points']:g} of {grade['max_points']:g} points"
        self.tell(f"{grade['name']}: {points}{notice} ({how})")


@contextmanager
def _copy(folder: Path) -> Iterator[tuple[Path, Path]]:
    """A copy of what was handed in, in a folder of ours; pipes and devices stay behind."""
    writable = Path(tempfile.mkdtemp(prefix="sop-chat-grade-"))
    try:
        work = writable / "solution"
        shutil.copytree(folder, work, symlinks=True, ignore=_special)
        yield writable, work
    finally:
        remove(writable)


def _special(folder: str, names: list[str]) -> list[str]:
    found = []
    for name in names:
        mode = (Path(folder) / name).lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
            found.append(name)
    return found


def _kept(file: Path, digest: str) -> Grade | None:
    """An earlier grade, if it is of the same and nothing went wrong with it but the solution."""
    try:
        grade = json.loads(file.read_text(encoding="utf-8"))
        same: bool = grade["digest"] == digest
        wrong = any(check["status"] == "error" for check in grade["checks"])
        if not same or wrong or grade["notice"] == "time was over":
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return dict(grade)
