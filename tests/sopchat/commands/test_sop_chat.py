"""`sop-chat` as a process: arguments, errors, signals, output."""

import contextlib
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from sopchat.limits import Limits
from tests.support.clients import Client
from tests.support.frames import frame
from tests.support.programs import (
    SOP_CHAT,
    Program,
    Server,
    TerminalProgram,
    reserved_port,
    wait_until_listening,
)

USAGE = "USAGE: sop-chat port key"


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SOP_CHAT, *arguments],
        capture_output=True,
        text=True,
        timeout=20,
        env={**os.environ, **env},
        check=False,
    )


@pytest.mark.sentence("C2", "C4")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "the following arguments are required: port"),
        (["9000"], "no key"),
        (["9000", "key", "more"], "unrecognized arguments: more"),
        (["0", "key"], "'0' is no port: a number from 1 to 65535 is"),
        (["65536", "key"], "'65536' is no port"),
        (["-1", "key"], "'-1' is no port"),
        (["ninety", "key"], "'ninety' is no port"),
        (["9000", "k" * 449], "the key is 449 bytes long, and at most 448 fit"),
        (["9000", ""], "the key is empty"),
        (["9000", "key", "--key-file", "/dev/null"], "given twice"),
        (["9000", "--key-file", "/nowhere"], "/nowhere: No such file or directory"),
        (["9000", "key", "--max-clients", "0"], "'0' is no number of at least 1"),
        (["9000", "key", "--auth-timeout", "soon"], "'soon' is no number"),
        (["9000", "key", "--stage", "5"], "invalid choice"),
        (["9000", "key", "--line", "9000"], "--line cannot have port 9000: the room has it"),
        (["9000", "key", "--sync", "always"], "--sync is of a log, which --log says"),
        (["9000", "key", "--log-keep", "3"], "--log-keep is of a log, which --log says"),
        (["9000", "key", "--limits", "/nowhere"], "cannot read the limits in /nowhere: No such"),
        (["9000", "key", "--rate", "fast"], "'fast' is no rate: one like 50/s or 600/min is"),
    ],
)
def test_wrong_use_says_the_usage_then_what_was_wrong(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    first, second = done.stderr.splitlines()
    assert first == USAGE
    assert said in second
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.sentence("C3", "C4")
def test_a_port_that_is_taken_is_told_in_one_line() -> None:
    with socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        done = run(str(port), "key")
    assert done.stderr == f"sop-chat: cannot listen on port {port}: Address already in use\n"
    assert (done.returncode, done.stdout) == (1, "")


@pytest.mark.sentence("C3", "C4")
def test_a_forbidden_port_is_told_in_one_line() -> None:
    """A host of other machines is forbidden to everybody, a low port only to some."""
    done = run("9000", "key", "--host", "192.0.2.1")
    assert done.returncode == 1
    assert done.stderr == (
        "sop-chat: cannot listen on port 9000 of 192.0.2.1: Cannot assign requested address\n"
    )


def test_an_unknown_host_is_told_in_one_line() -> None:
    done = run("9000", "key", "--host", "no such host")
    assert done.returncode == 1
    assert done.stderr.startswith("sop-chat: cannot listen on port 9000 of no such host: ")
    assert done.stderr.count("\n") == 1


def test_version_and_help_go_to_standard_output() -> None:
    assert run("--version").stdout.startswith("sop-chat 0.")
    shown = run("--help")
    assert shown.returncode == 0
    for option in ("--key-file", "--max-clients", "--quiet", "--stage", "SOPCHAT_KEY", "example"):
        assert option in shown.stdout


@pytest.mark.parametrize("how", ["environment", "file"])
def test_the_key_need_not_stand_in_the_process_list(tmp_path: Path, how: str) -> None:
    file = tmp_path / "key"
    file.write_text("secret\n")
    with reserved_port() as port:
        options = ["--key-file", str(file)] if how == "file" else []
        env = {"SOPCHAT_KEY": "secret"} if how == "environment" else {}
        with Program(SOP_CHAT, str(port), *options, env=env) as program:
            program.wait_for("listening")
            Client.join(port, "ann", "secret").close()
            assert b"secret" not in Path(f"/proc/{program.process.pid}/cmdline").read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_with_status_0_and_says_so(number: signal.Signals) -> None:
    with Server() as server:
        server.process.send_signal(number)
        assert server.wait() == 0
        assert server.stdout.endswith("closing\n")
        assert server.stderr == ""


@pytest.mark.sentence("E5", "E6")
def test_the_options_for_connections_without_authentication_are_heeded() -> None:
    with (
        Server("--max-pending", "2", "--auth-timeout", "1000") as server,
        Client(server.port) as oldest,
        Client(server.port),
        Client(server.port),
    ):
        assert oldest.rest() == b""
        server.wait_for("had not authenticated and made room for a newer connection")
    with Server("--auth-timeout", "0.2") as server, Client(server.port) as silent:
        assert silent.rest() == b""
        server.wait_for("did not authenticate in time")


@pytest.mark.sentence("E1", "E5", "E6")
def test_the_defaults_are_those_of_the_contract() -> None:
    limits = Limits()
    assert (limits.max_clients, limits.max_pending, limits.auth_timeout) == (4, 64, 10)
    assert (limits.stall_timeout, limits.over_mark_timeout) == (5, 30)


def test_a_full_disk_is_complained_of_once_and_the_room_goes_on() -> None:
    with reserved_port() as port:
        command = f'exec "{SOP_CHAT}" {port} key >/dev/full'
        with Program("/bin/sh", "-c", command) as program:
            wait_until_listening(port)
            with Client.join(port, "ann") as ann, Client.join(port, "bob") as bob:
                ann.send(frame("ann", "hello"))
                assert bob.receive() == frame("ann", "hello")
            program.interrupt()
            assert program.wait() == 0
            said = "No space left on device: lines are not shown until that has passed"
            assert program.stderr == f"sop-chat: {said}\n"


@pytest.mark.parametrize("host", ["a..b", "h" * 70, "\udcff"])
def test_a_host_name_that_is_none_is_told_in_one_line(host: str) -> None:
    done = run("9000", "key", "--host", host)
    assert done.returncode == 1
    assert done.stderr.endswith(": that is no host name\n")
    assert done.stderr.count("\n") == 1


def test_options_may_stand_between_the_arguments() -> None:
    with reserved_port() as port, Program(SOP_CHAT, str(port), "--quiet", "key") as program:
        program.wait_for("listening")
        program.interrupt()
        assert program.wait() == 0


def test_a_second_signal_while_it_ends_changes_nothing() -> None:
    reading, writing = os.pipe()
    with Server(stdout=writing) as server:
        wait_until_listening(server.port)
        with Client.join(server.port, "ann") as ann, Client.join(server.port, "bob") as bob:
            for _ in range(100):  # more than the pipe holds: the end waits for it a moment
                ann.send(*[frame("ann", "x" * 400)] * 100)
                bob.receive_many(100)
            server.interrupt()
            assert ann.rest() == b""
            server.process.send_signal(signal.SIGTERM)
            server.interrupt()
            assert server.wait() == 0
    os.close(reading)
    os.close(writing)


def test_quiet_shows_no_messages_and_hide_keys_no_keys() -> None:
    with Server("--quiet", "--hide-keys") as server:
        with Client.join(server.port, "ann") as ann, Client.join(server.port, "bob") as bob:
            ann.send(frame("ann", "hello"))
            bob.receive()
        server.interrupt()
        server.wait()
        assert "ann joined (1/4)" in server.stdout
        assert "hello" not in server.stdout
        assert "'key'" not in server.stdout


def test_output_into_a_pipe_comes_at_once_and_without_colour() -> None:
    with Server() as server, Client.join(server.port, "ann") as ann:
        for number in range(3):
            ann.send(frame("ann", f"message {number}"))
            server.wait_for(f"ann: message {number}\n")
        assert "\x1b" not in server.stdout


@pytest.mark.parametrize(
    ("env", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_a_terminal_has_colours_unless_they_are_unwanted(
    env: dict[str, str], coloured: bool
) -> None:
    with reserved_port() as port, TerminalProgram(SOP_CHAT, str(port), "key", env=env) as program:
        program.wait_for_line(f"listening on port {port}, Ctrl-C ends")
        with Client.join(port, "ann") as ann:
            ann.send(frame("ann", "hello"))
            program.wait_for_line("ann: hello")
        assert (b"\x1b[" in program.raw) == coloured


@pytest.mark.sentence("E10", "E14", "C4")
def test_ctrl_c_on_the_terminal_ends_it_with_status_0_and_no_traceback() -> None:
    with reserved_port() as port, TerminalProgram(SOP_CHAT, str(port), "key") as program:
        program.wait_for_line(f"listening on port {port}, Ctrl-C ends")
        with Client.join(port, "ann") as ann:
            program.press("\x03")
            assert ann.rest() == b""
        assert program.wait() == 0
        program.wait_for_line("closing")
        assert b"Traceback" not in program.raw


def test_a_stuck_standard_output_stops_neither_the_room_nor_its_end(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    try:
        with Server(stdout=writing) as server:
            with os.fdopen(os.dup(reading), "rb", buffering=0) as output:
                assert output.readline().startswith(b"listening")
            with Client.join(server.port, "ann") as ann, Client.join(server.port, "bob") as bob:
                for number in range(200):  # 40 MB: far more than pipe and console hold
                    sent = [frame("ann", f"{number} {'x' * 400}")] * 400
                    ann.send(*sent)
                    assert bob.receive_many(400) == sent
                server.interrupt()
                assert server.wait() == 0
    finally:
        os.close(reading)
        os.close(writing)


def test_a_closed_standard_output_is_no_reason_to_write_into_a_socket() -> None:
    with reserved_port() as port:
        command = f'exec "{SOP_CHAT}" {port} key >&-'
        with Program("/bin/sh", "-c", command) as program:
            wait_until_listening(port)
            with Client.join(port, "ann") as ann, Client.join(port, "bob") as bob:
                ann.send(frame("ann", "1"), frame("ann", "2"))
                assert bob.receive_many(2) == [frame("ann", "1"), frame("ann", "2")]
            program.interrupt()
            assert program.wait() == 0
            assert (program.stdout, program.stderr) == ("", "")


def test_a_reader_of_the_output_that_leaves_does_not_end_the_room() -> None:
    reading, writing = os.pipe()
    with Server(stdout=writing) as server:
        os.close(writing)
        with os.fdopen(reading, "rb", buffering=0) as output:
            assert output.readline().startswith(b"listening")
        with Client.join(server.port, "ann") as ann, Client.join(server.port, "bob") as bob:
            ann.send(frame("ann", "hello"))
            assert bob.receive() == frame("ann", "hello")
        server.interrupt()
        assert server.wait() == 0
        assert server.stderr == "sop-chat: Broken pipe: nothing more is shown\n"


def test_it_can_be_started_again_at_once_on_the_same_port() -> None:
    with reserved_port() as port:
        for _ in range(3):
            with Program(SOP_CHAT, str(port), "key") as program:
                program.wait_for("listening")
                with Client.join(port, "ann") as ann:
                    program.interrupt()
                    assert program.wait() == 0
                    assert ann.rest() == b""


def test_without_descriptors_it_says_so_once_and_lets_in_who_waited() -> None:
    with reserved_port() as port, contextlib.ExitStack() as silent:
        command = f'ulimit -n 20 && exec "{SOP_CHAT}" {port} key'
        with Program("/bin/sh", "-c", command) as program:
            program.wait_for("listening")
            for _ in range(20):
                silent.enter_context(Client(port))
            program.wait_for("no new clients for now: Too many open files\n")
            with Client(port) as ann:  # complete for the system, waiting for the server
                ann.send(frame("ann", "key"))
                silent.close()
                assert ann.receive() == frame("ann", "key")
            program.interrupt()
            assert program.wait() == 0
            assert program.stdout.count("no new clients for now") == 1


def test_it_leaves_no_files_behind(tmp_path: Path) -> None:
    with reserved_port() as port:
        command = f'cd "{tmp_path}" && exec "{SOP_CHAT}" {port} key'
        with Program("/bin/sh", "-c", command) as program:
            program.wait_for("listening")
            Client.join(port, "ann").close()
            program.interrupt()
            program.wait()
    assert list(tmp_path.iterdir()) == []
