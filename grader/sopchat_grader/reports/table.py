"""The table of points that a person reads, while the checks are made and after."""

import sys
from collections.abc import Iterable
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sopchat_grader.check import Check
from sopchat_grader.reports.text import story
from sopchat_grader.result import Report, Result, Status

_MARKS: dict[Status, tuple[str, str]] = {
    "passed": ("+", "green"),
    "failed": ("x", "bold red"),
    "flaky": ("~", "bold yellow"),
    "not_assessed": ("-", "dim"),
    "error": ("!", "bold magenta"),
}


class TableReport:
    """Prints the table; on a terminal it grows while the checks are made."""

    def __init__(self, file: TextIO = sys.stdout) -> None:
        self._console = Console(file=file, highlight=False, soft_wrap=True)
        # Redrawn by us alone: a thread of its own would be in the way of forking.
        self._live = Live(console=self._console, auto_refresh=False, transient=True)

    def __enter__(self) -> "TableReport":
        if self._console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.stop()

    def progress(self, report: Report, running: Iterable[Check]) -> None:
        """Show how far it is; not on what is no terminal."""
        if self._live.is_started:
            names = ", ".join(f"{check.id} {check.title}" for check in running)
            line = Text(f"{len(report.results)} of {len(report.checks)} checks; now: {names}")
            line.truncate(self._console.width - 1, overflow="ellipsis")
            self._live.update(Group(_table(report), line), refresh=True)

    def finish(self, report: Report) -> None:
        """The table, then what was lost and why."""
        self._live.stop()
        self._console.print(_table(report), end="")
        for result in report.results:
            if result.outcome.status not in ("passed", "not_assessed"):
                self._console.print(_told(result), end="")
        self._console.print(_not_assessed(report), end="")
        self._console.print(_summary(report))


def _table(report: Report) -> Table:
    table = Table(title=f"{report.title}\n{report.command}", title_justify="left", box=None)
    table.add_column("stage")
    table.add_column("points", justify="right")
    table.add_column("checks")
    for name, checks in report.groups():
        earned = sum((found.points if (found := report.result_of(c)) else 0.0) for c in checks)
        line = Text()
        for check in checks:
            result = report.result_of(check)
            mark, style = _MARKS[result.outcome.status] if result else ("·", "dim")
            line.append(f"{mark}{check.id} ", style)
        table.add_row(Text(name), f"{earned:g}/{sum(c.points for c in checks):g}", line)
    return table


def _summary(report: Report) -> Text:
    counts = {
        status: sum(result.outcome.status == status for result in report.results)
        for status in _MARKS
    }
    told = ", ".join(f"{n} {status.replace('_', ' ')}" for status, n in counts.items() if n)
    bonus = report.max_points(bonus=True)
    more = f", bonus {report.points(bonus=True):g} of {bonus:g}" if bonus else ""
    return Text(
        f"\n{report.points():g} of {report.max_points():g} points{more}; {told};"
        f" {report.seconds:.1f} s, seed {report.seed}"
    )


def _told(result: Result) -> Text:
    """Why a check did not pass."""
    check, outcome = result.check, result.outcome
    mark, style = _MARKS[outcome.status]
    lost = check.points - result.points
    status = outcome.status.replace("_", " ") + (f", {lost:g} points" if lost else "")
    text = Text(f"\n{mark} {check.id} {check.title}", style)
    text.append(f" ({status})\n", "default")
    text.append("".join(f"  {line}\n" for line in story(result)), "default")
    return text


def _not_assessed(report: Report) -> Text:
    """A line for each reason."""
    reasons: dict[str, list[str]] = {}
    for result in report.results:
        if result.outcome.status == "not_assessed":
            reasons.setdefault(result.outcome.because, []).append(result.check.id)
    text = Text()
    for because, names in reasons.items():
        mark, style = _MARKS["not_assessed"]
        text.append(f"\n{mark} not assessed because {because}: {', '.join(names)}\n", style)
    return text
