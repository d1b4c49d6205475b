"""The C programs of the benchmark: clients and servers in another language."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.peers import HERE, compile_c
from tests.support.clients import Client
from tests.support.frames import frame, frames
from tests.support.programs import (
    Program,
    Server,
    require_tool,
    reserved_port,
    wait_until_listening,
)


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the compiled programs."""
    require_tool("gcc")
    folder = tmp_path_factory.mktemp("build")
    compile_c(folder / "load", *sorted((HERE / "load").glob("*.c")))
    for name in ("plain_server", "fast_relay"):
        compile_c(folder / name, HERE / "peers" / f"{name}.c")
    return folder


def load(build: Path, room: object, *arguments: object) -> dict[str, float]:
    command = [str(part) for part in (build / "load", room, "key", *arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 0, done.stderr
    words = done.stdout.split()
    return dict(zip(words[::2], map(float, words[1::2]), strict=True))


@pytest.mark.sentence("W6", "A5")
def test_members_written_in_c_flood_one_another_and_every_frame_is_right(build: Path) -> None:
    with Server() as server:
        figures = load(build, f"frame:{server.port}", "flood", 4, 4, 0.02)
        server.interrupt()
        assert server.wait() == 0
        lines = server.stdout.splitlines()
        shown = 0
        for member in range(4):
            said = [line for line in lines if line.startswith(f"member000{member}: No. ")]
            assert [int(line.split()[2].rstrip(",")) for line in said] == list(range(len(said)))
            shown += len(said)
        assert 3 * shown == figures["delivered"] > 0


def test_clients_of_all_doors_flood_one_another_and_every_message_is_right(build: Path) -> None:
    with (
        reserved_port() as line,
        reserved_port() as talk,
        Server("--line", str(line), "--talk", str(talk)) as server,
    ):
        room = f"frame:{server.port},frame:{server.port},line:{line},talk:{talk}"
        assert load(build, room, "flood", 4, 3, 0.2)["delivered"] > 0


def test_one_frame_in_flight_reaches_a_hundred_members(build: Path) -> None:
    with Server("--max-clients", "101") as server:
        figures = load(build, f"frame:{server.port}", "ping", 101, 20)
        assert 0 < figures["p50"] <= figures["p99"]


def test_a_room_of_fifty_talks_and_everybody_hears_everything(build: Path) -> None:
    with Server("--max-clients", "50") as server:
        figures = load(build, f"frame:{server.port}", "talk", 50, 10, 0.5)
        assert 0 < figures["p50"] <= figures["p99"]


def test_joins_are_counted(build: Path) -> None:
    with Server("--max-clients", "100") as server:
        assert load(build, f"frame:{server.port}", "join", 100, 32)["joins"] == 100


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        (
            frame("member0000", "No. 999999999, and this is not what was said."),
            rb"loses, doubles|its own frames",
        ),
        (frame("nobody0999", "not of this room"), rb"mixes frames"),
    ],
)
def test_a_frame_that_was_not_sent_so_is_found_out(
    build: Path, said: bytes, complaint: bytes
) -> None:
    """What the figures rest on: the load generator ends when one frame is wrong."""
    with Server() as server, Client.join(server.port, "impostor") as impostor:
        command = [str(build / "load"), f"frame:{server.port}", "key", "ping", "2", "100000000"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            server.wait_for("(3/4)")
            impostor.send(said)
            assert process.wait(50) == 2
            assert process.stderr is not None
            assert re.search(complaint, process.stderr.read())


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["frame:9", "key", "dance", "4"], "no such workload"),
        (["frame:9", "key", "ping", "1", "5"], "2 to 8192 members"),
        (["smoke:9", "key", "ping", "4", "5"], "no such dialect"),
        (["9", "key", "ping", "4", "5"], "DIALECT:PORT"),
        (["frame:9", "key", "ping", "4", "0"], "at least 1"),
        (["frame:9", "key", "flood", "4", "5", "1"], "no more SENDERS"),
        (["frame:9", "key", "talk", "4", "5", "0.1"], "nothing to say"),
    ],
)
def test_wrong_use_of_the_load_generator_is_told(
    build: Path, arguments: list[str], complaint: str
) -> None:
    command = [str(build / "load"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert (done.returncode, complaint in done.stderr) == (1, True)


@pytest.mark.parametrize("peer", ["plain_server", "fast_relay", "asyncio"])
def test_the_servers_built_for_comparison_are_correct_peers(build: Path, peer: str) -> None:
    command = [str(build / peer)]
    if peer == "asyncio":
        command = [sys.executable, str(HERE / "peers" / "asyncio_server.py"), "asyncio"]
    with reserved_port() as port, Program(*command, str(port), "key"):
        wait_until_listening(port)
        with Client.join(port, "ann") as ann, Client.join(port, "bob") as bob:
            ann.send(*frames("ann", 10))
            assert bob.receive_many(10) == frames("ann", 10)
        with Client(port) as eve:
            eve.send(frame("eve", "keys"))
            assert eve.rest() == b""
        assert load(build, f"frame:{port}", "flood", 4, 4, 0.1)["delivered"] > 0
