"""Completion of `sop-chat-client`, in real shells."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.programs import BIN, SOP_CHAT_CLIENT, TerminalProgram, require_tool


@pytest.fixture(autouse=True)
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two profiles, and a folder with one file."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{BIN}:{os.environ['PATH']}")
    file = tmp_path / "config" / "sop-chat" / "client.toml"
    file.parent.mkdir(parents=True)
    file.write_text("[work]\n[home]\n")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "my-key").touch()
    monkeypatch.chdir(folder)


@pytest.fixture
def bash() -> Iterator[TerminalProgram]:
    with TerminalProgram(require_tool("bash"), "--noprofile", "--norc") as shell:
        shell.press('eval "$(sop-chat-client --completion bash)"; PS1="ready> "; clear\r')
        shell.wait_for_line("ready>")
        yield shell


@pytest.fixture
def zsh() -> Iterator[TerminalProgram]:
    with TerminalProgram(require_tool("zsh"), "-f") as shell:
        shell.press("autoload -U compinit; compinit -u -D; ")
        shell.press('eval "$(sop-chat-client --completion zsh)"; PS1="ready> "; clear\r')
        shell.wait_for_line("ready>")
        yield shell


def types(shell: TerminalProgram, typed: str, completed: str) -> None:
    """Type and press Tab: the line must become `completed`."""
    shell.press(f"sop-chat-client {typed}\t")
    shell.wait_for_line(f"ready> sop-chat-client {completed}")


CASES = [
    ("--pro", "--protocol"),
    ("--protocol li", "--protocol line"),
    ("@w", "@work"),
    ("--json @h", "--json @home"),
    ("--key-file my", "--key-file my-key"),
    ("--key-file my-key @w", "--key-file my-key @work"),
]


@pytest.mark.parametrize(("typed", "completed"), CASES)
def test_bash_completes(bash: TerminalProgram, typed: str, completed: str) -> None:
    types(bash, typed, completed)


@pytest.mark.parametrize(("typed", "completed"), CASES)
def test_zsh_completes(zsh: TerminalProgram, typed: str, completed: str) -> None:
    types(zsh, typed, completed)


def test_zsh_completes_by_a_file_in_its_path(tmp_path: Path) -> None:
    done = subprocess.run(
        [SOP_CHAT_CLIENT, "--completion", "zsh"], capture_output=True, timeout=30, check=True
    )
    (tmp_path / "_sop-chat-client").write_bytes(done.stdout)
    with TerminalProgram(require_tool("zsh"), "-f") as shell:
        shell.press(f"fpath+=('{tmp_path}'); autoload -U compinit; compinit -u -D; ")
        shell.press('PS1="ready> "; clear\r')
        shell.wait_for_line("ready>")
        types(shell, "@w", "@work")


@pytest.mark.parametrize(("typed", "completed"), CASES)
def test_fish_completes(typed: str, completed: str) -> None:
    script = (
        "sop-chat-client --completion fish | source;"
        f" complete --do-complete 'sop-chat-client {typed}'"
    )
    done = subprocess.run(
        [require_tool("fish"), "--no-config", "--command", script],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    offered = [line.split("\t")[0] for line in done.stdout.split("\n") if line]
    assert offered == [completed.split()[-1]]


def complete(line: str) -> subprocess.CompletedProcess[str]:
    """What a shell gets that asks how the line may go on."""
    return subprocess.run(
        ["/bin/sh", "-c", f"exec '{SOP_CHAT_CLIENT}' 8>&1 9>&2"],
        env={
            **os.environ,
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_IFS": "\n",
            "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
            "PYTHONPROFILEIMPORTTIME": "1",
        },
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )


def test_where_nothing_is_known_no_files_are_offered() -> None:
    for line in ("localhost m", "localhost 9000 m", "localhost 9000 ann m", "@work m", "m"):
        assert complete(f"sop-chat-client {line}").stdout == ""


def test_a_broken_profile_file_offers_no_profiles_and_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "config" / "sop-chat" / "client.toml").write_text("[work")
    assert complete("sop-chat-client @").stdout == ""


def test_who_completes_does_not_wait_for_trio() -> None:
    done = complete("sop-chat-client @w")
    assert done.stdout == "@work"
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "sopchat_client.parser" in imported
    assert "trio" not in imported


def test_without_argcomplete_it_says_how_to_get_it() -> None:
    code = "import sys; sys.modules['argcomplete'] = None; from sopchat_client import command"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; sys.exit(command.main())", "--completion", "bash"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "USAGE: sop-chat-client host port name key\n"
        "sop-chat-client: --completion needs argcomplete: pip install 'sop-chat[tui]'\n"
    )


def test_a_shell_that_it_does_not_know_is_wrong_use() -> None:
    done = subprocess.run(
        [SOP_CHAT_CLIENT, "--completion", "ksh"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    first, second = done.stderr.splitlines()
    assert first == "USAGE: sop-chat-client host port name key"
    assert "invalid choice: 'ksh'" in second
