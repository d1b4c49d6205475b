"""The command: arguments, lists, explanations, exit status."""

import re
import socket
import sys
import threading
from pathlib import Path

import pytest
from sopchat_grader.exercises import EXERCISES

from tests.grader.conftest import grade
from tests.grader.faults import GRADE, Specimens
from tests.support.programs import TerminalProgram


def test_all_points_are_status_0_and_lost_ones_status_1(specimens: Specimens) -> None:
    assert grade("--only", "3.2", "--", *specimens.command("frame")).status == 0
    lost = grade("--only", "3.3", "--", *specimens.command("frame", "echoes-to-sender"))
    assert lost.status == 1
    assert "0 of 0.5 points; 1 failed" in lost.stdout


def test_a_lost_bonus_is_status_0(specimens: Specimens) -> None:
    graded = grade("--only", "R.20", "--", *specimens.command("frame", "writes-a-file"))
    assert graded.status == 0
    assert "bonus 0 of 0.25; 1 failed" in graded.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no command: write it behind --"),
        (["--"], "no command"),
        (["--exercise", "web", "--", "x"], "invalid choice: 'web'"),
        (["--only", "9.9", "--", "true"], "has no check 9.9; --list lists them"),
        (["--skip", "x", "--", "true"], "has no check x"),
        (["--stage", "5", "--", "true"], "has no stage 5; it has 1 to 4"),
        (["--stage", "1", "--only", "3.2", "--", "true"], "no check is selected"),
        (["--explain", "7.1"], "has no check 7.1"),
        (["--jobs", "0", "--", "true"], "0 is not a number above 0"),
        (["--jobs", "many", "--", "true"], "invalid number value: 'many'"),
        (["--timeout-scale", "nan", "--", "true"], "nan is not a number above 0"),
        (["--timeout-scale", "inf", "--", "true"], "inf is not a number above 0"),
        (["--env", "NO_SUCH_NAME", "--", "true"], "NO_SUCH_NAME is not set here"),
        (["--env", "=x", "--", "true"], "=x is not set here"),
        (["--json", "/", "--", "true"], "/: it cannot be written"),
        (["--", "true", "{prot}", "{key}"], "{prot} stands for nothing; there are {port}, {key}"),
        (["--source", "none.c", "--", "true"], "none.c: No such file or directory"),
        (["./server", "9000"], "unrecognized arguments: ./server 9000"),
        (["--", "./none"], "./none: there is no such program"),
        (["class"], "the following arguments are required: DIR"),
        (["class", "none"], "none: there is no such folder"),
        (["class", ".", "--", "x"], "say it with --run"),
    ],
)
def test_wrong_use_is_status_2_and_says_what_is_right(arguments: list[str], message: str) -> None:
    graded = grade(*arguments)
    assert graded.status == 2
    assert message in graded.stderr
    assert not graded.stdout


@pytest.mark.parametrize("exercise", EXERCISES)
def test_list_names_every_check_with_its_points(exercise: str) -> None:
    graded = grade("--exercise", exercise, "--list")
    assert graded.status == 0
    for check in EXERCISES[exercise].checks.values():
        mark = r"\*" if check.bonus else " "
        line = rf"^{re.escape(check.id)} +{check.points:g}{mark} {re.escape(check.title)}$"
        assert re.search(line, graded.stdout, re.MULTILINE)


def test_explain_tells_the_sentence_the_deed_and_what_must_be_seen() -> None:
    graded = grade("--explain", "4.7")
    check = EXERCISES["frame"].checks["4.7"]
    assert graded.status == 0
    for text in (check.title, check.sentence, check.wire, check.seen, "stands on: 3.8, 4.4"):
        assert text in graded.stdout


def test_the_line_to_run_a_check_again_does_the_same_again(specimens: Specimens) -> None:
    command = specimens.command("frame", "echoes-to-sender")
    first = grade("--json", "-", "--only", "3.3", "--", *command).report["checks"][0]
    program, *arguments = first["rerun"].split()
    assert program == "sop-chat-grade"
    again = grade("--json", "-", *arguments).report["checks"][0]
    assert (again["expected"], again["rerun"]) == (first["expected"], first["rerun"])
    _assert_same_events(first["evidence"]["transcript"], again["evidence"]["transcript"])


def _assert_same_events(first: list[str], second: list[str]) -> None:
    """The same words, but for the times."""
    assert [line.split()[1:] for line in first] == [line.split()[1:] for line in second]


def test_a_stage_is_graded_with_the_program_of_that_stage(specimens: Specimens) -> None:
    program = str(specimens.folder / "frame")
    graded = grade("--json", "-", "--stage", "2", "--", program, "--stage", "2", "{port}", "{key}")
    assert graded.report["points"] == graded.report["max_points"] == 4
    assert {name[0] for name in graded.statuses} == {"2"}


def test_what_failed_before_is_named_where_nothing_can_be_said(specimens: Specimens) -> None:
    graded = grade(
        *("--json", "-", "--only", "2.2", "3.1", "3.2", "3.3", "--timeout-scale", "0.3", "--"),
        *specimens.command("frame", "hides-key-in-answer"),
    )
    because = {check["id"]: check["because"] for check in graded.report["checks"]}
    assert because == {"2.2": None, "3.1": "2.2", "3.2": "2.2", "3.3": "2.2"}


def test_what_fails_once_is_flaky_and_told(tmp_path: Path) -> None:
    """It listens at the second try only: a socket of the test's counts them."""
    program = tmp_path / "flaky.py"
    program.write_text(
        "import socket, sys, time\n"
        "with socket.socket(socket.AF_UNIX) as counter:\n"
        "    counter.connect(sys.argv[2])\n"
        "    first = counter.recv(1) == b'1'\n"
        "if first:\n"
        "    sys.exit(9)\n"
        "listener = socket.create_server(('', int(sys.argv[1])))\n"
        "time.sleep(100)\n"
    )
    path = str(tmp_path / "counter")
    with socket.socket(socket.AF_UNIX) as counter:
        counter.bind(path)
        counter.listen()

        def count() -> None:
            for answer in (b"1", b"2"):
                with counter.accept()[0] as connection:
                    connection.send(answer)

        thread = threading.Thread(target=count)
        thread.start()
        command = (sys.executable, str(program), "{port}", path)
        graded = grade("--json", "-", "--only", "1.1", "--", *command)
        thread.join()
    (check,) = graded.report["checks"]
    assert (check["status"], check["points"]) == ("flaky", 1)
    assert check["seen"] == "it ended with status 9"
    assert graded.status == 0
    assert "1 flaky" in graded.stderr


def test_arguments_that_cannot_vary_leave_checks_not_assessed(specimens: Specimens) -> None:
    program = specimens.folder / "frame"
    graded = grade(
        *("--json", "-", "--only", "1.1", "R.16", "--"),
        *("sh", "-c", f"exec {program} {{port}} {{key}}"),
    )
    assert graded.statuses == {"1.1": "passed", "R.16": "not_assessed"}
    assert "does not let the arguments vary" in graded.report["checks"][1]["because"]
    graded = grade(
        *("--json", "-", "--only", "1.1", "R.16", "--"),
        *("sh", "-c", f"exec {program} {{arguments}}"),
    )
    assert graded.statuses == {"1.1": "passed", "R.16": "passed"}


def test_the_table_grows_on_a_terminal(specimens: Specimens) -> None:
    command = specimens.command("frame")
    with TerminalProgram(GRADE, "--skip", "R.8", "--", *command, columns=120) as grader:
        assert grader.wait() == 0
        grader.wait_for_text("21 of 21 points")
        drawn = grader.raw.decode()
    assert len(set(re.findall(r"(\d+) of 45 checks; now:", drawn))) > 5
    assert drawn.rstrip().splitlines()[-1].startswith("21 of 21 points")


@pytest.mark.parametrize("arguments", [["--help"], ["class", "--help"], ["--version"]])
def test_help_and_version_are_on_standard_output(arguments: list[str]) -> None:
    graded = grade(*arguments)
    assert graded.status == 0
    assert "sop-chat-grade" in graded.stdout
