"""A small service manager: it holds listening sockets, starts a command with them, and listens.

It does what systemd does with a unit of Type=notify and its sockets.
"""

import fcntl
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.support.clients import PATIENCE
from tests.support.programs import Program

# Sockets are copied up here first, so that none stands where another one is to go.
_HIGH = 100

# Takes the sockets' place and number among the descriptors, and becomes the command.
_LAUNCHER = """
import os, sys
held, command = sys.argv[1], sys.argv[2:]
for place, descriptor in enumerate(map(int, filter(None, held.split(","))), 3):
    os.dup2(descriptor, place)
    os.close(descriptor)
os.environ["LISTEN_PID"] = os.environ["WATCHDOG_PID"] = str(os.getpid())
os.execvp(command[0], command)
"""


class Supervisor:
    """Runs a command as a service; its sockets stay open from one run to the next."""

    def __init__(
        self,
        *command: str,
        sockets: Sequence[tuple[str, socket.socket]] = (),
        watchdog: float | None = None,
        env: dict[str, str] | None = None,
    ) -> None:
        """Take over the sockets, each with the name it is handed over by; `watchdog` in seconds."""
        self._command = command
        self._env = env or {}
        self._sockets = sockets
        self._watchdog = watchdog
        self._folder = tempfile.TemporaryDirectory()
        path = str(Path(self._folder.name) / "notify")
        self._notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notifications.bind(path)
        self._notifications.settimeout(PATIENCE)
        self._address = path
        # Every line that was notified, of all runs, as it came.
        self.heard: list[str] = []
        self.program: Program | None = None

    def start(self) -> Program:
        """Start the command, and wait until it is ready."""
        program = self.launch()
        self.wait_for("READY=1")
        return program

    def launch(self) -> Program:
        """Start the command."""
        held = [fcntl.fcntl(one, fcntl.F_DUPFD_CLOEXEC, _HIGH) for _, one in self._sockets]
        env = {**self._env, "NOTIFY_SOCKET": self._address}
        if held:
            env["LISTEN_FDS"] = str(len(held))
            env["LISTEN_FDNAMES"] = ":".join(name for name, _ in self._sockets)
        if self._watchdog is not None:
            env["WATCHDOG_USEC"] = str(int(self._watchdog * 1e6))
        launcher = (sys.executable, "-ISc", _LAUNCHER, ",".join(map(str, held)))
        try:
            self.program = Program(*launcher, *self._command, env=env, pass_fds=held)
        finally:
            for descriptor in held:
                os.close(descriptor)
        return self.program

    def wait_for(self, line: str) -> None:
        """Wait until the service notifies that; what came before now does not count."""
        while True:
            try:
                lines = self._notifications.recv(4096).decode().splitlines()
            except TimeoutError:
                errors = self.program.stderr if self.program else ""
                raise AssertionError(f"no {line} among {self.heard}, {errors!r}") from None
            self.heard += lines
            if line in lines:
                return

    def reload(self) -> None:
        """Have it read its settings anew, and wait until it has."""
        assert self.program is not None
        self.program.process.send_signal(signal.SIGHUP)
        self.wait_for("RELOADING=1")
        self.wait_for("READY=1")

    def stop(self) -> None:
        """End it as systemd does, and wait; its sockets stay open."""
        assert self.program is not None
        self.program.process.terminate()
        status = self.program.wait()
        assert status == 0, f"status {status}: {self.program.stderr}"
        self._close_program()

    def restart(self) -> Program:
        """Stop it and start it again."""
        self.stop()
        return self.start()

    def _close_program(self) -> None:
        if self.program is not None:
            self.program.__exit__()
            self.program = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._close_program()
        self._notifications.close()
        for _, one in self._sockets:
            one.close()
        self._folder.cleanup()
