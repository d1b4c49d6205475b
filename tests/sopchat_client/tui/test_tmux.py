"""The full screen in a terminal that people use, started from a shell."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clients import Client
from tests.support.frames import frame
from tests.support.programs import SOP_CHAT_CLIENT, Server, eventually, require_tool


class Tmux:
    """A shell in a terminal of its own."""

    def __init__(self, folder: Path) -> None:
        self._tmux = (require_tool("tmux"), "-u", "-S", str(folder / "tmux"), "-f", "/dev/null")
        self.run("new-session", "-d", "-x", "80", "-y", "16", "env PS1='shell> ' sh")

    def run(self, *command: str) -> str:
        done = subprocess.run([*self._tmux, *command], capture_output=True, text=True, check=True)
        return done.stdout

    def press(self, *keys: str) -> None:
        self.run("send-keys", *keys)

    @property
    def screen(self) -> str:
        return self.run("capture-pane", "-p")

    def wait_for(self, *texts: str) -> None:
        """Wait until all of them are on the screen."""
        try:
            eventually(lambda: all(text in self.screen for text in texts), "on the screen")
        except AssertionError:
            pytest.fail(f"not all of {texts} are on the screen:\n{self.screen}")

    def child(self) -> Path:
        """The process that the shell runs."""
        shell = self.run("display-message", "-p", "#{pane_pid}").strip()
        (child,) = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
        return Path(f"/proc/{child}")

    def close(self) -> None:
        self.run("kill-server")


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    tmux = Tmux(tmp_path)
    try:
        tmux.wait_for("shell>")
        yield tmux
    finally:
        tmux.close()


@pytest.fixture
def server(tmux: Tmux) -> Iterator[Server]:
    """A room which ann has joined."""
    with Server() as server:
        tmux.press(f"{SOP_CHAT_CLIENT} localhost {server.port} ann key", "Enter")
        tmux.wait_for("● joined")
        yield server


def test_the_shell_gets_its_terminal_back_and_the_chat_comes_back_whole(
    server: Server, tmux: Tmux
) -> None:
    tmux.press("hello", "Enter", "half")
    tmux.wait_for("ann: hello", "half")
    tmux.press("C-z")
    tmux.wait_for("Stopped", "shell>")
    assert "ann: hello" not in tmux.screen
    tmux.press("fg", "Enter")
    tmux.wait_for("● joined", "ann: hello", "half", "444 bytes left")
    tmux.press(" typed", "Enter")
    server.wait_for("ann: half typed")
    tmux.press("C-d")
    server.wait_for("ann left")
    tmux.press("echo status $?", "Enter")
    tmux.wait_for("status 0")
    assert "● joined" not in tmux.screen


def test_fifty_lines_pasted_by_the_terminal_are_fifty_messages(server: Server, tmux: Tmux) -> None:
    tmux.run("set-buffer", "\n".join(f"line {number}" for number in range(50)))
    tmux.run("paste-buffer", "-p")
    tmux.wait_for("50 messages, 50 frames")
    tmux.press("Enter")
    tmux.wait_for("Send 50 messages")
    tmux.press("y")
    server.wait_for("".join(f"ann: line {number}\n" for number in range(50)))


def test_a_terminal_that_is_closed_ends_the_client(server: Server, tmux: Tmux) -> None:
    client = tmux.child()
    tmux.run("respawn-pane", "-k", "cat")
    eventually(lambda: not client.exists(), "it has not ended")
    server.wait_for("ann left")


def test_a_terminal_that_goes_without_a_signal_while_messages_arrive_ends_the_client(
    tmux: Tmux,
) -> None:
    with Server() as server:
        client = f"{SOP_CHAT_CLIENT} localhost {server.port} ann key"
        tmux.press(f"trap '' HUP; {client}", "Enter")
        tmux.wait_for("● joined")
        process = tmux.child()
        with Client.join(server.port, "bob") as bob:
            tmux.run("respawn-pane", "-k", "cat")

            def ends() -> bool:
                bob.send(frame("bob", "one more drawing"))
                return not process.exists()

            eventually(ends, "it has not ended")
