"""The verdict as JSON; docs/grader-report.schema.json describes it."""

import json
from typing import Any

import attrs

from sopchat_grader.result import Report, Result


def json_report(report: Report) -> str:
    """One object, as text."""
    return json.dumps(as_values(report), indent=1, ensure_ascii=False) + "\n"


def as_values(report: Report) -> dict[str, Any]:
    """One object, as plain values."""
    return {
        "exercise": report.exercise,
        "title": report.title,
        "command": report.command,
        "points": report.points(),
        "max_points": report.max_points(),
        "bonus": report.points(bonus=True),
        "max_bonus": report.max_points(bonus=True),
        "seconds": report.seconds,
        "seed": report.seed,
        "stages": [
            {
                "name": name,
                "points": sum(
                    result.points for check in checks if (result := report.result_of(check))
                ),
                "max_points": sum(check.points for check in checks),
                "bonus": checks[0].bonus,
            }
            for name, checks in report.groups()
        ],
        "checks": [_check(result) for result in report.results],
    }


def _check(result: Result) -> dict[str, Any]:
    check, outcome = result.check, result.outcome
    return {
        "id": check.id,
        "title": check.title,
        "stage": check.stage,
        "bonus": check.bonus,
        "points": result.points,
        "max_points": check.points,
        "status": outcome.status,
        "expected": outcome.expected or None,
        "seen": outcome.seen or None,
        "because": outcome.because or None,
        "rerun": result.rerun,
        "seconds": result.seconds,
        "evidence": attrs.asdict(outcome.evidence),
    }
