"""What a solution may do, and that nothing of it is left behind."""

import ctypes
import os
import re
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from sopchat_grader.containment import Containment, Limits, namespaces_work

from tests.grader.conftest import Graded, grade
from tests.grader.faults import GRADE
from tests.support.programs import Program, TerminalProgram, eventually

_LISTENS = """
import os, socket, subprocess, sys, time
def serve():
    listener = socket.create_server(("", int(sys.argv[1])))
    kept = []
    while True:
        kept.append(listener.accept()[0])
"""

# A word in the command line of what a test starts, by which it is found again.
_MARK = "sop-chat-grade-test-mark"


@pytest.fixture
def mark(tmp_path: Path) -> str:
    return f"{_MARK}-{tmp_path.parent.name}-{tmp_path.name}"


def grade_script(tmp_path: Path, body: str, mark: str, *options: str) -> Graded:
    """Grade a Python program for 1.1 alone."""
    program = tmp_path / "program.py"
    program.write_text(_LISTENS + body)
    return grade(
        *("--only", "1.1", "--timeout-scale", "0.3", "--json", "-", *options, "--"),
        *(sys.executable, str(program), "{arguments}", mark),
    )


def running(mark: str) -> list[str]:
    """The command lines of the processes that have the mark."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                line = (process / "cmdline").read_bytes().decode(errors="replace")
            except OSError:
                continue
            if mark in line and "sop-chat-grade\0" not in line:
                found.append(line)
    return found


def seen(graded: Graded, name: str = "1.1") -> str:
    (check,) = (check for check in graded.report["checks"] if check["id"] == name)
    assert check["status"] == "failed", check
    return str(check["seen"])


def test_a_daemon_that_forked_twice_and_left_its_session_ends_with_its_check(
    tmp_path: Path, mark: str
) -> None:
    body = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGHUP, signal.SIG_IGN)
for _ in range(2):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            while True:
                time.sleep(1)
        os._exit(0)
serve()
"""
    graded = grade_script(tmp_path, body, mark)
    assert graded.statuses == {"1.1": "passed"}
    assert running(mark) == []


def test_processes_that_multiply_are_ended_and_told(tmp_path: Path, mark: str) -> None:
    # Bounded, should the grader fail to hold it off: a thousand, each of which sleeps.
    body = """
for _ in range(1000):
    if os.fork() == 0:
        time.sleep(30)
        os._exit(0)
serve()
"""
    graded = grade_script(tmp_path, body, mark)
    assert re.search(
        "more than 250 processes|MiB of memory", seen(graded)
    )  # a thousand of them are much memory, too
    assert running(mark) == []


def test_memory_is_bounded(tmp_path: Path, mark: str) -> None:
    body = "kept = [bytearray(b'x') * (64 << 20) for _ in range(40)]\nserve()\n"
    graded = grade_script(tmp_path, body, mark)
    assert re.fullmatch(r"\d+ MiB of memory", seen(graded))


def test_output_is_bounded(tmp_path: Path, mark: str) -> None:
    body = "while True:\n    os.write(1, b'x' * 65536)\n"
    graded = grade_script(tmp_path, body, mark)
    assert seen(graded).endswith("bytes of console output")
    assert len(graded.stdout) < 100_000


def test_a_loop_for_ever_costs_the_check_alone(tmp_path: Path, mark: str) -> None:
    graded = grade_script(tmp_path, "while True:\n    pass\n", mark, "--timeout-scale", "0.1")
    assert "it is running" in seen(graded)
    assert running(mark) == []


def test_files_and_core_dumps_are_bounded(tmp_path: Path, mark: str) -> None:
    body = """
import resource
for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE, resource.RLIMIT_NOFILE):
    print("limit", resource.getrlimit(limit), flush=True)
sys.exit(7)
"""
    graded = grade_script(tmp_path, body, mark)
    console = graded.report["checks"][0]["evidence"]["console"]["standard output"]
    assert console.split("limit ")[1:] == [
        "(0, 0)\n",
        f"({16 << 20}, {16 << 20})\n",
        "(256, 256)\n",
    ]
    assert seen(graded) == "it ended with status 7"


def test_the_environment_is_not_the_graders(
    tmp_path: Path, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "value")
    monkeypatch.setenv("WANTED", "this")
    body = "print(sorted(os.environ), os.environ.get('WANTED'))\nsys.exit(1)\n"
    graded = grade_script(tmp_path, body, mark, "--env", "WANTED")
    console = graded.report["checks"][0]["evidence"]["console"]["standard output"]
    assert "SECRET" not in console
    assert "PYTEST" not in console
    assert console.endswith("this\n")


def test_each_start_is_in_an_empty_folder_that_is_gone_afterwards(
    tmp_path: Path, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    body = """
print(os.listdir("."), os.getcwd(), flush=True)
os.mkdir("kept"); open("kept/file", "w").close(); os.chmod("kept", 0)
sys.exit(1)
"""
    graded = grade_script(tmp_path, body, mark)
    console = graded.report["checks"][0]["evidence"]["console"]["standard output"]
    assert console.startswith(f"[] {temporary}/sop-chat-grade-")
    assert list(temporary.iterdir()) == []


needs_namespaces = pytest.mark.skipif(
    not namespaces_work(), reason="this system gives no namespaces to this user"
)


@needs_namespaces
def test_only_its_folder_can_be_written(tmp_path: Path, mark: str) -> None:
    body = f"""
try:
    open({str(tmp_path / "outside")!r}, "w")
except OSError as error:
    print(error.strerror)
sys.exit(1)
"""
    graded = grade_script(tmp_path, body, mark)
    console = graded.report["checks"][0]["evidence"]["console"]["standard output"]
    assert console == "Read-only file system\n"


@needs_namespaces
def test_it_has_a_network_without_anybody_else(tmp_path: Path, mark: str) -> None:
    body = "print(socket.if_nameindex())\nsys.exit(1)\n"
    graded = grade_script(tmp_path, body, mark)
    console = graded.report["checks"][0]["evidence"]["console"]["standard output"]
    assert console == "[(1, 'lo')]\n"


_WAITS = "serve()\n"


def test_control_c_ends_a_grading_and_leaves_nothing(tmp_path: Path, mark: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(_LISTENS + _WAITS)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with TerminalProgram(
        *(GRADE, "--only", "2.2", "3.1", "--", sys.executable, str(program), "{arguments}", mark),
        env={"TMPDIR": str(temporary)},
    ) as grader:
        eventually(lambda: bool(running(mark)), "the solution was not started")
        grader.press("\x03")
        assert grader.wait() == 130
        assert b"Traceback" not in grader.raw
    assert running(mark) == []
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("killed", ["SIGTERM", "SIGKILL"])
def test_a_grader_that_is_killed_takes_the_solution_with_it(
    tmp_path: Path, mark: str, killed: str
) -> None:
    program = tmp_path / "program.py"
    program.write_text(_LISTENS + _WAITS)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with Program(
        *(GRADE, "--only", "2.2", "--", sys.executable, str(program), "{arguments}", mark),
        env={"TMPDIR": str(temporary)},
    ) as grader:
        eventually(lambda: bool(running(mark)), "the solution was not started")
        grader.process.send_signal(signal.Signals[killed])
        status = grader.wait()
    eventually(lambda: running(mark) == [], "the solution still runs")
    if killed == "SIGTERM":
        assert status == 143
        assert list(temporary.iterdir()) == []


NOBODY = 65534
_PR_SET_DUMPABLE = 4


def in_child(work: Callable[[], str], user: int | None = None) -> str:
    """What a function says in a process of its own, as another user if one is given."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if user is not None:
                os.setgroups([])
                os.setresgid(user, user, user)
                os.setresuid(user, user, user)
                # Who changed the user may not see itself in /proc until it executes a program.
                assert ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0) == 0
            said = work()
        except BaseException as error:
            said = repr(error)
        os.write(writing, said.encode())
        os._exit(0)
    os.close(writing)
    with open(reading) as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)
    return said


def run_contained(folder: Path, script: str, *, namespaces: bool) -> str:
    """Run a shell script contained, then end everything; what it printed."""
    containment = Containment(
        folder,
        start_in=folder,
        namespaces=namespaces,
        limits=Limits(),
        environment={"PATH": os.defpath},
    )
    outer, inner = os.openpty()
    containment.start(["/bin/sh", "-c", script], inner, inner)
    os.close(inner)
    said = b""
    while b"done" not in said:
        said += os.read(outer, 4096)
    containment.end()
    return said.decode()


_DAEMON = "(trap '' HUP TERM INT; setsid sh -c 'exec sleep 1000.{}' </dev/null >/dev/null 2>&1 &)"


@pytest.mark.parametrize("namespaces", [pytest.param(True, marks=needs_namespaces), False])
@pytest.mark.parametrize("user", [None, NOBODY])
def test_everything_ends_with_and_without_namespaces_for_root_and_others(
    tmp_path: Path, namespaces: bool, user: int | None
) -> None:
    if user is not None and os.geteuid() != 0:
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        if user is not None:
            os.chown(place, user, user)
        daemon = f"{os.getpid()}{namespaces:d}{user or 0}"
        script = f"{_DAEMON.format(daemon)}; id -u; echo hello > file; cat file; echo done"

        def work() -> str:
            assert not namespaces or namespaces_work()
            return run_contained(Path(place), script, namespaces=namespaces)

        said = in_child(work, user)
        assert said.split() == [str(os.geteuid() if user is None else user), "hello", "done"]
        eventually(lambda: running(f"1000.{daemon}") == [], "the daemon still runs")


def test_a_program_that_cannot_be_executed_is_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no program")
    graded = grade("--only", "1.1", "--json", "-", "--", "sh", "-c", "exec ./none")
    assert "ended with status 127" in seen(graded)
    graded = grade("--only", "1.1", "--json", "-", "--", str(tmp_path / "none"))
    assert graded.status == 2
    assert "there is no such program" in graded.stderr
