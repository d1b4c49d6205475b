"""The real server with all its doors, and what it has open."""

import contextlib
import resource
import select
import socket
import subprocess

import attrs

from tests.support.clients import PATIENCE
from tests.support.programs import Server, eventually, reserved_port


@attrs.frozen
class Belongings:
    """What a server has open."""

    descriptors: int
    threads: int
    # Members, as the talk door tells them; the one who asks is not counted.
    members: int


class Room(Server):
    """`sop-chat` with a frame, a line and a talk door; messages are not shown unless wanted."""

    def __init__(
        self,
        *options: str,
        members: int = 4,
        shown: bool = False,
        env: dict[str, str] | None = None,
        stdout: int = subprocess.PIPE,
    ) -> None:
        with contextlib.ExitStack() as doors:
            self.line = doors.enter_context(reserved_port())
            self.talk = doors.enter_context(reserved_port())
            quiet = () if shown else ("--quiet",)
            ports = ("--line", str(self.line), "--talk", str(self.talk))
            limit = ("--max-clients", str(members))
            super().__init__(*ports, *limit, *quiet, *options, env=env, stdout=stdout)
            self._doors = doors.pop_all()

    def __exit__(self, *exception: object) -> None:
        with self._doors:
            super().__exit__(*exception)

    def port_of(self, door: str) -> int:
        """The port of the door `frame`, `line` or `talk`."""
        return self.port if door == "frame" else int(getattr(self, door))

    def belongings(self) -> Belongings:
        """What is open now. Asks at the talk door, where a place must be free."""
        asker, answer = join_talk(self.talk, b"asker")
        with asker:
            # A line each; before them may stand what others have just said, in any form.
            lines = answer.partition(b" clients connected.\n")[2]
            # What the asker has open itself does not count.
            members = lines.count(b" connected from ") - 1
            return Belongings(self.descriptors() - 1, self.status("Threads"), members)

    def returns_to(self, before: Belongings) -> None:
        """Wait until nothing is open but what was open before."""

        def returned() -> bool:
            now = self.belongings()
            return now.descriptors <= before.descriptors and now.members == before.members

        eventually(returned, f"more is open than {before}")


def allow_descriptors(count: int) -> None:
    """Let this process open so many descriptors, if the system lets it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert most == resource.RLIM_INFINITY or most >= count, f"{count} descriptors are too many here"
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def join_talk(port: int, name: bytes) -> tuple[socket.socket, bytes]:
    """A member at the talk door, and the answer to its question who is there.

    The protocol has no welcome, and what follows the key too soon counts as a part of it: then it
    is tried again, more slowly.
    """
    for attempt in range(1, 10):
        connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        heard = connection.recv(64)
        connection.sendall(name + b" says: key\n")
        select.select([connection], [], [], 0.02 * attempt)
        connection.sendall(b"/who:\n")
        while more := connection.recv(65536):
            heard += more
            if name + b" connected from" in heard and heard.endswith(b"\n"):
                return connection, heard
            if b"You are disconnected" in heard:
                break
        connection.close()
    raise AssertionError(f"{name!r} cannot join: {heard!r}")
