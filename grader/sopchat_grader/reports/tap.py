"""The verdict in the Test Anything Protocol, version 13 (testanything.org)."""

from sopchat_grader.reports.text import story
from sopchat_grader.result import Report, Result


def tap(report: Report) -> str:
    """A plan, and a line with a YAML block a check."""
    lines = ["TAP version 13", f"1..{len(report.results)}"]
    for number, result in enumerate(report.results, 1):
        lines += _lines(number, result)
    return "\n".join(lines) + "\n"


def _lines(number: int, result: Result) -> list[str]:
    check, outcome = result.check, result.outcome
    ok = "ok" if outcome.status in ("passed", "flaky", "not_assessed") else "not ok"
    # A number sign would begin a directive.
    title = f"{ok} {number} - {check.id} {check.title.replace('#', ' ')}"
    if outcome.status == "not_assessed":
        reason, *more = outcome.because.splitlines() or [""]
        return [f"{title} # SKIP not assessed because {reason}", *(f"# {line}" for line in more)]
    if outcome.status == "passed":
        return [title]
    text = [f"    {line}".rstrip() for line in story(result)]
    return [title, "  ---", f"  status: {outcome.status}", "  evidence: |2", *text, "  ..."]
