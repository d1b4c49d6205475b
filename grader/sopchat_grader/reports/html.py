"""The verdict as one page, for a browser: it needs no other file and no network."""

from importlib.resources import files
from typing import Any

import attrs
from jinja2 import Environment, PackageLoader, StrictUndefined

from sopchat_grader.check import Check
from sopchat_grader.result import Report


@attrs.frozen
class Notice:
    """What must be said before everything else, such as why a solution did not build."""

    title: str
    text: str


def html(report: Report, heading: str | None = None, notice: Notice | None = None) -> str:
    """The page of one solution."""
    return page("solution.html", report=report, heading=heading or report.title, notice=notice)


def page(template: str, **values: Any) -> str:
    """A page from one of our templates; whatever a value holds, it is shown as text."""
    environment = Environment(
        loader=PackageLoader("sopchat_grader"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["points_in"] = _points_in
    style = (files("sopchat_grader") / "templates" / "style.css").read_text(encoding="utf-8")
    return environment.get_template(template).render(style=style, **values)


def _points_in(check: Check, report: Report) -> float:
    result = report.result_of(check)
    return result.points if result else 0.0
