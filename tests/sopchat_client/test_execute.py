"""`sop-chat-client --exec`: a real bot in the real room, and real programs that it runs."""

import contextlib
import itertools
import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.clients import Client
from tests.support.frames import frame
from tests.support.programs import SOP_CHAT_CLIENT, Program, Server, eventually


@contextlib.contextmanager
def bot(server: Server, command: str, *options: str, **limits: float) -> Iterator[Program]:
    """A bot that runs the command, if need be with other limits: nobody waits ten seconds here."""
    client = [SOP_CHAT_CLIENT]
    if limits:
        changes = "; ".join(f"execute.{name} = {value}" for name, value in limits.items())
        code = f"import sys; from sopchat_client import command, execute; {changes}"
        client = [sys.executable, "-c", f"{code}; sys.exit(command.main())"]
    arguments = (*options, "--exec", command, "localhost", str(server.port), "bot")
    with Program(*client, *arguments, env={"SOPCHAT_KEY": "key"}) as program:
        server.wait_for("bot joined")
        yield program


def wait_for_error(program: Program, text: str) -> None:
    eventually(lambda: text in program.stderr, f"standard error does not say {text!r}")


def runs(pid: int) -> bool:
    """Whether the process is there, and not only for somebody to ask how it ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(") ")[2][0] not in "ZX"


def test_each_message_is_a_json_line_for_a_fresh_program_and_each_line_it_prints_is_sent() -> None:
    with (
        Server() as server,
        Client.join(server.port, "ann") as ann,
        bot(server, "cat; echo; printf 'process %s, no newline' $$"),
    ):
        texts = ["hello", 'grün "quoted"', "two\nlines"]
        ann.send(*[frame("ann", text) for text in texts])
        processes = set()
        for text in texts:
            said, empty, process = ann.receive_many(3)
            assert said.startswith(b"bot\0")
            message = json.loads(said[64:].rstrip(b"\0"))
            assert message == {"name": "ann", "text": text}
            assert empty == frame("bot", "")
            processes.add(process)
        assert len(processes) == 3


def test_with_json_what_the_program_prints_are_objects() -> None:
    with (
        Server() as server,
        Client.join(server.port, "ann") as ann,
        bot(server, "cat", "--json"),
    ):
        ann.send(frame("ann", "two\nlines"))
        assert ann.receive() == frame("bot", "two\nlines")


def test_programs_run_one_at_a_time_in_the_rooms_order(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    command = (
        f"read line; echo begin; case $line in *first*) read go < '{gate}';; esac; echo end $line"
    )
    with Server() as server, Client.join(server.port, "ann") as ann, bot(server, command):
        ann.send(frame("ann", "first"), frame("ann", "second"))
        gate.write_text("go\n")
        said = [data[64:].rstrip(b"\0").decode() for data in ann.receive_many(4)]
        assert said == [
            "begin",
            'end {"name": "ann", "text": "first"}',
            "begin",
            'end {"name": "ann", "text": "second"}',
        ]


def test_a_line_that_cannot_be_said_is_told_and_the_next_message_is_answered() -> None:
    command = r"echo one; printf 'a\0b\n'; echo four"
    with (
        Server() as server,
        Client.join(server.port, "ann") as ann,
        bot(server, command) as program,
    ):
        ann.send(*[frame("ann", "hello")] * 2)
        assert ann.receive_many(2) == [frame("bot", "one")] * 2
        wait_for_error(program, "byte\n")
        program.process.send_signal(signal.SIGTERM)
        assert program.wait() == 0
        assert program.stderr.splitlines()[0] == (
            "sop-chat-client: of what the program printed, line 2 is not sent,"
            " nor any after it: it holds a NUL byte"
        )


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("echo hello; exit 3", "the program ended with status 3"),
        ("echo hello; kill -KILL $$", "the program was ended by signal 9, Killed"),
        ("echo hello; /nonexistent", "the program ended with status 127"),
    ],
)
def test_a_program_that_fails_is_told_and_the_next_message_is_answered(
    command: str, said: str
) -> None:
    with (
        Server() as server,
        Client.join(server.port, "ann") as ann,
        bot(server, command) as program,
    ):
        ann.send(frame("ann", "one"), frame("ann", "two"))
        assert ann.receive_many(2) == [frame("bot", "hello")] * 2
        line = f"sop-chat-client: {said}\n"
        eventually(lambda: program.stderr.count(line) == 2, said)


def test_a_program_need_not_read_its_input_and_its_errors_are_ours() -> None:
    command = "exec <&-; echo hello; echo oops >&2"
    with (
        Server() as server,
        Client.join(server.port, "ann") as ann,
        bot(server, command) as program,
    ):
        ann.send(frame("ann", "x" * 448))
        assert ann.receive() == frame("bot", "hello")
        wait_for_error(program, "oops\n")
        assert program.stderr == "oops\n"


def test_the_program_is_not_told_the_key() -> None:
    with (
        Server() as server,
        Client.join(server.port, "ann") as ann,
        bot(server, 'echo "${SOPCHAT_KEY-no key}"; env | grep -c "^HOME="'),
    ):
        ann.send(frame("ann", "hello"))
        assert ann.receive_many(2) == [frame("bot", "no key"), frame("bot", "1")]


def test_a_program_that_takes_too_long_is_killed_with_all_it_started(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    command = (
        "read line; case $line in *quick*) echo fine; exit;; esac;"
        f" echo whole; printf half; sleep 1000 & echo $! > '{file}'; wait"
    )
    with (
        Server() as server,
        Client.join(server.port, "ann") as ann,
        bot(server, command, RUN_TIME=0.5) as program,
    ):
        ann.send(frame("ann", "hang"), frame("ann", "quick"))
        assert ann.receive_many(2) == [frame("bot", "whole"), frame("bot", "fine")]
        said = "sop-chat-client: the program was killed: it took more than 0.5 seconds\n"
        wait_for_error(program, said)
        assert program.stderr == said
        pid = int(file.read_text())
        eventually(lambda: not runs(pid), "what the program started is still there")


@pytest.mark.parametrize(
    ("command", "sent"),
    [
        ("yes hello | head -n 101", 100),
        ("echo hello; head -c 70000 /dev/zero | tr '\\0' x", 1),
    ],
)
def test_a_program_that_prints_too_much_is_cut_at_a_line_and_told_once(
    command: str, sent: int
) -> None:
    with (
        Server() as server,
        Client.join(server.port, "ann") as ann,
        bot(server, f"{command}; echo ready >&2") as program,
    ):
        ann.send(frame("ann", "hello"))
        assert ann.receive_many(sent) == [frame("bot", "hello")] * sent
        ann.send(frame("ann", "again"))
        assert ann.receive() == frame("bot", "hello")
        said = (
            "sop-chat-client: the program printed more than 100 lines or 65536 bytes:"
            " the rest is not sent\n"
        )
        wait_for_error(program, f"ready\n{said}")


def test_a_hundred_lines_are_not_too_much() -> None:
    with (
        Server() as server,
        Client.join(server.port, "ann") as ann,
        bot(server, "yes hello | head -n 100; printf ''") as program,
    ):
        ann.send(frame("ann", "one"), frame("ann", "two"))
        assert ann.receive_many(200) == [frame("bot", "hello")] * 200
        assert program.stderr == ""


def test_messages_beyond_those_that_may_wait_are_skipped_and_counted(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    first = tmp_path / "first"
    command = f"test -e '{first}' || (touch '{first}'; read go < '{gate}'); cat"
    with (
        Server("--quiet") as server,
        Client.join(server.port, "ann") as ann,
        bot(server, command, "--json", MOST_WAITING=10) as program,
    ):
        sent = [str(number) for number in range(1000)]
        ann.send(*[frame("ann", text) for text in sent])
        gate.write_text("go\n")
        told = re.compile(r"sop-chat-client: (\d+) messages were skipped: 10 were waiting\n")
        answered: list[str] = []

        def missing() -> int:
            return len(sent) - len(answered) - sum(map(int, told.findall(program.stderr)))

        def answers() -> bool:
            return bool(select.select([ann.socket], [], [], 0)[0])

        while missing():
            eventually(lambda: answers() or not missing(), "neither answered nor skipped")
            if answers():
                answered.append(ann.receive()[64:].rstrip(b"\0").decode())
        assert told.sub("", program.stderr) == ""
        assert answered == sorted(answered, key=int)
        assert answered[0] == "0"
        gaps = [(a, b) for a, b in itertools.pairwise(answered) if int(b) - int(a) > 1]
        assert len(told.findall(program.stderr)) in (len(gaps), len(gaps) + 1)
        assert gaps or answered[-1] != "999"


def test_skipped_messages_are_told_at_the_end_as_well() -> None:
    with (
        Server("--quiet") as server,
        Client.join(server.port, "ann") as ann,
        bot(server, "echo begun >&2; sleep 1000", MOST_WAITING=1) as program,
    ):
        ann.send(frame("ann", "hello"))
        wait_for_error(program, "begun\n")
        with Client.join(server.port, "bob") as bob:
            bob.send(*[frame("bob", "hello")] * 100)
            ann.receive_many(100)
        server.interrupt()
        assert program.wait() == 4
        assert program.stderr.splitlines() == [
            "begun",
            "sop-chat-client: 99 messages were skipped: 1 were waiting",
            "sop-chat-client: the server closed the connection",
        ]


def by(number: signal.Signals) -> Callable[[Server, Program], None]:
    return lambda server, program: program.process.send_signal(number)


@pytest.mark.parametrize(
    ("end", "status", "said"),
    [
        (by(signal.SIGINT), 130, ""),
        (by(signal.SIGTERM), 0, ""),
        (by(signal.SIGHUP), 0, ""),
        (
            lambda server, program: server.interrupt(),
            4,
            "sop-chat-client: the server closed the connection\n",
        ),
    ],
    ids=["SIGINT", "SIGTERM", "SIGHUP", "server gone"],
)
def test_whichever_way_it_ends_no_program_is_left(
    end: Callable[[Server, Program], None], status: int, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "pids"
    command = f"trap '' INT TERM HUP; sleep 1000 & echo $$ $! > '{file}'; echo >&2; wait"
    with (
        Server() as server,
        Client.join(server.port, "ann") as ann,
        bot(server, command) as program,
    ):
        ann.send(frame("ann", "hello"))
        wait_for_error(program, "\n")
        end(server, program)
        assert program.wait() == status
        assert program.stderr == f"\n{said}"
        pids = [int(pid) for pid in file.read_text().split()]
        eventually(lambda: not any(map(runs, pids)), "a program is left")


def test_a_hangup_that_is_ignored_as_nohup_does_stays_ignored() -> None:
    with Server() as server, Client.join(server.port, "ann") as ann:
        client = f"{SOP_CHAT_CLIENT} --exec 'echo hello' localhost {server.port} bot key"
        with Program("/bin/sh", "-c", f"trap '' HUP; exec {client}") as program:
            for _ in range(2):  # the first answer shows that it has begun
                server.wait_for("bot joined")
                ann.send(frame("ann", "hello"))
                assert ann.receive() == frame("bot", "hello")
                program.process.send_signal(signal.SIGHUP)
            program.process.send_signal(signal.SIGTERM)
            assert program.wait() == 0


def test_standard_input_is_not_read_and_its_end_ends_nothing() -> None:
    with Server() as server, Client.join(server.port, "ann") as ann:
        command = (SOP_CHAT_CLIENT, "--exec", "echo heard", "localhost", str(server.port), "bot")
        with Program(*command, "key", stdin=subprocess.PIPE) as program:
            program.write(b"typed\n")
            program.end_input()
            server.wait_for("bot joined")
            ann.send(frame("ann", "hello"))
            assert ann.receive() == frame("bot", "heard")
            assert program.process.poll() is None
