"""Listening Unix-domain sockets, and who comes by them."""

import contextlib
import errno
import fcntl
import os
import socket
import stat
import struct
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from sopchat import limits

# Read and written by the one who runs the server, and nobody else.
_FORBIDDEN = 0o177

# How long a server waits for another one that is about to listen in the same directory, and how
# often it looks (seconds).
_LOCK_PATIENCE = 2.0
_LOCK_PAUSE = 0.02


class UnixListener(socket.socket):
    """A listening Unix-domain socket and its file, which goes when the socket is closed."""

    # The file's device and inode, by which it is known to be still ours.
    _file: tuple[int, int] | None = None
    _path: Path

    def __init__(self, path: Path) -> None:
        """Listen there. Raises OSError, with EADDRINUSE if there is such a file already."""
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self.setblocking(False)
        self._path = path.absolute()  # the working directory may change
        try:
            with _private_files():
                self.bind(os.fspath(path))
            self._file = _identity(self._path)
            self.listen(limits.BACKLOG)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Remove the file, unless it is another one by now, and close."""
        if self._file is not None:
            # While the socket is open no other file gets its inode, and nobody takes it for stale.
            with contextlib.suppress(OSError):
                if _identity(self._path) == self._file:
                    self._path.unlink()
            self._file = None
        super().close()


def open_unix_listener(path: Path) -> UnixListener:
    """Listen at a path that this user alone may connect to; closing the socket removes the file.

    A socket that its server left behind is replaced.
    Raises OSError: EADDRINUSE if somebody listens there, ENOTSOCK if something else is there,
    ENAMETOOLONG, EWOULDBLOCK if somebody keeps the directory locked, or what the system says.
    """
    _check_length(path)
    with _alone_in(path.parent):
        try:
            return UnixListener(path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        with contextlib.suppress(FileNotFoundError):  # its server was about to end
            _remove_stale(path)
        return UnixListener(path)


def shown_user(accepted: socket.socket) -> str:
    """Who has connected, as it is shown: `unix:uid 1000, pid 4321`; `unix` if it is not told."""
    if sys.platform != "linux":
        return "unix"
    size = struct.calcsize("iII")
    pid, user, _ = struct.unpack(
        "iII", accepted.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    )
    # A process that is not to be seen from here, in another namespace, has no number.
    return f"unix:uid {user}, pid {pid}" if pid else f"unix:uid {user}"


def _check_length(path: Path) -> None:
    """Raises OSError, with ENAMETOOLONG, if the path does not fit into a socket's address."""
    most = 107 if sys.platform == "linux" else 103
    if len(os.fsencode(path)) > most:
        words = f"a socket's path has at most {most} bytes"
        raise OSError(errno.ENAMETOOLONG, words, os.fspath(path))


@contextlib.contextmanager
def _alone_in(directory: Path) -> Iterator[None]:
    """Nobody else opens a listener in the directory meanwhile.

    Two servers that find the same stale socket, or one that is about to listen, would otherwise
    take it away from each other.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def _lock(directory: int) -> None:
    """Wait a little: another server opens its listener in no time, and anybody may hold a lock.

    Raises OSError, with EWOULDBLOCK.
    """
    end = time.monotonic() + _LOCK_PATIENCE
    while True:
        try:
            return fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise
            time.sleep(_LOCK_PAUSE)


@contextlib.contextmanager
def _private_files() -> Iterator[None]:
    """What is made meanwhile is this user's alone, from its first moment."""
    before = os.umask(_FORBIDDEN)
    try:
        yield
    finally:
        os.umask(before)


def _remove_stale(path: Path) -> None:
    """Remove a socket at which nobody listens.

    Raises OSError: it is used, is no socket, may not be asked, or is gone.
    """
    if not stat.S_ISSOCK(path.lstat().st_mode):
        raise OSError(errno.ENOTSOCK, os.strerror(errno.ENOTSOCK), os.fspath(path))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as visitor:
        visitor.setblocking(False)
        try:
            visitor.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except (FileNotFoundError, PermissionError):
            raise
        except OSError:  # it has too many visitors, or is another kind of socket
            pass
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE), os.fspath(path))


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino
