"""The verdict as JUnit XML, which build servers read."""

from xml.etree import ElementTree

from sopchat_grader.reports.text import story
from sopchat_grader.result import Report, Result


def junit(report: Report) -> str:
    """One test suite, a test case a check."""
    statuses = [result.outcome.status for result in report.results]
    counts = {
        "tests": len(statuses),
        "failures": statuses.count("failed"),
        "errors": statuses.count("error"),
        "skipped": statuses.count("not_assessed"),
        "time": report.seconds,
    }
    attributes = {name: str(count) for name, count in counts.items()}
    suites = ElementTree.Element("testsuites", attributes)
    suite = ElementTree.SubElement(suites, "testsuite", {"name": report.title, **attributes})
    for result in report.results:
        _add_case(suite, report, result)
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _add_case(suite: ElementTree.Element, report: Report, result: Result) -> None:
    check, outcome = result.check, result.outcome
    stage = "robustness" if check.bonus else f"stage{check.stage}"
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=f"{report.exercise}.{stage}",
        name=f"{check.id} {check.title}",
        time=str(result.seconds),
    )
    text = "\n".join(story(result))
    if outcome.status == "not_assessed":
        ElementTree.SubElement(case, "skipped", message=text)
    elif outcome.status in ("failed", "error"):
        kind = "failure" if outcome.status == "failed" else "error"
        message = outcome.seen or outcome.because
        ElementTree.SubElement(case, kind, message=message, type=kind).text = text
    elif outcome.status == "flaky":
        ElementTree.SubElement(case, "system-out").text = f"flaky\n{text}"
