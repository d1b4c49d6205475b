"""`sop-chat` under a service manager, and beside a path."""

import os
import socket
import threading
from pathlib import Path

import pytest

from tests.support.clients import PATIENCE, Client
from tests.support.frames import frame
from tests.support.programs import SOP_CHAT, Program, Server
from tests.support.supervisor import Supervisor


def listener() -> socket.socket:
    return socket.create_server(("127.0.0.1", 0), backlog=1000)


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    file = tmp_path / "key"
    file.write_text("key\n")
    return str(file)


def test_with_a_socket_handed_over_no_port_is_needed(key_file: str) -> None:
    frames, lines = listener(), listener()
    sockets = [("frame", frames), ("line", lines)]
    with Supervisor(SOP_CHAT, "--key-file", key_file, sockets=sockets, watchdog=0.3) as manager:
        program = manager.start()
        port = frames.getsockname()[1]
        program.wait_for(f"listening on port {port}, Ctrl-C ends")
        program.wait_for(f"listening on port {lines.getsockname()[1]} for lines")
        with Client.join(port, "ann") as ann, Client.join(port, "bob") as bob:
            ann.send(frame("ann", "hello"))
            assert bob.receive() == frame("ann", "hello")
        for _ in range(3):
            manager.wait_for("WATCHDOG=1")
        manager.reload()
        manager.stop()
        manager.wait_for("STOPPING=1")


def test_a_restart_loses_no_connection_attempt(key_file: str) -> None:
    """Clients come all the time while the server is restarted; each of them is let in."""
    entrance = listener()
    port = entrance.getsockname()[1]
    command = (SOP_CHAT, "--key-file", key_file, "--max-clients", "1000", "--quiet")
    restarted, pause = threading.Event(), threading.Event()
    failures: list[str] = []
    joined: list[str] = []

    def come_and_go(name: str) -> None:
        while not restarted.is_set():
            try:
                with Client(port) as client:
                    client.send(frame(name, "key"))
                    if client.receive() == frame(name, "key"):
                        joined.append(name)
                    else:  # it was accepted by the server that was ending: a member for a moment
                        failures.append("ended")
            except ConnectionRefusedError:
                failures.append("refused")
            except OSError:
                failures.append("ended")

    with Supervisor(*command, sockets=[("frame", entrance)]) as manager:
        manager.start()
        crowd = [threading.Thread(target=come_and_go, args=(f"c{n}",)) for n in range(4)]
        for thread in crowd:
            thread.start()
        for round_ in range(1, 4):
            most = 10 * round_
            while len(joined) < most:
                pause.wait(0.001)
            manager.restart()
        restarted.set()
        for thread in crowd:
            thread.join(PATIENCE)
        assert "refused" not in failures
        assert len(failures) <= 3 * len(crowd)


def test_what_is_handed_over_wrongly_is_told_with_status_1() -> None:
    env = {"LISTEN_FDS": "1", "LISTEN_PID": "many"}
    with Program(SOP_CHAT, "9000", "key", env=env) as program:
        assert program.wait() == 1
        assert "LISTEN_PID is 'many'" in program.stderr


def test_a_path_beside_the_port_leads_into_the_same_room(tmp_path: Path) -> None:
    path = tmp_path / "room"
    with Server("--unix", str(path)) as server, Client.join(server.port, "ann") as ann:
        assert f"listening on {path}, Ctrl-C ends" in server.stdout
        with socket.socket(socket.AF_UNIX) as bob:
            bob.connect(str(path))
            bob.sendall(frame("bob", "key"))
            assert bob.recv(512) == frame("bob", "key")
            server.wait_for(f"unix:uid {os.getuid()}, pid {os.getpid()} offers as bob")
            ann.send(frame("ann", "hello"))
            assert bob.recv(512) == frame("ann", "hello")
        server.interrupt()
        assert server.wait() == 0
        assert not path.exists()


def test_a_path_alone_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "room"
    with Program(SOP_CHAT, "--unix", str(path), env={"SOPCHAT_KEY": "key"}) as program:
        program.wait_for("listening on")
        program.interrupt()
        assert program.wait() == 0


def test_a_path_that_is_taken_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with Program(SOP_CHAT, "--unix", str(tmp_path / "file"), env={"SOPCHAT_KEY": "key"}) as program:
        assert program.wait() == 1
        said = f"sop-chat: cannot listen on {tmp_path}/file: Socket operation on non-socket\n"
        assert program.stderr == said
    assert (tmp_path / "file").read_text() == "mine"


def test_a_stage_has_no_use_for_another_doors_socket(key_file: str) -> None:
    with Supervisor(
        SOP_CHAT, "--key-file", key_file, "--stage", "2", sockets=[("line", listener())]
    ) as manager:
        program = manager.launch()
        assert program.wait() == 1
        assert "a stage has the frame door of its port alone" in program.stderr


def test_what_cannot_be_a_log_leaves_no_socket_behind(tmp_path: Path) -> None:
    path = tmp_path / "room"
    options = ("--unix", str(path), "--log", str(tmp_path))
    with Program(SOP_CHAT, *options, env={"SOPCHAT_KEY": "key"}) as program:
        assert program.wait() == 1
        assert "cannot keep the room log" in program.stderr
    assert not path.exists()
