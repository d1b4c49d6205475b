"""What Linux tells about processes and sockets without touching them: /proc (see proc(5))."""

import contextlib
import os
import socket
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LISTENING = "0A"  # TCP_LISTEN in /proc/net/tcp


@attrs.frozen
class TcpSocket:
    """A line of /proc/net/tcp or tcp6."""

    port: int
    peer_port: int
    listening: bool
    inode: str


def tcp_sockets() -> Iterator[TcpSocket]:
    """All TCP sockets of this network namespace."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
            for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]:
                fields = line.split()
                port, peer_port = (int(field.rpartition(":")[2], 16) for field in fields[1:3])
                yield TcpSocket(port, peer_port, fields[3] == _LISTENING, fields[9])


def is_port_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def largest_send_buffer() -> int:
    """The bytes to which the kernel lets a socket's send buffer grow: tcp(7), tcp_wmem."""
    return int(Path("/proc/sys/net/ipv4/tcp_wmem").read_text().split()[2])


def children(pid: int) -> list[int]:
    """The children of a process, those of all its threads, zombies too."""
    found: list[int] = []
    with contextlib.suppress(OSError):  # it ended
        for thread in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (thread / "children").read_text().split())
    return found


def descendants(pid: int, most: int) -> list[int]:
    """The children of a process, their children and so on; the search ends with `most`."""
    found = children(pid)
    for each in found:  # it grows meanwhile
        if len(found) >= most:
            break
        found += children(each)
    return found


def is_alive(pid: int) -> bool:
    """Whether the process runs: it exists and is no zombie."""
    return _stat(pid)[0] not in ("Z", "X")


def processor_time(pids: Iterable[int]) -> float:
    """Seconds of processor time that the processes and the children they waited for used."""
    return sum(sum(map(int, _stat(pid)[11:15])) for pid in pids) / _TICKS


def memory(pids: Iterable[int]) -> int:
    """Bytes of memory that the processes occupy."""
    return sum(int(_stat(pid)[21]) for pid in pids) * _PAGE


def descriptors(pid: int) -> dict[int, str]:
    """The open descriptors of a process, and what each is: `socket:[12345]`, a path, ..."""
    found: dict[int, str] = {}
    with contextlib.suppress(OSError):  # it ended, or it is not ours
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):  # closed meanwhile
                found[int(entry.name)] = str(entry.readlink())
    return found


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third, the state, on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["X", *["0"] * 49]  # it ended
