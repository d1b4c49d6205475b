"""`sop-chat-log` and `sop-chat --log` as processes."""

import csv
import json
import os
import resource
import signal
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from sopchat.log.writer import Writer
from tests.support.clients import Client
from tests.support.frames import frame
from tests.support.logs import damages, read, write
from tests.support.programs import BIN, SOP_CHAT, Program, Server, reserved_port

SOP_CHAT_LOG = str(BIN / "sop-chat-log")


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SOP_CHAT_LOG, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
        env={**os.environ, "TZ": "UTC"},
    )


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A server that does not get far."""
    return subprocess.run(
        [SOP_CHAT, *arguments], capture_output=True, text=True, timeout=20, check=False
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Frame n came n seconds after the start of 1970, ten of them at once."""
    write(tmp_path / "log", 1, 1, 10, *[1] * 188, most_pages=1)
    return tmp_path / "log"


def test_a_message_is_a_line(log: Path) -> None:
    done = run(log)
    lines = done.stdout.splitlines()
    assert lines[0] == "1970-01-01 00:00:01 ann: text 1"
    assert lines[-1] == "1970-01-01 00:03:20 ann: text 200"
    assert (len(lines), done.returncode, done.stderr) == (200, 0, "")


@pytest.mark.parametrize(
    ("options", "first", "count"),
    [
        (["--last", "5"], 196, 5),
        (["--last", "150"], 51, 150),
        (["--last", "999"], 1, 200),
        (["--last", "0"], None, 0),
        (["--since", "5"], 5, 196),
        (["--since", "#130"], 130, 71),
        (["--since", "201"], None, 0),
        (["--since", "1970-01-01T00:03:00"], 180, 21),
        (["--since", "1970-01-01T01:03:00+01:00"], 180, 21),
        (["--since", "1960-01-01"], 1, 200),
        (["--search", "t 1[0-9]$"], 10, 10),
        (["--search", "ANN"], None, 0),
        (["--search", ".", "--fixed"], None, 0),
        (["--search", "t 199", "--fixed"], 199, 1),
        (["--search", "9$", "--last", "11"], 199, 1),
    ],
)
def test_what_is_asked_for_is_printed(
    log: Path, options: list[str], first: int | None, count: int
) -> None:
    done = run(log, "--json", *options)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == count
    assert first is None or found[0]["sequence"] == first
    assert (done.returncode, done.stderr) == (0, "")


def test_programs_get_json_or_csv_with_bytes_that_are_no_text_escaped(tmp_path: Path) -> None:
    writer = Writer.open(tmp_path / "log", 8)
    writer.write([(1, 1_795_280_582_000_007, frame("bö,b", b'\xff "a"\n'))])
    writer.close()
    time = "2026-11-21T17:03:02.000007+00:00"
    assert datetime.fromisoformat(time).timestamp() == 1_795_280_582.000007
    wanted = {
        "sequence": 1,
        "time": time,
        "name": "bö,b",
        "text": '\\xff "a"\n',
    }
    done = run(tmp_path / "log", "--json")
    assert json.loads(done.stdout) == wanted
    assert done.stdout.isascii()
    done = run(tmp_path / "log", "--csv")
    (row,) = csv.DictReader(done.stdout.splitlines(keepends=True))
    assert row == {**wanted, "sequence": "1"}
    assert run(tmp_path / "log").stdout == '2026-11-21 17:03:02 bö,b: \\xff "a"\\n\n'


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "the following arguments are required: FILE"),
        (["log", "--since", "yesterday"], "neither a sequence number nor a time"),
        (["log", "--search", "("], "--fixed searches for a text"),
        (["log", "--search", "a{99999999999999}"], "--fixed searches for a text"),
        (["log", "--search", "(" * 5000 + ")" * 5000], "--fixed searches for a text"),
        (["log", "--last", "1", "--since", "1"], "not allowed with"),
        (["log", "--last", "-1"], "'-1' is no number of at least 0"),
        (["log", "--verify", "--repair"], "not allowed with"),
        *(
            (["log", task, *option], f"{task} goes with FILE alone, not with {option[0]}")
            for task in ("--verify", "--repair")
            for option in (
                ["--last", "0"],
                ["--since", "1"],
                ["--search", "x"],
                ["--follow"],
                ["--json"],
                ["--csv"],
            )
        ),
        (["log", "--fixed"], "--fixed goes with --search"),
    ],
)
def test_wrong_use_says_the_usage_then_what_was_wrong(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    first, second = done.stderr.splitlines()
    assert first == "USAGE: sop-chat-log file"
    assert said in second
    assert (done.returncode, done.stdout) == (1, "")


def test_what_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello")
    for name, said in (("text", "is no room log of version 1"), ("none", "No such file")):
        for options in ([], ["--verify"], ["--repair"], ["--follow"], ["--last", "1"]):
            done = run(tmp_path / name, *options)
            assert done.returncode == 1
            assert said in done.stderr
            assert done.stderr.count("\n") == 1


def test_what_is_no_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, Path("/dev/null")):
        for options in ([], ["--verify"], ["--follow"], ["--last", "1"]):
            done = run(path, *options)
            said = f"sop-chat-log: {path} is no file that can be a room log\n"
            assert (done.returncode, done.stderr) == (1, said)


def test_a_copy_with_a_name_like_an_old_file_is_told_and_no_damage(log: Path) -> None:
    copy = log.with_name("log.202611211200")
    copy.write_bytes(log.read_bytes())
    done = run(log, "--verify")
    assert done.returncode == 0
    assert done.stdout == (
        f"{copy} is no file of this log, and left alone\n200 messages, no damage\n"
    )


def test_damage_is_found_told_and_repaired(log: Path) -> None:
    assert run(log, "--verify").stdout == "200 messages, no damage\n"
    assert run(log, "--repair").stdout == "nothing to repair\n"
    data = bytearray(log.read_bytes())
    data[2048 + 512 * 3] ^= 1
    log.write_bytes(data + b"torn")
    done = run(log, "--verify")
    assert done.returncode == 2
    assert done.stdout == (
        "message 128: damaged\n"
        "4 bytes at the end are torn: the server or --repair cuts them off\n"
        "199 messages, DAMAGED\n"
    )
    done = run(log)
    assert done.stderr == "sop-chat-log: message 128: damaged\n"
    assert len(done.stdout.splitlines()) == 199
    done = run(log, "--repair")
    assert done.stdout.splitlines() == [
        f"4 torn bytes cut off the end of {log}",
        "frames 128 to 128 given up",
    ]
    done = run(log, "--verify")
    assert (done.returncode, done.stdout) == (0, "199 messages, 1 given up, no damage\n")
    assert run(log).stderr == "sop-chat-log: message 128: lost\n"


def test_messages_that_could_not_be_written_are_told(log: Path) -> None:
    write(log, 1, first=211)
    assert run(log).stderr == (
        "sop-chat-log: messages 201 to 210 could not be written when they came\n"
    )
    assert run(log, "--verify").stdout.endswith("201 messages, 10 missing, no damage\n")


def test_a_reader_that_leaves_ends_it_quietly(log: Path) -> None:
    write(log, 5000)
    command = f'"{SOP_CHAT_LOG}" "{log}"; echo $? >&2'
    with Program("/bin/sh", "-c", f"({command}) | head -n 1") as program:
        assert program.wait() == 0
        assert (program.stdout.count("\n"), program.stderr) == (1, "0\n")


def test_following_goes_on_over_rotation_until_ctrl_c(log: Path) -> None:
    with Program(SOP_CHAT_LOG, str(log), "--last", "1", "--follow") as program:
        program.wait_for("text 200\n")
        write(log, 1)
        program.wait_for("text 201\n")
        write(log, *[1] * 30, 300, most_pages=1)
        program.wait_for("text 531\n")
        program.interrupt()
        assert program.wait() == 130
        lines = program.stdout.splitlines()
        assert [line.rpartition(" ")[2] for line in lines] == [str(n) for n in range(200, 532)]
        assert program.stderr == ""


def test_what_is_missing_is_told_to_who_follows(log: Path) -> None:
    with Program(SOP_CHAT_LOG, str(log), "--last", "1", "--follow") as program:
        program.wait_for("text 200\n")
        write(log, 1, first=211)
        program.wait_for("text 211\n")
        program.interrupt()
        assert program.wait() == 130
        assert program.stderr == "sop-chat-log: messages 201 to 210: damaged or missing\n"


def test_a_room_is_logged_and_its_log_goes_on_after_a_restart(tmp_path: Path) -> None:
    log = tmp_path / "log"
    for number in range(3):
        with (
            Server("--log", str(log), "--sync", "always") as server,
            Client.join(server.port, "ann") as ann,
            Client.join(server.port, "bob") as bob,
        ):
            ann.send(frame("ann", f"hello {number}"))
            assert bob.receive() == frame("ann", f"hello {number}")
            with Program(SOP_CHAT_LOG, str(log), "--follow") as following:
                following.wait_for(f"hello {number}\n")
            assert run(log, "--verify").returncode == 0
            assert "is being written by a server already" in run(log, "--repair").stderr
    assert read(log) == [frame("ann", f"hello {number}") for number in range(3)]


def test_a_second_server_on_one_log_refuses(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Server("--log", str(log)), reserved_port() as port:
        done = start(str(port), "key", "--log", str(log))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"sop-chat: cannot keep the room log {log}: {log} is being written by a server already\n"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--log", "/nowhere/log"], "cannot keep the room log /nowhere/log: No such file"),
        (["--log", "/dev/null"], "is no file that can be a room log"),
        (["--log", "log", "--stage", "3"], "--log belongs to the whole room"),
        (["--log", "log", "--sync", "often"], "invalid choice: 'often'"),
        (["--log", "log", "--log-size", "many"], "'many' is no size: one is 500000, 64M or 2G"),
        (["--log", "log", "--log-size", "1K"], "1K is too small: at least 65536 bytes"),
    ],
)
def test_options_of_the_log_that_are_wrong_are_told(options: list[str], said: str) -> None:
    with reserved_port() as port:
        done = start(str(port), "key", *options)
    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") <= 2


def test_a_full_disk_is_shouted_and_the_room_goes_on(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Server("--log", str(log), "--quiet") as server:
        pid, kind = server.process.pid, resource.RLIMIT_FSIZE
        _, most = resource.prlimit(pid, kind)
        resource.prlimit(pid, kind, (70000, most))
        with Client.join(server.port, "ann") as ann, Client.join(server.port, "bob") as bob:
            sent = [frame("ann", str(number)) for number in range(300)]
            ann.send(*sent)
            assert bob.receive_many(300) == sent
            server.wait_for("THE ROOM LOG IS NOT WRITTEN: File too large; the room goes on")
            resource.prlimit(pid, kind, (most, most))
            ann.send(frame("ann", "again"))
            bob.receive()
            server.wait_for("the room log is written again: ")
    assert damages(log) == []


def test_a_server_that_ends_on_a_signal_has_written_all(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Server("--log", str(log), "--quiet") as server:
        with Client.join(server.port, "ann") as ann, Client.join(server.port, "bob") as bob:
            sent = [frame("ann", str(number)) for number in range(2000)]
            ann.send(*sent)
            bob.receive_many(2000)
        server.process.send_signal(signal.SIGTERM)
        assert server.wait() == 0
    assert read(log) == sent
