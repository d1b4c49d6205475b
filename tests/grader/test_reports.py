"""The reports are valid against their formats, whatever bytes the solution prints."""

import html
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import junitparser
import pytest
from jsonschema import Draft202012Validator
from tap.parser import Parser

from tests.grader.conftest import grade
from tests.grader.faults import GRADE, Specimens
from tests.support.programs import Program, eventually, require_tool

ROOT = Path(__file__).parents[2]

# Every byte, what could end a tag, a directive or a block, and what turns the text round.
_HOSTILE = """
import os, socket, sys
os.write(1, bytes(range(256)) + b"<script>document.title='broken'</script>]]> -->\\n")
os.write(2, b"# not ok 1\\n---\\n...\\n1..3\\nBail out!\\n\\x1b[31m" + "\\u202e\\uffff".encode())
listener = socket.create_server(("", int(sys.argv[1])))
while True:
    client, _ = listener.accept()
    client.recv(512)
    client.sendall(bytes(range(256)) * 2)
    client.close()
"""

_GRADESCOPE = {
    "type": "object",
    "required": ["tests"],
    "properties": {
        "execution_time": {"type": "integer"},
        "visibility": {"enum": ["hidden", "after_due_date", "after_published", "visible"]},
        "tests": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["score", "max_score", "name", "number", "output", "status"],
                "additionalProperties": False,
                "properties": {
                    "score": {"type": "number"},
                    "max_score": {"type": "number"},
                    "name": {"type": "string"},
                    "number": {"type": "string"},
                    "output": {"type": "string"},
                    "output_format": {"enum": ["text", "html", "simple_format", "md", "ansi"]},
                    "status": {"enum": ["passed", "failed"]},
                    "visibility": {
                        "enum": ["hidden", "after_due_date", "after_published", "visible"]
                    },
                },
            },
        },
    },
}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all reports on a solution that prints what it should not."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "hostile.py").write_text(_HOSTILE)
    files = [
        word
        for name in ("json", "junit", "tap", "gradescope", "html")
        for word in (f"--{name}", f"report.{name}")
    ]
    impatient = ("--timeout-scale", "0.3")
    graded = grade(*files, *impatient, "--", sys.executable, "hostile.py", cwd=folder)
    assert graded.status == 1
    assert "x 2.2" in graded.stdout
    return folder


def _json(folder: Path) -> Any:
    return json.loads((folder / "report.json").read_text())


def test_json_is_what_its_schema_says(hostile: Path) -> None:
    schema = json.loads((ROOT / "docs" / "grader-report.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(_json(hostile))


def test_json_has_all_evidence_of_a_lost_point(hostile: Path) -> None:
    (check,) = (check for check in _json(hostile)["checks"] if check["id"] == "2.2")
    assert (check["status"], check["points"], check["max_points"]) == ("failed", 0, 1)
    assert "512 bytes" in check["expected"]
    assert "other bytes" in check["seen"]
    evidence = check["evidence"]
    assert "first difference at byte 0" in evidence["difference"][0]
    assert any("connects" in line for line in evidence["transcript"])
    assert "<script>" in evidence["console"]["standard output"]
    assert "not ok 1" in evidence["console"]["standard error"]
    assert evidence["ending"] == "is still running"
    assert f"--only {check['id']}" in check["rerun"]


def test_junit_is_read_by_a_parser_of_it(hostile: Path) -> None:
    xml = junitparser.JUnitXml.fromfile(str(hostile / "report.junit"))
    checks = _json(hostile)["checks"]
    assert xml.tests == len(checks)
    assert xml.failures == sum(check["status"] == "failed" for check in checks)
    cases = [case for suite in xml for case in suite]
    assert [case.name.split()[0] for case in cases] == [check["id"] for check in checks]
    failed = next(case for case in cases if case.name.startswith("2.2 "))
    assert "<script>" in failed.result[0].text


def test_tap_is_read_by_a_parser_of_it(hostile: Path) -> None:
    lines = list(Parser().parse_file(str(hostile / "report.tap")))
    tests = [line for line in lines if line.category == "test"]
    checks = _json(hostile)["checks"]
    assert [line.ok for line in tests] == [check["status"] != "failed" for check in checks]
    assert [bool(line.skip) for line in tests] == [
        check["status"] == "not_assessed" for check in checks
    ]
    assert not [line for line in lines if line.category in ("bail", "unknown")]
    failed = next(line for line in tests if "2.2" in line.description)
    assert failed.yaml_block["status"] == "failed"
    assert "[31m" in failed.yaml_block["evidence"]


def test_gradescope_results_are_what_the_platform_asks_for(hostile: Path) -> None:
    results = json.loads((hostile / "report.gradescope").read_text())
    Draft202012Validator(_GRADESCOPE).validate(results)
    report = _json(hostile)
    assert sum(test["score"] for test in results["tests"]) == report["points"] + report["bonus"]
    assert sum(test["max_score"] for test in results["tests"]) == report["max_points"]


def test_the_page_shows_hostile_bytes_as_text_in_a_browser(hostile: Path) -> None:
    dom = _browser("--dump-dom", f"file://{hostile / 'report.html'}").stdout
    assert "<script>" not in dom
    assert "<title>The frame exercise" in dom
    text = html.unescape(dom)
    assert "<script>document.title='broken'</script>]]>" in text
    for check in _json(hostile)["checks"]:
        assert f'id="check-{check["id"]}"' in dom


def test_the_page_needs_nothing_but_itself(hostile: Path) -> None:
    page = (hostile / "report.html").read_text()
    for word in ("src=", "<link", "@import", "url(", "https:", "<iframe"):
        assert word not in page


def test_the_page_is_drawn_by_a_browser(hostile: Path, tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    _browser(f"--screenshot={picture}", f"file://{hostile / 'report.html'}")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 20_000  # an empty page has a tenth of it


def _browser(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            require_tool("chromium-headless-shell"),
            *("--headless", "--no-sandbox", "--disable-gpu", "--window-size=1100,1400"),
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )


@pytest.mark.parametrize("name", ["json", "junit", "tap", "gradescope", "html"])
def test_a_report_on_standard_output_stands_there_alone(name: str, specimens: Specimens) -> None:
    graded = grade(f"--{name}", "-", "--only", "1.1", "--", *specimens.command("frame"))
    assert graded.status == 0
    assert "1 of 1 points" in graded.stderr
    begins = {"json": "{", "junit": "<?xml", "tap": "TAP", "gradescope": "{", "html": "<!doctype"}
    assert graded.stdout.startswith(begins[name])
    assert "passed;" not in graded.stdout


def test_gradescope_results_are_there_from_the_first_check_on(
    tmp_path: Path, specimens: Specimens
) -> None:
    """A solution that never answers: what the platform sees when it loses patience."""
    (tmp_path / "mute.py").write_text(
        "import socket, sys\n"
        "listener = socket.create_server(('', int(sys.argv[1])))\n"
        "while True:\n"
        "    listener.accept()[0].recv(512)\n"
        "    open(sys.argv[3]).read()\n"  # waits until the test has read the results
    )
    os.mkfifo(tmp_path / "gate")
    file = tmp_path / "results.json"
    with Program(
        *(GRADE, "--jobs", "1", "--only", "1.1", "2.2", "--gradescope", str(file), "--"),
        *(sys.executable, str(tmp_path / "mute.py"), "{arguments}", str(tmp_path / "gate")),
    ) as grader:
        eventually(lambda: file.exists() and '"1.1"' in file.read_text(), "no results yet")
        results = json.loads(file.read_text())
        assert [(test["number"], test["score"]) for test in results["tests"]] == [("1.1", 1)]
        grader.interrupt()
        assert grader.wait() == 130


def test_two_reports_cannot_both_go_to_standard_output() -> None:
    graded = grade("--json", "-", "--tap", "-", "--", "true")
    assert graded.status == 2
    assert "only one report can go to standard output" in graded.stderr


def test_a_report_that_cannot_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    graded = grade("--json", str(tmp_path / "no" / "report"), "--", "true")
    assert graded.status == 2
    assert graded.stderr.startswith("sop-chat-grade: ")
    assert not graded.stdout
