"""What a teacher reads about a class: the page that leads to all others, and a spreadsheet.

A grade is what `json_report.as_values` gives, with a `name` and a `notice`.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from sopchat_grader.reports.html import page

# The checks failed most that the class page names.
_MOST_FAILED = 15

# A cell that begins so is a formula to a spreadsheet.
_FORMULA = ("=", "+", "-", "@")


def solution_file(name: str, suffix: str) -> str:
    """What the file about a solution is called, whatever the solution is."""
    return f"{name.replace('/', '_')}.{suffix}"


def spreadsheet(grades: Sequence[Mapping[str, Any]], checks: Sequence[str]) -> str:
    """Comma-separated: a line a solution, a column a stage and a check.

    Where a check was not assessed its cell is empty.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    stages = [stage["name"] for stage in grades[0]["stages"]]
    writer.writerow(["solution", "points", "max points", "bonus", "notice", *stages, *checks])
    for grade in grades:
        points = {
            check["id"]: check["points"]
            for check in grade["checks"]
            if check["status"] != "not_assessed"
        }
        name = grade["name"]
        writer.writerow(
            [
                f"'{name}" if name.startswith(_FORMULA) else name,
                *(grade[key] for key in ("points", "max_points", "bonus", "notice")),
                *(stage["points"] for stage in grade["stages"]),
                *(points.get(check, "") for check in checks),
            ]
        )
    return text.getvalue()


def overview(heading: str, title: str, grades: Sequence[Mapping[str, Any]]) -> str:
    """The class page: points per stage as a picture, every solution, the checks failed most."""
    stages = []
    for at, stage in enumerate(grades[0]["stages"]):
        average = sum(grade["stages"][at]["points"] for grade in grades) / len(grades)
        stages.append(
            {
                "name": stage["name"],
                "short": stage["name"].split()[0],
                "max_points": stage["max_points"],
                "average": average,
                "share": average / stage["max_points"],
            }
        )
    return page(
        "class.html",
        heading=heading,
        title=title,
        stages=stages,
        students=[_row(grade) for grade in grades],
        failures=_failed_most(grades),
    )


def _row(grade: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": grade["name"],
        "page": f"solutions/{quote(solution_file(grade['name'], 'html'), safe='')}",
        "notice": grade["notice"],
        "points": grade["points"],
        "max_points": grade["max_points"],
        "share": grade["points"] / grade["max_points"] if grade["max_points"] else 1,
        "stages": [stage["points"] for stage in grade["stages"]],
    }


def _failed_most(grades: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The checks that most solutions failed, with their names."""
    found: dict[str, dict[str, Any]] = {}
    for grade in grades:
        for check in grade["checks"]:
            if check["status"] == "failed":
                entry = {"id": check["id"], "title": check["title"], "names": []}
                found.setdefault(check["id"], entry)["names"].append(grade["name"])
    ranked = sorted(found.values(), key=lambda entry: -len(entry["names"]))
    return [{**entry, "count": len(entry["names"])} for entry in ranked[:_MOST_FAILED]]
