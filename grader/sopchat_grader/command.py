"""`sop-chat-grade`: arguments, reports, exit status."""

import argparse
import io
import math
import os
import random
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NoReturn, TextIO, TypeVar

import attrs

from sopchat_grader import __version__
from sopchat_grader.build import NotCompiled, sanitized
from sopchat_grader.check import Check
from sopchat_grader.classroom import Classroom
from sopchat_grader.exercises import EXERCISES
from sopchat_grader.grading import Grading, Plan
from sopchat_grader.reports import FORMATS, STANDARD_OUTPUT, write
from sopchat_grader.reports.table import TableReport
from sopchat_grader.result import Report
from sopchat_grader.solution import PLACEHOLDERS, Solution

Number = TypeVar("Number", int, float)

FULL, LOST, TROUBLE = 0, 1, 2

_BUILD_SECONDS = 120.0

_EPILOG = """\
The command is started anew for every check, in an empty folder. In it {port} and {key} are filled
in, {stage} (for a program of its own for each stage), {dir} (the current folder), and {arguments},
all that the exercise asks for. A word that names a file here is found from there, too.

  sop-chat-grade -- ./sop-chat {port} {key}             the final program
  sop-chat-grade -- ./stage{stage} {port} {key}         a program for each stage: all 21 points
  sop-chat-grade --stage 2 -- ./sop-chat {port} {key}   the points of stage 2, with its program
  sop-chat-grade --exercise talk -- python3 talk.py     -p and a port are added
  sop-chat-grade class DIR                              every folder below DIR

exit status: 0 all points, 1 points lost, 2 wrong use, nothing selected, or a fault of the grader
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(TROUBLE, f"{self.prog}: {message}\n")


class _Problem(Exception):
    """What ends the command with a message and status 2."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Grade, list or explain; the exit status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # one that knows ASCII only, perhaps
    given = list(sys.argv[1:] if arguments is None else arguments)
    in_class = given[:1] == ["class"]
    options, command = _parse(given[1:] if in_class else given, in_class=in_class)
    try:
        if options.explain:
            return _explain(options)
        if options.list:
            return _list(options)
        if in_class:
            return _grade_class(options)
        return _grade(options, command)
    except (_Problem, OSError) as problem:
        print(f"sop-chat-grade: {_words(problem)}", file=sys.stderr)
        return TROUBLE


def _words(problem: Exception) -> str:
    if isinstance(problem, OSError) and problem.strerror:
        place = f"{problem.filename}: " if problem.filename else ""
        return f"{place}{problem.strerror}"
    return str(problem)


def _parse(given: list[str], *, in_class: bool) -> tuple[argparse.Namespace, list[str]]:
    """The options, and the command behind `--`."""
    command: list[str] = []
    if "--" in given:
        place = given.index("--")
        given, command = given[:place], given[place + 1 :]
    parser = _Parser(
        prog="sop-chat-grade class" if in_class else "sop-chat-grade",
        usage="%(prog)s DIR [options]"
        if in_class
        else "%(prog)s [options] -- COMMAND [{port} {key}]",
        description="Grades every folder below DIR."
        if in_class
        else "Grades a solution of a chat exercise, in any language.",
        epilog=None if in_class else _EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    if in_class:
        _add_class_options(parser)
    else:
        _add_report_options(parser)
    _add_grading_options(parser)
    options = parser.parse_args(given)
    if in_class and command:
        parser.error("class takes no command behind --; say it with --run")
    return options, command


def _add_grading_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--version", action="version", version=f"sop-chat-grade {__version__}")
    parser.add_argument(
        "--exercise", choices=tuple(EXERCISES), default="frame", help="default: %(default)s"
    )
    parser.add_argument(
        "--stage", type=int, metavar="N", help="grade the program of stage N, for its points"
    )
    parser.add_argument("--list", action="store_true", help="list the checks")
    parser.add_argument("--explain", metavar="ID", help="what a check does, and why")
    parser.add_argument("--only", nargs="+", metavar="ID", default=[], help="these checks only")
    parser.add_argument("--skip", nargs="+", metavar="ID", default=[], help="not these checks")
    parser.add_argument("--seed", help="names, keys and ports are drawn from it; default: random")
    parser.add_argument(
        "--jobs",
        type=_positive(int),
        metavar="N",
        default=min(os.cpu_count() or 1, 4),
        help="checks made at a time; default: %(default)s",
    )
    parser.add_argument(
        "--timeout-scale",
        type=_positive(float),
        metavar="X",
        default=1.0,
        help="wait X times longer for everything",
    )
    parser.add_argument(
        "--env",
        action="append",
        type=_variable,
        metavar="NAME[=VALUE]",
        default=[],
        help="a variable that the solution finds in its environment; it has PATH and little more",
    )


def _add_report_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source",
        action="append",
        type=Path,
        metavar="FILE",
        default=[],
        help="a C source of the solution, for the check with AddressSanitizer; repeat for more",
    )
    for name in FORMATS:
        parser.add_argument(
            f"--{name}", metavar="FILE", help=f"write a {name} report; - is standard output"
        )


def _add_class_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="a folder of solutions")
    parser.add_argument(
        "--build",
        metavar="CMD",
        help="how each is built; default: make, where there is a Makefile",
    )
    parser.add_argument(
        "--run",
        metavar="CMD",
        help="how each is started, with the placeholders of a single grading; default: the"
        " exercise's program, such as ./sop-chat {port} {key}",
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="where the pages go; default: DIR-grades"
    )
    parser.add_argument(
        "--seconds",
        type=_positive(float),
        default=180.0,
        metavar="S",
        help="the most time for one solution, and as much for its build; default: %(default)g",
    )


def _positive(kind: type[Number]) -> Callable[[str], Number]:
    def convert(text: str) -> Number:
        value = kind(text)
        if not 0 < value < math.inf:
            raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
        return value

    convert.__name__ = "number"
    return convert


def _variable(text: str) -> str:
    name, given, _ = text.partition("=")
    if not name or not (given or name in os.environ):
        raise argparse.ArgumentTypeError(f"{text} is not set here; write NAME=VALUE")
    return text


def _selection(
    options: argparse.Namespace, *, every_stage: bool, sources: bool
) -> tuple[Check, ...]:
    exercise = EXERCISES[options.exercise]
    for name in [*options.only, *options.skip]:
        if name not in exercise.checks:
            raise _Problem(f"the {exercise.name} exercise has no check {name}; --list lists them")
    if options.stage is not None and not 1 <= options.stage <= len(exercise.stages):
        raise _Problem(
            f"the {exercise.name} exercise has no stage {options.stage}; it has"
            f" 1 to {len(exercise.stages)}"
        )
    selection = exercise.selection(
        every_stage=every_stage,
        sources=sources,
        stage=options.stage,
        only=options.only,
        skip=options.skip,
    )
    if not selection:
        raise _Problem("no check is selected: what --only, --skip and --stage say leaves none")
    return tuple(selection)


def _list(options: argparse.Namespace) -> int:
    selection = _selection(options, every_stage=True, sources=True)
    for check in selection:
        points = f"{check.points:g}"
        print(f"{check.id:<5} {points:>5}{'*' if check.bonus else ' '} {check.title}")
    if any(check.bonus for check in selection):
        print("* a bonus, never a deduction")
    return FULL


def _explain(options: argparse.Namespace) -> int:
    exercise = EXERCISES[options.exercise]
    check = exercise.checks.get(options.explain)
    if check is None:
        raise _Problem(
            f"the {exercise.name} exercise has no check {options.explain}; --list lists them"
        )
    print(f"{check.id} {check.title} ({check.points:g} points{', bonus' * check.bonus})")
    for title, text in (
        ("asked for", check.sentence),
        ("done", check.wire),
        ("to be seen", check.seen),
        ("stands on", ", ".join(check.after)),
    ):
        if text:
            print(f"  {title}: {text}")
    return FULL


def _grade(options: argparse.Namespace, command: list[str]) -> int:
    if not command:
        raise _Problem(
            "no command: write it behind --, such as: sop-chat-grade -- ./sop-chat {port} {key}"
        )
    exercise = EXERCISES[options.exercise]
    solution = Solution.from_words(command, exercise.form, Path.cwd())
    program = solution.words[0]
    if "{" not in program and shutil.which(program) is None:
        raise _Problem(f"{program}: there is no such program, or it may not be executed")
    for name in re.findall(r"(?<!\$)\{[a-z]+\}", " ".join(command)):
        if name not in PLACEHOLDERS:
            raise _Problem(f"{name} stands for nothing; there are {', '.join(PLACEHOLDERS)}")
    targets = {name: getattr(options, name) for name in FORMATS if getattr(options, name)}
    if list(targets.values()).count(STANDARD_OUTPUT) > 1:
        raise _Problem("only one report can go to standard output")
    plan = Plan(
        exercise=exercise,
        solution=solution,
        stage=options.stage,
        selection=_selection(
            options, every_stage=solution.has_every_stage, sources=bool(options.source)
        ),
        seed=options.seed or str(random.randrange(10**6)),  # noqa: S311  # no secret
        jobs=options.jobs,
        timeout_scale=options.timeout_scale,
        passed_on=tuple(options.env),
        sources=tuple(options.source),
    )
    with _Sanitized(plan) as plan:
        report = _run(plan, targets)
    return TROUBLE if report.has_errors else FULL if report.is_full else LOST


class _Sanitized:
    """The plan with the program that AddressSanitizer watches, while it is needed."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._program: Path | None = None

    def __enter__(self) -> Plan:
        if not self._plan.sources:
            return self._plan
        for source in self._plan.sources:
            source.open().close()
        try:
            self._program = sanitized(self._plan.sources, self._plan.environment, _BUILD_SECONDS)
        except NotCompiled as why:
            return attrs.evolve(self._plan, sanitized=f"the sources cannot be compiled: {why}")
        return attrs.evolve(self._plan, sanitized=self._program)

    def __exit__(self, *exception: object) -> None:
        if self._program is not None:
            shutil.rmtree(self._program.parent)


def _run(plan: Plan, targets: dict[str, str]) -> Report:
    """Grade, with the table on standard output, or on standard error if a report goes there."""
    table_file: TextIO = sys.stderr if STANDARD_OUTPUT in targets.values() else sys.stdout
    kept = {name: file for name, file in targets.items() if file != STANDARD_OUTPUT}
    # What a platform that ends us keeps is what stands in the file: from the first check on.
    written = -1
    with TableReport(table_file) as table:

        def progress(report: Report, running: Iterable[Check]) -> None:
            nonlocal written
            table.progress(report, running)
            if "gradescope" in kept and len(report.results) != written:
                written = len(report.results)
                write(report, "gradescope", kept["gradescope"])

        for file in kept.values():
            _expect_writable(Path(file))
        report = Grading(plan, progress).run()
        for name, file in targets.items():
            write(report, name, file)
        table.finish(report)
    return report


def _expect_writable(file: Path) -> None:
    """Whether a report can be written is known before the work, not after it."""
    place = file if file.exists() and not file.is_file() else file.parent
    if file.is_dir() or not os.access(place, os.W_OK):
        raise _Problem(f"{file}: it cannot be written")


def _grade_class(options: argparse.Namespace) -> int:
    folder: Path = options.folder
    if not folder.is_dir():
        raise _Problem(f"{folder}: there is no such folder")
    exercise = EXERCISES[options.exercise]
    run = shlex.split(options.run) if options.run else [f"./{_PROGRAMS[exercise.name]}"]
    solution = Solution.from_words(run, exercise.form, folder)
    classroom = Classroom(
        folder=folder,
        out=(
            options.out or folder.resolve().with_name(f"{folder.resolve().name}-grades")
        ).resolve(),
        build=shlex.split(options.build) if options.build else None,
        run=tuple(run),
        seconds=options.seconds,
        plan=Plan(
            exercise=exercise,
            solution=solution,
            stage=options.stage,
            selection=_selection(options, every_stage=solution.has_every_stage, sources=True),
            seed=options.seed or "",
            jobs=options.jobs,
            timeout_scale=options.timeout_scale,
            passed_on=tuple(options.env),
        ),
        tell=lambda line: print(line, flush=True),
    )
    grades = classroom.grade()
    if any(check["status"] == "error" for grade in grades for check in grade["checks"]):
        return TROUBLE
    return FULL if all(grade["points"] >= grade["max_points"] for grade in grades) else LOST


# What a solution's program is called in its folder, if nothing else is said.
_PROGRAMS = {"frame": "sop-chat", "line": "chat-server", "talk": "talk-server"}
