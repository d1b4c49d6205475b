"""`sop-chat-client` on a terminal: a real process, and the screen that a person sees."""

import signal
from collections.abc import Iterator

import pytest

from tests.support.clients import Client
from tests.support.frames import frame
from tests.support.programs import SOP_CHAT_CLIENT, Server, TerminalProgram


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def terminal(server: Server) -> Iterator[TerminalProgram]:
    command = (SOP_CHAT_CLIENT, "--plain", "localhost", str(server.port), "ann", "key")
    with TerminalProgram(*command) as terminal:
        terminal.wait_for_line("ann>")
        yield terminal


def test_what_is_typed_is_sent_and_stays_on_the_screen(
    server: Server, terminal: TerminalProgram
) -> None:
    with Client.join(server.port, "bob") as bob:
        terminal.press("hello bob\r")
        assert bob.receive() == frame("ann", "hello bob")
        terminal.wait_for_line("ann> hello bob")
        assert terminal.screen[:2] == [
            f"joined localhost port {server.port}; Ctrl-D leaves",
            "ann> hello bob",
        ]


def test_a_message_appears_above_the_line_being_typed(
    server: Server, terminal: TerminalProgram
) -> None:
    with Client.join(server.port, "bob") as bob:
        terminal.press("half typ")
        terminal.wait_for_line("ann> half typ")
        bob.send(frame("bob", "in between"))
        terminal.wait_for_line("bob: in between")
        terminal.press("ed\r")
        assert bob.receive() == frame("ann", "half typed")
        terminal.wait_for_line("ann>")
        assert terminal.screen[1:] == ["bob: in between", "ann> half typed", "ann>"]


def test_lines_can_be_edited_and_called_back(server: Server, terminal: TerminalProgram) -> None:
    with Client.join(server.port, "bob") as bob:
        terminal.press("wrold\x7f\x7f\x7f\x7forld\x01hello \r")
        assert bob.receive() == frame("ann", "hello world")
        terminal.wait_for_line("ann>")
        terminal.press("\x1b[A!\r")
        assert bob.receive() == frame("ann", "hello world!")


def test_a_paste_of_lines_is_a_message_a_line_and_nothing_is_sent_for_empty_ones(
    server: Server, terminal: TerminalProgram
) -> None:
    with Client.join(server.port, "bob") as bob:
        terminal.press("\r\r\x1b[200~one\ntwo\n\nthree\x1b[201~\r")
        assert bob.receive_many(3) == [frame("ann", text) for text in ("one", "two", "three")]


def test_what_others_send_does_not_drive_the_terminal(
    server: Server, terminal: TerminalProgram
) -> None:
    with Client.join(server.port, "bob") as bob:
        bob.send(frame("bob", "\x1b[2J\x1b]0;title\x07 gone?"))
        terminal.wait_for_line("bob: \\x1b[2J\\x1b]0;title\\x07 gone?")
        assert terminal.screen[0].startswith("joined")


@pytest.mark.parametrize("keys", ["\x04", "\x03"])
def test_ctrl_d_and_ctrl_c_leave_with_status_0_and_restore_the_terminal(
    server: Server, terminal: TerminalProgram, keys: str
) -> None:
    terminal.press(keys)
    assert terminal.wait() == 0
    server.wait_for("ann left (0/4): closed the connection")
    assert terminal.settings_now() == terminal.settings


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_and_restores_the_terminal(
    terminal: TerminalProgram, number: signal.Signals
) -> None:
    terminal.press("half typed")
    terminal.wait_for_line("ann> half typed")
    terminal.process.send_signal(number)
    assert terminal.wait() == 0
    assert terminal.settings_now() == terminal.settings


def test_a_server_that_goes_away_is_told_with_status_4_and_the_terminal_restored(
    server: Server, terminal: TerminalProgram
) -> None:
    terminal.press("half typed")
    terminal.wait_for_line("ann> half typed")
    server.interrupt()
    assert terminal.wait() == 4
    terminal.wait_for_line("sop-chat-client: the server closed the connection")
    assert terminal.settings_now() == terminal.settings
    assert b"Traceback" not in terminal.raw


def test_a_hundred_messages_while_typing_lose_neither_side(
    server: Server, terminal: TerminalProgram
) -> None:
    with Client.join(server.port, "bob") as bob:
        for number in range(100):
            bob.send(frame("bob", f"message {number}"))
            terminal.press("x")
        terminal.press("\r")
        assert bob.receive() == frame("ann", "x" * 100)
        for number in range(80, 100):
            terminal.wait_for_line(f"bob: message {number}")


@pytest.mark.parametrize(("env", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_names_have_colours_unless_they_are_unwanted(
    server: Server, env: dict[str, str], coloured: bool
) -> None:
    command = (SOP_CHAT_CLIENT, "--plain", "localhost", str(server.port), "ann", "key")
    with TerminalProgram(*command, env=env) as terminal, Client.join(server.port, "bob") as bob:
        terminal.wait_for_line("ann>")
        bob.send(frame("bob", "hello"))
        terminal.wait_for_line("bob: hello")
        assert (b"mbob\x1b[0m" in terminal.raw) == coloured


@pytest.mark.parametrize(
    "keys", ["\x1b[31m", "\x1b[M!!!", "\x1b[<0;1;1M", "\x1b[200~\x1b[31m\x1b[201~"]
)
def test_keys_that_look_like_a_mouse_or_a_colour_do_no_harm(
    server: Server, terminal: TerminalProgram, keys: str
) -> None:
    with Client.join(server.port, "bob") as bob:
        terminal.press(keys)
        terminal.press("\x15hello\r")
        assert bob.receive() == frame("ann", "hello")
        assert b"Traceback" not in terminal.raw
        assert b"Unhandled" not in terminal.raw


def test_leaving_right_behind_a_line_sends_it_and_leaves(server: Server) -> None:
    command = (SOP_CHAT_CLIENT, "--plain", "localhost", str(server.port), "ann", "key")
    with Client.join(server.port, "bob") as bob:
        for number in range(5):
            with TerminalProgram(*command) as terminal:
                terminal.wait_for_line("ann>")
                terminal.press(f"line {number}\r\x04")
                assert terminal.wait() == 0
                assert bob.receive() == frame("ann", f"line {number}")


def test_what_is_typed_while_messages_are_drawn_is_never_echoed_beside_the_line(
    server: Server, terminal: TerminalProgram
) -> None:
    with Client.join(server.port, "bob") as bob:
        for number in range(15):
            terminal.press("ha")
            bob.send(frame("bob", f"message {number}"))
            terminal.press("lf\r")
            assert bob.receive() == frame("ann", "half")
        terminal.wait_for_line("bob: message 14")
        terminal.wait_for_line("ann>")
        lines = set(terminal.screen[-20:])
        assert lines <= {"ann>", "ann> half", *[f"bob: message {number}" for number in range(15)]}
