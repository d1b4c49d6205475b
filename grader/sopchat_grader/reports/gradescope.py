"""The verdict as Gradescope's results.json (its documentation, "Autograder Specifications")."""

import json

from sopchat_grader.reports.text import story
from sopchat_grader.result import Report, Result


def gradescope(report: Report) -> str:
    """One object with `tests`. Bonus points come on top of a `max_score` of 0."""
    return json.dumps(
        {
            "execution_time": round(report.seconds),
            "output": f"{report.points():g} of {report.max_points():g} points; seed {report.seed}",
            "output_format": "text",
            "visibility": "visible",
            "tests": [_test(result) for result in report.results],
        },
        indent=1,
    )


def _test(result: Result) -> dict[str, object]:
    check, outcome = result.check, result.outcome
    return {
        "number": check.id,
        "name": check.title,
        "score": result.points,
        "max_score": 0 if check.bonus else check.points,
        "status": "passed" if outcome.status in ("passed", "flaky") else "failed",
        "output": "\n".join(story(result)),
        "output_format": "text",
        "visibility": "visible",
    }
