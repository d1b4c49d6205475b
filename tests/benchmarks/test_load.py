"""The C programs of the benchmark: clients and a server in another language."""

import subprocess
from pathlib import Path

import pytest

from tests.support.clients import Client
from tests.support.frames import frame, frames
from tests.support.programs import (
    Program,
    Server,
    require_tool,
    reserved_port,
    wait_until_listening,
)

SOURCES = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the compiled programs."""
    gcc = require_tool("gcc")
    folder = tmp_path_factory.mktemp("build")
    for source in SOURCES.glob("*.c"):
        warnings = ["-Wall", "-Wextra", "-Werror", "-Wno-format-truncation"]
        command = [gcc, "-O2", *warnings, "-o", str(folder / source.stem), str(source)]
        subprocess.run(command, check=True, timeout=50)
    return folder


def load(build: Path, *arguments: object) -> list[float]:
    command = [str(build / "load"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    return [float(number) for number in done.stdout.split()]


@pytest.mark.sentence("W6", "A5")
def test_members_written_in_c_flood_one_another_and_every_frame_is_right(build: Path) -> None:
    with Server() as server:
        delivered, _ = load(build, server.port, "key", "flood", 4, 4, 5000)
        assert delivered == 3 * 4 * 5000
        server.interrupt()
        assert server.wait() == 0
        lines = server.stdout.splitlines()
        for member in range(4):
            shown = [line for line in lines if line.startswith(f"member000{member}: No. ")]
            assert [int(line.split()[2].rstrip(",")) for line in shown] == list(range(5000))


def test_one_frame_in_flight_reaches_a_hundred_members(build: Path) -> None:
    with Server("--max-clients", "101") as server:
        p50, p99 = load(build, server.port, "key", "ping", 101, 20)
        assert 0 < p50 <= p99


def test_a_frame_that_was_not_sent_so_is_found_out(build: Path) -> None:
    """What the figures rest on: the load generator ends when one frame is wrong."""
    with Server() as server, Client.join(server.port, "impostor") as impostor:
        command = [str(build / "load"), str(server.port), "key", "ping", "2", "100000000"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            server.wait_for("(3/4)")
            impostor.send(frame("member0000", "No. 999999999, and this is not what was said."))
            assert process.wait(50) == 1
            assert process.stderr is not None
            assert b"lost, doubled, harmed or out of order" in process.stderr.read()


def test_the_plain_server_is_a_correct_peer(build: Path) -> None:
    with reserved_port() as port, Program(str(build / "plain_server"), str(port), "key"):
        wait_until_listening(port)
        with Client.join(port, "ann") as ann, Client.join(port, "bob") as bob:
            ann.send(*frames("ann", 10))
            assert bob.receive_many(10) == frames("ann", 10)
        with Client(port) as eve:
            eve.send(frame("eve", "keys"))
            assert eve.rest() == b""
