"""`sop-chat-client @profile`, as a process, with a configuration of its own."""

import subprocess
from pathlib import Path

import pytest

from tests.support.clients import Client
from tests.support.frames import frame
from tests.support.programs import (
    SOP_CHAT_CLIENT,
    Program,
    Server,
    TerminalProgram,
    reserved_port,
)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the profiles are expected."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("SOPCHAT_KEY", raising=False)
    (tmp_path / "sop-chat").mkdir()
    return tmp_path / "sop-chat" / "client.toml"


def work(port: int, *more: str) -> str:
    return "\n".join(["[work]", 'host = "localhost"', f"port = {port}", 'name = "grün"', *more, ""])


def run(*arguments: str, stdin: bytes = b"hello\n") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [SOP_CHAT_CLIENT, *arguments], input=stdin, capture_output=True, timeout=30, check=False
    )


def wrong(*arguments: str) -> str:
    """What is said of wrong use."""
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (1, b"")
    first, second = done.stderr.decode().splitlines()
    assert first == "USAGE: sop-chat-client host port name key"
    return second.removeprefix("sop-chat-client: ")


@pytest.mark.parametrize(
    "key",
    [
        'key = "secret"',
        'key-file = "key"',
        'key-file = "~/sop-chat/key"',
        "key-command = 'echo secret; echo more'",
        r"""key-command = 'printf "secret\r\n"' """,
        'protocol = "frame"\nkey-command = "cat $HOME/sop-chat/key"',
    ],
)
def test_a_profile_says_host_port_name_and_key(
    file: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(file.parent.parent))
    monkeypatch.setenv("SOPCHAT_KEY", "another key, for who says none")
    (file.parent / "key").write_text("secret\n")
    with Server(key="secret") as server, Client.join(server.port, "ann", "secret") as ann:
        file.write_text(work(server.port, key), "utf-8")
        file.chmod(0o600)
        done = run("@work")
        assert (done.returncode, done.stderr) == (0, b"")
        assert ann.receive() == frame("grün", "hello")


@pytest.mark.parametrize("folder", ["", "relative"])
def test_without_a_folder_for_configuration_it_is_in_the_home(
    file: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = file.parent.parent / "home"
    (home / ".config").mkdir(parents=True)
    file.parent.rename(home / ".config" / "sop-chat")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", folder)
    with Server() as server:
        (home / ".config" / "sop-chat" / "client.toml").write_text(
            work(server.port, "key-command = 'echo key'"), "utf-8"
        )
        assert run("@work").returncode == 0


def test_the_key_may_be_in_the_environment_where_the_profile_has_none(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOPCHAT_KEY", "key")
    with Server() as server:
        file.write_text(work(server.port), "utf-8")
        assert run("@work").returncode == 0


def test_the_command_lines_options_are_before_the_profiles(file: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("key\n")
    with (
        reserved_port() as line,
        Server("--line", str(line)) as server,
        Client.join(server.port, "ann") as ann,
    ):
        file.write_text(
            work(line, "key-command = 'echo wrong; exit 1'", 'protocol = "talk"'), "utf-8"
        )
        options = ("--protocol", "line", "--key-file", str(key))
        for arguments in ((*options, "@work"), ("@work", *options)):
            done = run(*arguments)
            assert (done.returncode, done.stderr) == (0, b"")
            assert ann.receive() == frame("grün", "hello")


def test_a_profiles_protocol_holds_where_the_command_line_says_none(file: Path) -> None:
    with (
        reserved_port() as line,
        Server("--line", str(line)) as server,
        Client.join(server.port, "ann") as ann,
    ):
        file.write_text(work(line, "key-command = 'echo key'", 'protocol = "line"'), "utf-8")
        assert run("--json", "@work", stdin=b'{"text": "hello"}').returncode == 0
        assert ann.receive() == frame("grün", "hello")


def test_a_key_command_may_ask_at_the_terminal(file: Path) -> None:
    with Server(key="secret") as server:
        command = 'printf "Passphrase: " >&2; read answer; echo "$answer"'
        file.write_text(work(server.port, "plain = true", f"key-command = '{command}'"), "utf-8")
        with TerminalProgram(SOP_CHAT_CLIENT, "@work") as terminal:
            terminal.wait_for_text("Passphrase: ")
            terminal.press("secret\r")
            terminal.wait_for_line("grün>")


def test_a_key_command_does_not_take_the_messages_that_are_piped_in(file: Path) -> None:
    with Server() as server, Client.join(server.port, "ann") as ann:
        file.write_text(work(server.port, "key-command = 'cat; echo key'"), "utf-8")
        done = run("@work", stdin=b"one\ntwo\n")
        assert (done.returncode, done.stderr) == (0, b"")
        assert ann.receive_many(2) == [frame("grün", "one"), frame("grün", "two")]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644])
def test_a_key_that_others_can_read_is_refused(file: Path, mode: int) -> None:
    file.write_text(work(9000, 'key = "secret"'), "utf-8")
    file.chmod(mode)
    said = f"{file}, [work]: others can read the key that stands there: chmod 600 {file}"
    assert wrong("@work") == said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("nmae = 5", "unknown key 'nmae'; known are: host, port, name, protocol, key"),
        ("key-file = 5", "key-file must be a string, not empty and without a NUL"),
        ('key-file = ""', "key-file must be a string, not empty and without a NUL"),
        (r'key-command = "a\u0000"', "key-command must be a string"),
        ('protocol = "irc"', 'protocol must be one of "frame", "numbered"'),
        ("protocol = []", 'protocol must be one of "frame", "numbered"'),
        ('key = "a"\nkey-command = "b"', "one of key, key-file and key-command is enough"),
        ("key-command = 'exit 3'", "key-command failed with status 3"),
        ("key-command = 'true'", "the key is empty, and needs 1 to 448 bytes"),
        ("key-command = 'head -c 500 /dev/zero | tr \"\\0\" x'", "the key is 500 bytes long"),
    ],
)
def test_what_is_wrong_in_a_table_is_told_with_the_file_and_the_table(
    file: Path, more: str, said: str
) -> None:
    file.write_text(work(9000, more), "utf-8")
    assert wrong("@work").startswith(f"{file}, [work]: {said}")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("[work]", "host is missing"),
        ('[work]\nhost = "h"\nport = 1', "name is missing"),
        ('[work]\nhost = 5\nport = 1\nname = "n"', "host must be a string"),
        ('[work]\nhost = "h"\nport = 0\nname = "n"', "port must be a number from 1 to 65535"),
        ('[work]\nhost = "h"\nport = true\nname = "n"', "port must be a number from 1 to 65535"),
        ('[work]\nhost = "h"\nport = "1"\nname = "n"', "port must be a number from 1 to 65535"),
        (f'[work]\nhost = "h"\nport = 1\nname = "{"n" * 65}"', "the name is 65 bytes long"),
    ],
)
def test_a_table_needs_a_host_a_port_and_a_name(file: Path, table: str, said: str) -> None:
    file.write_text(table)
    assert wrong("@work").startswith(f"{file}, [work]: {said}")


def test_an_unknown_profile_is_told_with_those_that_there_are(file: Path) -> None:
    file.write_text('title = "mine"\n[work]\n[home]\nunknown = 5\n')
    for name in ("wrok", "", "title"):
        assert wrong(f"@{name}") == f"no profile '{name}' in {file}; there are: home, work"
    file.write_text("")
    assert wrong("@work") == f"no profile 'work' in {file}; there are: none"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"[work", "{} is no TOML: Expected ']' at the end of a table declaration"),
        (b"a = '\xff'", "{} is no TOML: it is not UTF-8"),
        (b"a = " + b"[" * 100_000, "{} is no TOML"),
        (b"a = " + b"1" * 10_000, "{} is no TOML"),
        (None, "cannot read the profiles in {}: No such file or directory"),
    ],
    ids=["broken", "not UTF-8", "brackets", "digits", "missing"],
)
def test_a_file_that_cannot_be_used_is_told(file: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        file.write_bytes(content)
    assert wrong("@work").startswith(said.format(file))


def test_a_folder_in_its_place_is_told(file: Path) -> None:
    file.mkdir()
    assert wrong("@work") == f"cannot read the profiles in {file}: Is a directory"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["@work", "9000"], "@work says host, port, name and key: only options may stand beside"),
        (["@work", "ann"], "@work says host, port, name and key: only options may stand beside"),
        (["@work", "--json", "h", "9000"], "@work says host, port, name and key"),
        (["@work", "--protocol", "irc"], "argument --protocol: invalid choice: 'irc'"),
        (["@work", "--what"], "unrecognized arguments: --what"),
        (["localhost"], "the following arguments are required: port, name"),
        (["localhost", "9000"], "the following arguments are required: name"),
        (["localhost", "@work", "ann", "key"], "'@work' is no port"),
        (["localhost", "9000", "ann", "key", "more"], "unrecognized arguments: more"),
        (["@work", "--key-file", "/nonexistent"], "cannot read the key file /nonexistent"),
    ],
)
def test_wrong_combinations_are_wrong_use(file: Path, arguments: list[str], said: str) -> None:
    file.write_text(work(9000, "key-command = 'echo key'"), "utf-8")
    assert wrong(*arguments).startswith(said)


def test_a_file_that_the_key_was_told_to_be_in_and_is_not_is_named(file: Path) -> None:
    file.write_text(work(9000, 'key-file = "missing"'), "utf-8")
    assert wrong("@work") == (
        f"cannot read the key file {file.parent / 'missing'}: No such file or directory"
    )


def test_a_home_that_nobody_has_is_told(file: Path) -> None:
    file.write_text(work(9000, 'key-file = "~nobody-of-that-name/key"'), "utf-8")
    assert wrong("@work") == ("cannot find ~nobody-of-that-name/key: nobody knows what ~ is here")


def test_ctrl_c_at_a_key_command_ends_the_client(file: Path) -> None:
    file.write_text(work(9000, "key-command = 'echo asks >&2; sleep 1000'"), "utf-8")
    with TerminalProgram(SOP_CHAT_CLIENT, "@work") as terminal:
        terminal.wait_for_text("asks")
        terminal.press("\x03")
        assert terminal.wait() == 130
        assert b"Traceback" not in terminal.raw


def test_the_key_of_a_key_command_stands_nowhere(file: Path) -> None:
    """What the key-command prints is in no process list and in no environment."""
    with Server(key="secret") as server:
        file.write_text(work(server.port, "key-command = 'echo secret'"), "utf-8")
        with Program(SOP_CHAT_CLIENT, "@work", stdin=subprocess.PIPE) as bot:
            server.wait_for("grün joined")
            place = Path(f"/proc/{bot.process.pid}")
            assert b"secret" not in (place / "cmdline").read_bytes()
            assert b"secret" not in (place / "environ").read_bytes()
