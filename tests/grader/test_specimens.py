"""The grader is graded: right servers get every point, and each fault is found by its check."""

import multiprocessing
import os
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from sopchat_grader.exercises import EXERCISES

from tests.grader.conftest import grade
from tests.grader.faults import FAULTS, Specimens
from tests.support.programs import BIN

# A right server answers in milliseconds; what never comes is waited for this much less.
_IMPATIENT = ("--timeout-scale", "0.3")

_OURS = {
    "frame": [str(BIN / "sop-chat"), "--stage", "{stage}", "{port}", "{key}"],
    "line": [str(BIN / "chat-server"), "{port}"],
    "talk": [str(BIN / "talk-server")],
}


@pytest.mark.parametrize("exercise", EXERCISES)
def test_our_servers_get_every_point_and_the_bonus(exercise: str) -> None:
    graded = grade("--exercise", exercise, "--json", "-", "--", *_OURS[exercise])
    assert set(graded.statuses.values()) == {"passed"}, graded.stderr
    assert graded.report["points"] == graded.report["max_points"]
    assert graded.report["bonus"] == graded.report["max_bonus"]
    assert graded.status == 0


@pytest.mark.parametrize("exercise", EXERCISES)
def test_specimens_without_a_fault_get_every_point(exercise: str, specimens: Specimens) -> None:
    graded = grade("--exercise", exercise, "--json", "-", "--", *specimens.command(exercise))
    assert set(graded.statuses.values()) == {"passed"}, graded.stderr
    assert graded.status == 0


def test_a_server_that_blocks_is_legal_and_loses_only_of_the_bonus(specimens: Specimens) -> None:
    command = str(specimens.folder / "frame_blocking")
    graded = grade("--json", "-", *_IMPATIENT, "--", command, "{port}", "{key}")
    lost = {name for name, status in graded.statuses.items() if status != "passed"}
    assert lost >= {"R.3", "R.5", "R.8"}
    assert all(name.startswith("R.") for name in lost), graded.stderr
    assert graded.report["points"] == graded.report["max_points"] == 16.5
    assert graded.status == 0


@pytest.fixture
def busy_machine() -> Iterator[None]:
    """Every processor has other work, twice as much as it can do."""
    busy = [
        multiprocessing.get_context("spawn").Process(target=_work, daemon=True)
        for _ in range(2 * (os.cpu_count() or 1))
    ]
    for process in busy:
        process.start()
    yield
    for process in busy:
        process.kill()
        process.join()


def _work() -> None:
    while True:
        pass


@pytest.mark.usefixtures("busy_machine")
@pytest.mark.parametrize("exercise", EXERCISES)
def test_right_servers_get_every_point_on_a_busy_machine(
    exercise: str, specimens: Specimens
) -> None:
    graded = grade("--exercise", exercise, "--json", "-", "--", *specimens.command(exercise))
    assert set(graded.statuses.values()) == {"passed"}, graded.stderr


Verdicts = dict[tuple[str, str], Future[dict[str, str]]]


@pytest.fixture(scope="session")
def verdicts(request: pytest.FixtureRequest, specimens: Specimens) -> Iterator[Verdicts]:
    """The statuses for every fault that is asked for: several gradings at a time, as they wait."""
    asked = {
        (str(item.callspec.params["exercise"]), str(item.callspec.params["fault"]))
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and hasattr(item, "callspec")
        and "fault" in item.callspec.params
    }
    with ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as pool:
        yield {
            (exercise, fault): pool.submit(_verdicts_on, specimens, exercise, fault)
            for exercise, fault in sorted(asked)
        }


def _verdicts_on(specimens: Specimens, exercise: str, fault: str) -> dict[str, str]:
    check = FAULTS[exercise][fault]
    return specimens.verdicts(exercise, fault, "--only", check, *_IMPATIENT)[0]


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("exercise", "fault"),
    [(exercise, fault) for exercise, faults in FAULTS.items() for fault in faults],
)
def test_each_planted_fault_is_found_by_its_check(
    exercise: str, fault: str, verdicts: Verdicts
) -> None:
    """That no other check fails is what scripts/faults shows: it grades each with all checks."""
    assert verdicts[exercise, fault].result() == {FAULTS[exercise][fault]: "failed"}


@pytest.mark.parametrize("exercise", EXERCISES)
def test_every_check_has_a_specimen_with_a_fault_for_it(exercise: str) -> None:
    assert set(FAULTS[exercise].values()) == set(EXERCISES[exercise].checks)


def test_what_the_document_lists_is_what_there_is() -> None:
    text = (Path(__file__).parents[2] / "docs" / "grader.md").read_text()
    rows = [line for line in text.splitlines() if line.endswith(" failed |")]
    expected = [
        f"| {exercise} | `{fault}` | {check} | {check} failed |"
        for exercise, faults in FAULTS.items()
        for fault, check in faults.items()
    ]
    assert rows == expected


def grade_script(folder: Path, body: str, *options: str) -> dict[str, str]:
    """The statuses of a small Python program."""
    program = folder / "program.py"
    start = (
        "import os, socket, sys, time\nlistener = socket.create_server(('', int(sys.argv[1])))\n"
    )
    program.write_text(start + body)
    graded = grade(*options, "--json", "-", *_IMPATIENT, "--", sys.executable, str(program))
    assert graded.status == 1
    return graded.statuses


def test_a_server_that_closes_every_connection_gets_nothing_for_refusing(tmp_path: Path) -> None:
    """What looks right for the wrong reason is not assessed."""
    statuses = grade_script(tmp_path, "while True:\n    listener.accept()[0].close()\n")
    earned = {name for name, status in statuses.items() if status == "passed"}
    assert earned == {"1.1"}


def test_a_server_that_never_accepts_gets_nothing_for_closing(tmp_path: Path) -> None:
    statuses = grade_script(tmp_path, "time.sleep(0.2)\n", "--stage", "1")
    assert statuses == {"1.1": "passed", "1.2": "failed", "1.3": "failed"}


def test_a_key_in_a_banner_is_not_the_key_that_was_offered(tmp_path: Path) -> None:
    body = """
print("waiting for the key", sys.argv[2], flush=True)
while True:
    client, _ = listener.accept()
    print(client.recv(64).rstrip(b"\\0").decode(), "is here", flush=True)
"""
    assert grade_script(tmp_path, body, "--only", "2.1") == {"2.1": "failed"}


@pytest.mark.parametrize("name", ["2.5", "3.6"])
def test_a_server_that_dies_gets_nothing_for_the_connections_it_closes(
    name: str, tmp_path: Path
) -> None:
    body = """
import select
places, key = [], sys.argv[2].encode()
while True:
    for ready in select.select([listener, *places], [], [])[0]:
        if ready is not listener:
            places.remove(ready)
            continue
        client, _ = listener.accept()
        data = client.recv(512)
        if len(places) == 4 or data[64:].rstrip(b"\\0") != key:
            os.abort()
        client.sendall(data)
        places.append(client)
"""
    assert grade_script(tmp_path, body, "--only", name) == {name: "failed"}


def test_a_member_that_gets_its_own_frames_back_costs_one_check(specimens: Specimens) -> None:
    statuses, _ = specimens.verdicts("frame", "echoes-to-sender", *_IMPATIENT)
    assert [name for name, status in statuses.items() if status != "passed"] == ["3.3"]
