"""`sop-chat-client` between pipes, as a process, against the real server."""

import json
import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.clients import Client
from tests.support.frames import frame
from tests.support.programs import (
    BIN,
    SOP_CHAT,
    SOP_CHAT_CLIENT,
    Program,
    Server,
    eventually,
    reserved_port,
    wait_until_listening,
)


def client(server: Server, name: str = "bot", *options: str, key: str = "key") -> Program:
    return Program(
        SOP_CHAT_CLIENT,
        *(*options, "localhost", str(server.port), name, key),
        stdin=subprocess.PIPE,
    )


def run(*arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [SOP_CHAT_CLIENT, *arguments], input=stdin, capture_output=True, timeout=30, check=False
    )


def test_one_line_in_is_one_message_out_and_the_end_leaves_with_status_0() -> None:
    with Server() as server, Client.join(server.port, "ann") as ann:
        lines = [
            b"hello",
            b"",
            b"  two  spaces  ",
            "grün 👩‍👧".encode(),
            b"\xff raw",
            b"no newline",
        ]
        done = run("localhost", str(server.port), "bot", "key", stdin=b"\n".join(lines))
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert ann.receive_many(6) == [frame("bot", line) for line in lines]


def test_ten_thousand_lines_all_arrive_though_it_leaves_at_once() -> None:
    with Server("--quiet") as server, Client.join(server.port, "ann") as ann:
        lines = [b"line %d" % number for number in range(10_000)]
        with client(server) as bot:
            bot.write(b"\n".join(lines))
            bot.end_input()
            assert ann.receive_many(10_000) == [frame("bot", line) for line in lines]
            assert bot.wait() == 0


def test_a_line_over_448_bytes_is_several_messages() -> None:
    with Server() as server, Client.join(server.port, "ann") as ann:
        run("localhost", str(server.port), "bot", "key", stdin=b"x" * 1000 + b"\nnext\n")
        sent = [b"x" * 448, b"x" * 448, b"x" * 104, b"next"]
        assert ann.receive_many(4) == [frame("bot", text) for text in sent]


def test_a_message_in_is_one_line_out_at_once_and_safe() -> None:
    with Server() as server, client(server) as bot:
        server.wait_for("bot joined")
        with Client.join(server.port, "ann") as ann:
            ann.send(frame("ann", "hello"))
            bot.wait_for("ann: hello\n")
            ann.send(frame("ann", "a\nroot: forged \x1b[2J"))
            bot.wait_for("ann: a\\nroot: forged \\x1b[2J\n")
        bot.end_input()
        assert bot.wait() == 0


def test_json_is_one_object_a_line() -> None:
    with Server() as server, client(server, "bot", "--json") as bot:
        server.wait_for("bot joined")
        with Client.join(server.port, "ann") as ann:
            ann.send(frame("ann", 'grün "quoted"\n'), frame("ann", b"\xff"))
            bot.wait_for("\\\\xff")
        bot.end_input()
        bot.wait()
        assert [json.loads(line) for line in bot.stdout.splitlines()] == [
            {"name": "ann", "text": 'grün "quoted"\n'},
            {"name": "ann", "text": "\\xff"},
        ]


def test_json_in_is_one_message_for_each_object_whatever_else_it_says() -> None:
    with Server() as server, Client.join(server.port, "ann") as ann:
        lines = [
            '{"name": "eve", "text": "grün \\ud83d\\ude00"}',
            "",
            '  {"text": "two\\nlines", "more": [null]}  \r',
            '{"text": ""}',
            '{"text": "no newline"}',
        ]
        stdin = "\n".join(lines).encode()
        done = run("--json", "localhost", str(server.port), "bot", "key", stdin=stdin)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        texts = ["grün 😀", "two\nlines", "", "no newline"]
        assert ann.receive_many(4) == [frame("bot", text) for text in texts]


def test_the_output_of_one_json_client_is_the_input_of_another() -> None:
    with (
        Server() as server,
        client(server, "one", "--json") as one,
        client(server, "two", "--json") as two,
    ):
        server.wait_for("(2/4)")
        with Client.join(server.port, "ann") as ann:
            ann.send(frame("ann", 'a "quoted"\nline'))
            one.wait_for("\n")
            two.write(one.stdout.encode())
            assert ann.receive() == frame("two", 'a "quoted"\nline')


_NO_OBJECT = 'it is no JSON object, as {"text": "hello"} is'
_NO_TEXT = 'it has no "text" that is a string, as {"text": "hello"} has'


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"hello", _NO_OBJECT),
        (b'"hello"', _NO_OBJECT),
        (b'{"text": "hello"', _NO_OBJECT),
        (b'{"text": "hello"} {}', _NO_OBJECT),
        (b'{"text": "\xff"}', _NO_OBJECT),
        (b"[" * 100_000, _NO_OBJECT),
        (b"1" * 10_000, _NO_OBJECT),
        (b"{}", _NO_TEXT),
        (b'{"text": 5}', _NO_TEXT),
        (b'{"text": null}', _NO_TEXT),
        (rb'{"text": "a\u0000b"}', 'its "text" holds a NUL, and may hold any other character'),
        (
            rb'{"text": "\ud83d"}',
            'its "text" holds half a surrogate pair, which no UTF-8 can say',
        ),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_json_line_that_says_no_text_is_told_and_those_before_it_are_sent(
    line: bytes, said: str
) -> None:
    with Server() as server, Client.join(server.port, "ann") as ann:
        stdin = b'{"text": "one"}\n\n' + line + b'\n{"text": "four"}\n'
        done = run("--json", "localhost", str(server.port), "bot", "key", stdin=stdin)
        assert done.stderr.decode() == (
            f"sop-chat-client: line 3 is not sent, nor any after it: {said}\n"
        )
        assert done.returncode == 1
        assert ann.receive() == frame("bot", "one")
        server.wait_for("bot left")
        assert "four" not in server.stdout


def test_two_clients_talk_with_each_other() -> None:
    with Server() as server, client(server, "ann") as ann, client(server, "bob") as bob:
        server.wait_for("(2/4)")
        ann.write(b"hello bob\n")
        bob.wait_for("ann: hello bob\n")
        bob.write(b"hello ann\n")
        ann.wait_for("bob: hello ann\n")


@pytest.mark.parametrize("how", ["environment", "file"])
def test_the_key_need_not_stand_in_the_process_list(tmp_path: Path, how: str) -> None:
    file = tmp_path / "key"
    file.write_text("secret\n")
    options = ["--key-file", str(file)] if how == "file" else []
    env = {"SOPCHAT_KEY": "secret"} if how == "environment" else {}
    with Server(key="secret") as server:
        command = (SOP_CHAT_CLIENT, *options, "localhost", str(server.port), "bot")
        with Program(*command, env=env, stdin=subprocess.PIPE) as bot:
            server.wait_for("bot joined")
            assert b"secret" not in Path(f"/proc/{bot.process.pid}/cmdline").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "required: host, port, name"),
        (["localhost", "0", "ann", "key"], "'0' is no port"),
        (["localhost", "9000", "n" * 65, "key"], "the name is 65 bytes long, and at most 64 fit"),
        (["localhost", "9000", "ann", "k" * 449], "the key is 449 bytes long"),
        (["localhost", "9000", "ann"], "no key"),
    ],
)
def test_wrong_use_has_status_1(arguments: list[str], said: str) -> None:
    done = run(*arguments)
    first, second = done.stderr.decode().splitlines()
    assert first == "USAGE: sop-chat-client host port name key"
    assert said in second
    assert (done.returncode, done.stdout) == (1, b"")


def test_a_line_that_cannot_be_sent_is_told_and_those_before_it_are_sent() -> None:
    with Server() as server, Client.join(server.port, "ann") as ann:
        stdin = b"one\ntwo\na\0b\nfour\n"
        done = run("localhost", str(server.port), "bot", "key", stdin=stdin)
        assert done.returncode == 1
        assert done.stderr == (
            b"sop-chat-client: line 3 is not sent, nor any after it: it holds a NUL byte\n"
        )
        assert ann.receive_many(2) == [frame("bot", "one"), frame("bot", "two")]
        server.wait_for("bot left")
        assert "four" not in server.stdout


@pytest.mark.parametrize(
    ("redirection", "status", "said"),
    [
        ("<&-", 0, ""),
        (">&- </dev/zero", 1, "sop-chat-client: standard output is closed\n"),
        (
            ">/dev/full </dev/tty0",
            1,
            "sop-chat-client: cannot write the messages: No space left on device\n",
        ),
    ],
)
def test_streams_that_are_closed_or_fail_are_told_in_one_line(
    redirection: str, status: int, said: str
) -> None:
    with Server() as server, Client.join(server.port, "ann") as ann:
        command = f'exec "{SOP_CHAT_CLIENT}" localhost {server.port} bot key {redirection}'
        command = command.replace("</dev/tty0", "")  # standard input stays open and says nothing
        with Program("/bin/sh", "-c", command, stdin=subprocess.PIPE) as bot:
            server.wait_for("bot joined")
            if "full" in redirection:
                ann.send(frame("ann", "for a full disk"))
            assert bot.wait() == status
            assert bot.stderr == said


def test_a_host_name_that_is_none_is_told() -> None:
    done = run("a..b", "9000", "ann", "key")
    said = b"sop-chat-client: cannot connect to a..b port 9000: that is no host name\n"
    assert (done.returncode, done.stderr) == (2, said)


def test_options_may_stand_between_the_arguments() -> None:
    with Server() as server:
        done = run("localhost", str(server.port), "--json", "bot", "key")
        assert (done.returncode, done.stderr) == (0, b"")


def test_ctrl_c_while_it_starts_is_no_traceback() -> None:
    with reserved_port() as port, socket.create_server(("127.0.0.1", 0)) as silent:
        for command in (
            [SOP_CHAT_CLIENT, "127.0.0.1", str(silent.getsockname()[1]), "ann", "key"],
            [SOP_CHAT, str(port), "k"],
        ):
            with Program(*command) as program:
                eventually(
                    lambda pid=program.process.pid: handles_interrupt(pid),  # type: ignore[misc]
                    "the entry point has not begun",
                )
                program.interrupt()
                assert program.wait() in (0, 130, -signal.SIGINT)
                assert program.stderr == ""


def handles_interrupt(pid: int) -> bool:
    """Whether a Python process has its own handler no longer: its entry point has begun."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("SigCgt:"):
            return not int(line.split()[1], 16) & 1 << signal.SIGINT - 1
    return False


@pytest.mark.parametrize("protocol", ["line", "talk"])
def test_it_speaks_the_other_protocols_through_their_doors(protocol: str) -> None:
    with (
        reserved_port() as other,
        Server(f"--{protocol}", str(other)) as server,
        Client.join(server.port, "ann") as ann,
    ):
        command = (SOP_CHAT_CLIENT, "--protocol", protocol, "localhost", str(other), "bot", "key")
        with Program(*command, stdin=subprocess.PIPE) as bot:
            server.wait_for("bot joined")
            bot.write(b"one\ntwo\n")
            assert ann.receive_many(2) == [frame("bot", "one"), frame("bot", "two")]
            ann.send(frame("ann", "hello"))
            bot.wait_for("ann: hello\n")
            bot.end_input()
            assert bot.wait() == 0
        wrong = run("--protocol", protocol, "localhost", str(other), "bot", "wrong", stdin=b"")
        if protocol == "line":
            assert wrong.returncode == 3
            assert wrong.stderr.endswith(b"wrong key.\n")
        else:
            assert b"You are disconnected: wrong key." in wrong.stdout


@pytest.mark.parametrize(("protocol", "arguments"), [("line", ["{}"]), ("talk", ["-p", "{}"])])
def test_it_speaks_with_the_bare_servers_of_the_sister_exercises(
    protocol: str, arguments: list[str]
) -> None:
    program = {"line": "chat-server", "talk": "talk-server"}[protocol]
    with (
        reserved_port() as port,
        Program(str(BIN / program), *[argument.format(port) for argument in arguments]) as server,
    ):
        wait_until_listening(port)
        command = (SOP_CHAT_CLIENT, "--protocol", protocol, "localhost", str(port))
        with (
            Program(*command, "ann", stdin=subprocess.PIPE) as ann,
            Program(*command, "bob", stdin=subprocess.PIPE) as bob,
        ):
            said = "hello" if protocol == "line" else "ann: hello"

            def heard() -> bool:
                ann.write(b"hello\n")  # again until both have been let in
                return said in bob.stdout

            eventually(heard, "bob does not hear ann")
            for program_ in (ann, bob):
                program_.end_input()
                assert program_.wait() == 0
        server.interrupt()
        assert server.wait() == 0


def test_where_nobody_listens_the_status_is_2() -> None:
    with reserved_port() as port:
        done = run("localhost", str(port), "ann", "key")
    said = f"sop-chat-client: cannot connect to localhost port {port}: Connection refused\n"
    assert (done.returncode, done.stderr.decode()) == (2, said)


def test_a_wrong_key_and_a_full_room_have_status_3_and_are_honestly_not_told_apart() -> None:
    with Server("--max-clients", "1") as server:
        wrong = run("localhost", str(server.port), "ann", "wrong")
        with Client.join(server.port, "first"):
            full = run("localhost", str(server.port), "ann", "key")
    assert wrong.returncode == full.returncode == 3
    assert wrong.stderr == full.stderr
    assert b"the key is wrong or the room is full" in wrong.stderr
    assert wrong.stderr.count(b"\n") == 1


def test_a_server_that_goes_away_has_status_4() -> None:
    with Server() as server, client(server) as bot:
        server.wait_for("bot joined")
        server.interrupt()
        assert bot.wait() == 4
        assert bot.stderr == "sop-chat-client: the server closed the connection\n"


def test_ctrl_c_between_pipes_has_status_130_and_no_traceback() -> None:
    with Server() as server, client(server) as bot:
        server.wait_for("bot joined")
        bot.interrupt()
        assert bot.wait() == 130
        assert bot.stderr == ""


def test_an_output_nobody_reads_any_more_is_a_quiet_end() -> None:
    reading, writing = os.pipe()
    with Server() as server:
        arguments = ("localhost", str(server.port), "bot", "key")
        command = (SOP_CHAT_CLIENT, *arguments)
        with Program(*command, stdin=subprocess.PIPE, stdout=writing) as bot:
            os.close(writing)
            os.close(reading)
            server.wait_for("bot joined")
            with Client.join(server.port, "ann") as ann:
                ann.send(frame("ann", "hello"))
                assert bot.wait() == 0
                assert bot.stderr == ""


def test_an_output_that_nobody_reads_does_not_stop_the_sending() -> None:
    reading, writing = os.pipe()
    try:
        with Server() as server:
            command = (SOP_CHAT_CLIENT, "localhost", str(server.port), "bot", "key")
            with (
                Program(*command, stdin=subprocess.PIPE, stdout=writing) as bot,
                Client.join(server.port, "ann") as ann,
            ):
                server.wait_for("(2/4)")
                ann.send(*[frame("ann", "x" * 400)] * 1000)
                bot.write(b"still here\n")
                assert ann.receive() == frame("bot", "still here")
    finally:
        os.close(reading)
        os.close(writing)


def test_something_else_on_the_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with Program(SOP_CHAT_CLIENT, "127.0.0.1", str(port), "ann", "key") as program:
            connection, _ = other.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n".ljust(512))
                assert program.wait() == 2
                assert "no frame chat server" in program.stderr
