"""The full screen on a real terminal, against the real server."""

import contextlib
import itertools
import os
import re
import signal
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from sopchat_client.tui.theme import DARK, LIGHT
from textual.color import Color
from textual.theme import Theme

from tests.support.clients import Client
from tests.support.frames import frame
from tests.support.programs import (
    SOP_CHAT,
    SOP_CHAT_CLIENT,
    Program,
    Server,
    TerminalProgram,
    eventually,
    reserved_port,
)

KEY = "the key that nobody else may read"
LEAVES_THE_SCREEN, SHOWS_THE_CURSOR = b"\x1b[?1049l", b"\x1b[?25h"


def command(port: int, key: str = "key") -> tuple[str, ...]:
    return (SOP_CHAT_CLIENT, "localhost", str(port), "ann", key)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server("--quiet") as server:
        yield server


@pytest.fixture
def terminal(server: Server) -> Iterator[TerminalProgram]:
    # A shell may have exported the size of another window.
    another = {"COLUMNS": "33", "LINES": "11"}
    with TerminalProgram(*command(server.port), env=another) as terminal:
        wait_for(terminal, "● joined")
        yield terminal


def wait_for(terminal: TerminalProgram, text: str) -> None:
    """Wait until the text is on the screen."""
    terminal.wait_until(lambda rows: any(text in row for row in rows))


def is_restored(terminal: TerminalProgram) -> bool:
    """Whether the terminal is as it was, and shows what it showed before."""
    last = max(terminal.raw.rfind(code) for code in (LEAVES_THE_SCREEN, SHOWS_THE_CURSOR))
    return (
        terminal.settings_now() == terminal.settings
        and LEAVES_THE_SCREEN in terminal.raw[last - 10 :]
        and SHOWS_THE_CURSOR in terminal.raw[last - 10 :]
        and b"\x1b[?1000l" in terminal.raw  # the mouse
        and b"\x1b[?2004l" in terminal.raw  # bracketed paste
    )


class Listener(Client):
    """A member that remembers what each of the others has said."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.heard: dict[str, list[str]] = defaultdict(list)

    def hear(self, name: str, count: int) -> list[str]:
        """Wait until a member has said so many texts in all, and give them."""
        while len(self.heard[name]) < count:
            speaker, text = (part.rstrip(b"\0").decode() for part in halves(self.receive()))
            self.heard[speaker].append(text)
        return self.heard[name]


def halves(data: bytes) -> tuple[bytes, bytes]:
    assert len(data) == 512
    return data[:64], data[64:]


class Talker(threading.Thread):
    """A member that says something so many times a second until it is stopped."""

    def __init__(self, port: int, rate: float) -> None:
        super().__init__()
        self._client = Client.join(port, "bob")
        self._pause = 1 / rate
        self._stopped = threading.Event()

    def run(self) -> None:
        for number in itertools.count():
            if self._stopped.wait(self._pause):
                break
            self._client.send(frame("bob", f"message {number}"))

    def __enter__(self) -> "Talker":
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stopped.set()
        self.join()
        self._client.close()


def test_what_is_typed_while_200_messages_a_second_arrive_and_the_size_changes_is_sent_as_typed(
    server: Server, terminal: TerminalProgram
) -> None:
    lines = [f"line {number} " + "word " * (number % 7) + "end" for number in range(15)]
    with Listener.join(server.port, "cleo") as cleo, Talker(server.port, 200):
        for number, line in enumerate(lines):
            for letter in line:
                terminal.press(letter)
            cleo.hear("bob", 20 * (number + 1))
            terminal.resize(60 + number * 4, 16 + number)
            terminal.press("\r")
        assert cleo.hear("ann", len(lines)) == lines
    terminal.wait_until(lambda rows: rows[-1].lstrip().startswith("448 bytes left"))


def test_keys_at_any_speed_keep_their_order(server: Server, terminal: TerminalProgram) -> None:
    with Listener.join(server.port, "cleo") as cleo, Talker(server.port, 200):
        for number in range(20):
            # Home, the end of the line, back by a word, delete it: all in one piece.
            terminal.press(f"b{number}\x01a\x05 c wrong\x17right\r")
        said = [f"ab{number} c right" for number in range(20)]
        assert cleo.hear("ann", len(said)) == said


def test_fifty_pasted_lines_go_out_after_a_question_in_order_and_paced(
    server: Server, terminal: TerminalProgram
) -> None:
    lines = [f"line {number}" for number in range(50)]
    with Client.join(server.port, "cleo") as cleo:
        terminal.press("\x1b[200~" + "\r".join(lines) + "\x1b[201~")
        wait_for(terminal, "50 messages, 50 frames")
        terminal.press("\r")
        wait_for(terminal, "Send 50 messages, 50 frames, 2 s?")
        terminal.press("\r")
        assert [cleo.receive() for _ in lines] == [frame("ann", line) for line in lines]


def test_a_long_line_is_asked_about_and_paced_frame_by_frame(
    server: Server, terminal: TerminalProgram
) -> None:
    with Client.join(server.port, "cleo") as cleo:
        terminal.press("\x1b[200~" + "x" * 448 * 45 + "\x1b[201~\r")
        wait_for(terminal, "Send 1 message, 45 frames, 1 s?")
        begin = time.monotonic()
        terminal.press("y")
        assert cleo.receive_many(45) == [frame("ann", "x" * 448)] * 45
        assert time.monotonic() - begin >= 0.9


def test_what_is_asked_about_is_not_lost_at_the_end(
    server: Server, terminal: TerminalProgram
) -> None:
    terminal.press("\x1b[200~" + "\r".join("abcdefgh") + "\x1b[201~\r")
    wait_for(terminal, "Send 8 messages")
    terminal.process.terminate()
    assert terminal.wait() == 0
    for letter in "abcdefgh":
        terminal.wait_for_text(f"not sent: {letter}")


def test_a_server_that_does_not_confirm_the_leaving_is_told_with_what_may_be_lost(
    server: Server, terminal: TerminalProgram
) -> None:
    server.process.send_signal(signal.SIGSTOP)
    try:
        terminal.press("important\r\x03")
        terminal.wait_for_text("waiting for the server to confirm")
        terminal.press("\x03")  # does not wait for the server
        assert terminal.wait() == 4
        terminal.wait_for_text("may not have arrived: important")
    finally:
        server.process.send_signal(signal.SIGCONT)


def test_a_browser_stops_neither_the_chat_nor_the_screen(
    server: Server, terminal: TerminalProgram, tmp_path: Path
) -> None:
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho noise >&2\necho "$1" >> {opened}\nexec sleep 1000\n')
    browser.chmod(0o755)
    with (
        TerminalProgram(*command(server.port), env={"BROWSER": str(browser)}) as with_browser,
        Client.join(server.port, "cleo") as cleo,
    ):
        terminal_is(with_browser, "● joined")
        cleo.send(frame("cleo", "https://example.org/a?b=c"))
        wait_for(with_browser, "https://example.org")
        with_browser.press("\x0f\r")
        eventually(lambda: opened.exists() and opened.read_text().strip() != "", "it opens")
        assert opened.read_text() == "https://example.org/a?b=c\n"
        with_browser.press("still here\r")
        assert cleo.receive() == frame("ann", "still here")
        assert b"noise" not in with_browser.raw
        end_group_of(browser)


def end_group_of(program: Path) -> None:
    """End what the client has started and does not wait for."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if str(program).encode() in entry.read_bytes():
                os.killpg(os.getpgid(int(entry.parent.name)), signal.SIGKILL)


def test_wide_characters_and_a_narrow_window(server: Server, terminal: TerminalProgram) -> None:
    with Client.join(server.port, "日本") as client:
        terminal.resize(40, 12)
        client.send(frame("日本", "漢字" * 20))
        wait_for(terminal, "漢字")
        terminal.press("grüße 👋")
        wait_for(terminal, "436 bytes left")
        terminal.press("\r")
        assert client.receive() == frame("ann", "grüße 👋")
        terminal.wait_until(lambda rows: any("ann: grüße 👋" in squeezed(row) for row in rows))
        assert (
            "".join(squeezed(row).split()[-1] for row in terminal.screen if "漢" in row).count(
                "漢字"
            )
            >= 19
        )


def squeezed(row: str) -> str:
    """Without the empty cell that pyte puts behind a wide character."""
    return re.sub("([\u1100-\uffff\U0001f300-\U0001faff])\0?", r"\1", row)


def test_a_server_that_is_killed_and_comes_back_gets_all_that_waited_and_nothing_twice() -> None:
    with reserved_port() as port:
        start = (SOP_CHAT, str(port), "key")
        with Program(*start) as server, contextlib.ExitStack() as stack:
            server.wait_for("listening")
            terminal = stack.enter_context(TerminalProgram(*command(port)))
            terminal_is(terminal, "● joined")
            terminal.press("first\r")
            server.wait_for("ann: first")
            terminal.press("half typ")
            wait_for(terminal, "half typ")
            server.process.kill()
            server.wait()
            terminal_is(terminal, "○ lost")
            terminal.press("ed\rnext\r")
            wait_for(terminal, "… ")
            with Program(*start) as again:
                again.wait_for("listening")
                terminal.press("\x1b[15~")  # F5
                again.wait_for("ann: half typed\nann: next\n")
                terminal_is(terminal, "● joined")
                wait_for(terminal, "may be missing")
                assert "first" not in again.stdout
                terminal.press("\x04")
                assert terminal.wait() == 0
                again.wait_for("ann left")
                assert again.stdout.count("ann: ") == 2


def terminal_is(terminal: TerminalProgram, state: str) -> None:
    """Wait until the first row says how the connection is."""
    terminal.wait_until(lambda rows: bool(rows) and rows[0].strip().startswith(state))


def test_a_wrong_key_ends_it_with_its_status_and_a_reason(server: Server) -> None:
    with TerminalProgram(*command(server.port, "wrong")) as terminal:
        assert terminal.wait() == 3
        terminal.wait_for_text("the key is wrong or the room is full")
        assert is_restored(terminal)


def test_a_server_that_is_not_there_ends_it_with_its_status_and_a_reason() -> None:
    with reserved_port() as port, TerminalProgram(*command(port)) as terminal:
        assert terminal.wait() == 2
        terminal.wait_for_text(f"cannot connect to localhost port {port}: Connection refused")
        assert is_restored(terminal)


def test_leaving_while_the_server_is_gone_has_its_status(server: Server) -> None:
    with TerminalProgram(*command(server.port)) as terminal:
        terminal_is(terminal, "● joined")
        server.interrupt()
        terminal_is(terminal, "○ lost")
        terminal.press("unsent\r\x03")
        wait_for(terminal, "Once more to leave: 1 message")
        terminal.press("\x03")
        assert terminal.wait() == 4
        terminal.wait_for_text("not sent: unsent")
        assert is_restored(terminal)


@pytest.mark.parametrize("key", ["\x04", "\x03", "/quit\r"])
def test_what_is_said_right_before_leaving_is_sent(
    server: Server, terminal: TerminalProgram, key: str
) -> None:
    with Client.join(server.port, "cleo") as cleo:
        terminal.press(f"bye\r{key}")
        assert cleo.receive() == frame("ann", "bye")
        assert terminal.wait() == 0
    assert b"not sent" not in terminal.raw


def test_what_is_no_utf8_does_not_end_it(server: Server, terminal: TerminalProgram) -> None:
    with Client.join(server.port, "cleo") as cleo:
        terminal.press_bytes(b"a\x9b\xe9b\r")
        assert cleo.receive() == frame("ann", "a\ufffd\ufffdb")


@pytest.mark.parametrize("key", ["\x04", "\x03", "\x11", "/quit\r"])
def test_keys_that_leave_restore_the_terminal(
    server: Server, terminal: TerminalProgram, key: str
) -> None:
    terminal.press(key)
    assert terminal.wait() == 0
    assert is_restored(terminal)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_leaves_restores_the_terminal_and_says_what_was_not_sent(
    server: Server, terminal: TerminalProgram, number: signal.Signals
) -> None:
    terminal.press("half typed")
    wait_for(terminal, "half typed")
    terminal.process.send_signal(number)
    assert terminal.wait() == 0
    terminal.wait_for_text("not sent: half typed")
    assert is_restored(terminal)


def test_a_defect_restores_the_terminal_and_shows_no_traceback() -> None:
    defective = (
        "import sys; from sopchat_client import command;"
        "from sopchat_client.tui.log import MessageLog;"
        "MessageLog.search = lambda self, wanted: 1 / 0;"
        "sys.exit(command.main())"
    )
    with (
        Server(key=KEY) as server,
        TerminalProgram(
            sys.executable, "-c", defective, *command(server.port, KEY)[1:]
        ) as terminal,
    ):
        terminal_is(terminal, "● joined")
        terminal.press("half typed\x06x")
        assert terminal.wait() == 5
        terminal.wait_for_text("a defect ended it; the details are in ")
        terminal.wait_for_text("not sent: half typed")
        assert is_restored(terminal)
        assert b"Traceback" not in terminal.raw
        found = re.search(rb"details are in (\S+\.log)", terminal.raw)
        assert found is not None
        details = found[1].decode()
        text = Path(details).read_text()
        assert "ZeroDivisionError" in text
        assert KEY not in text
        Path(details).unlink()


def test_the_mouse_can_be_left_to_the_terminal(server: Server, terminal: TerminalProgram) -> None:
    assert b"\x1b[?1000h" in terminal.raw
    with TerminalProgram(SOP_CHAT_CLIENT, "--no-mouse", *command(server.port)[1:]) as without:
        terminal_is(without, "● joined")
        assert b"\x1b[?1000h" not in without.raw


@pytest.mark.parametrize(
    ("options", "env", "ground"),
    [
        (["--theme", "light"], {}, LIGHT),
        (["--theme", "dark"], {"COLORFGBG": "0;15"}, DARK),
        ([], {"COLORFGBG": "0;15"}, LIGHT),
        ([], {}, DARK),
    ],
)
def test_the_ground_is_light_or_dark_as_wanted(
    server: Server, options: list[str], env: dict[str, str], ground: Theme
) -> None:
    env = {"COLORTERM": "truecolor", "COLORFGBG": "", **env}
    with TerminalProgram(SOP_CHAT_CLIENT, *options, *command(server.port)[1:], env=env) as terminal:
        red, green, blue = Color.parse(ground.background or "").rgb
        terminal.wait_for_text(f"48;2;{red};{green};{blue}m")


def test_without_textual_line_mode_says_how_to_get_more(server: Server) -> None:
    without = (
        "import importlib.util, sys; importlib.util.find_spec = lambda name: None;"
        "from sopchat_client import command; sys.exit(command.main())"
    )
    with TerminalProgram(sys.executable, "-c", without, *command(server.port)[1:]) as terminal:
        terminal.wait_for_line("for the full screen: pip install 'sop-chat[tui]'")
        terminal.wait_for_line("ann>")


def test_where_standard_error_is_no_terminal_there_is_line_mode(server: Server) -> None:
    shell = ("sh", "-c", 'exec "$@" 2>/dev/null', "sh")
    with TerminalProgram(*shell, *command(server.port)) as terminal:
        terminal.wait_for_line("ann>")
        wait_for(terminal, "Ctrl-D leaves")
        assert "pip install" not in "".join(terminal.screen)
