"""The examples of docs/examples, as processes, against the real server."""

import re
import sys
from pathlib import Path

from tests.support.clients import Client
from tests.support.frames import frame
from tests.support.programs import Program, Server

EXAMPLES = Path(__file__).parent.parent.parent / "docs" / "examples"


def example(server: Server, file: str, key: str = "key") -> Program:
    return Program(
        *(sys.executable, str(EXAMPLES / file), "localhost", str(server.port), "dice"),
        env={"SOPCHAT_KEY": key},
    )


def test_the_dice_are_rolled_for_who_asks_and_for_nothing_else() -> None:
    with (
        Server() as server,
        Client.join(server.port, "ann") as ann,
        example(server, "dice.py") as dice,
    ):
        server.wait_for("dice joined")
        for text in ("hello", "!roll", "!roll 2d0", "!roll 100d6", "say !roll 2d6", "!roll 2d6"):
            ann.send(frame("ann", text))
        said = ann.receive()
        answer = re.fullmatch(rb"ann rolls (\d+): \[(\d), (\d)\]", said[64:].rstrip(b"\0"))
        assert answer is not None
        total, *rolled = map(int, answer.groups())
        assert total == sum(rolled)
        assert all(1 <= number <= 6 for number in rolled)
        server.interrupt()
        assert dice.wait() == 1
        assert dice.stderr == "dice: the server closed the connection\n"


def test_the_dice_say_why_they_are_not_let_in() -> None:
    with Server() as server, example(server, "dice.py", key="wrong") as dice:
        assert dice.wait() == 1
        assert dice.stderr.startswith("dice: ")
        assert dice.stderr.count("\n") == 1
