"""What a program under test may use and touch, and that nothing of it is left behind.

Where Linux permits, it gets namespaces of its own (namespaces(7)): a network that holds nothing
but its loopback, a process table that the kernel empties with one signal, a file system on which
only its folder can be written. Where it does not, the programs' orphans come back to us
(PR_SET_CHILD_SUBREAPER in prctl(2)) and are ended one by one. Limits hold either way. None of it
is a sandbox for hostile code: what it holds off is accidents.
"""

import contextlib
import ctypes
import fcntl
import os
import resource
import shutil
import signal
import socket
import struct
import tempfile
import termios
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import attrs

from sopchat_grader.forking import fork, succeeds
from sopchat_grader.processes import children, descendants, is_alive, memory

_CLONE_NEWNS, _CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = (
    0x00020000,
    0x10000000,
    0x20000000,
    0x40000000,
)
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 8, 4096, 16384, 1 << 18
_SYS_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _MOUNT_ATTR_RDONLY = 442, -100, 0x8000, 1
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS = 1, 24, 36, 38
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1

# Seconds after which the hunt for processes that multiply is given up.
_HUNT = 10.0

# Where a child that is to become a program tells that it cannot, what it was doing, and why.
_ERRORS = 3
_Trouble = struct.Struct("ii")
_PREPARING, _EXECUTING = 1, 2

_libc = ctypes.CDLL(None, use_errno=True)


@attrs.frozen
class Limits:
    """What a program may use while one check looks at it."""

    processor_seconds: int = 60
    """A loop for ever ends by itself, should nothing else end it."""
    processes: int = 250
    """Threads count. A Java machine has some thirty, more on large computers."""
    memory: int = 1 << 30
    """Bytes in all its processes together. A limit on addresses would end Go and Java programs."""
    files: int = 256
    """Descriptors of one process. Low enough that a leak shows, more than any check needs."""
    file_size: int = 16 << 20
    """Bytes of one file."""
    output: int = 8 << 20
    """Bytes of console: more than the floods of any check bring."""


def namespaces_work() -> bool:
    """Whether this system lets us have namespaces. Tried by a child, as there is no way back."""
    with tempfile.TemporaryDirectory(prefix="sop-chat-grade-") as folder:
        return succeeds(lambda: _try_namespaces(Path(folder)))


def _try_namespaces(folder: Path) -> None:
    _unshare_all()
    if not succeeds(lambda: _make_private_mounts(folder)):
        raise PermissionError


class Containment:
    """Where the programs of one check live. The calling process enters it for good.

    It must be a process of its own, without threads, whose end is the containment's end. Of all
    folders programs can write to `writable` alone, where also their home is; they start in
    `start_in`.
    """

    def __init__(
        self,
        writable: Path,
        *,
        start_in: Path,
        namespaces: bool,
        limits: Limits,
        environment: Mapping[str, str],
    ) -> None:
        self.folder = start_in
        self._writable = writable
        home = writable / ".home"
        home.mkdir()
        self.limits = limits
        self.isolated = namespaces
        self._environment = {"HOME": str(home), "TMPDIR": str(home), **environment}
        self._init: int | None = None
        self._started: set[int] = set()
        signal.signal(signal.SIGTERM, self._end_on_signal)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if namespaces:
            _unshare_all()
            self._init = fork(_be_init)
        else:
            _prctl(_PR_SET_CHILD_SUBREAPER, 1)

    def start(self, command: Sequence[str], terminal: int, error_terminal: int) -> int:
        """Start a program on a controlling terminal; its process id, which the caller waits for.

        Standard input and output are `terminal`, standard error is `error_terminal`. Raises
        OSError when it cannot be executed, RuntimeError when the fault is on our side.
        """
        reading, writing = os.pipe()
        streams = (terminal, terminal, error_terminal)
        pid = fork(lambda: self._become(command, streams, writing))
        os.close(writing)
        with open(reading, "rb") as pipe:
            trouble = pipe.read()
        if trouble:
            os.waitpid(pid, 0)
            doing, number = _Trouble.unpack(trouble)
            if doing == _PREPARING:
                raise RuntimeError(f"a contained process cannot be made: {os.strerror(number)}")
            raise OSError(number, os.strerror(number))
        self._started.add(pid)
        return pid

    def _become(self, command: Sequence[str], streams: Sequence[int], errors: int) -> None:
        """In the child: turn into the program, or tell why not."""
        try:
            self._prepare(streams, errors)
        except BaseException as error:
            os.write(_ERRORS, _Trouble.pack(_PREPARING, getattr(error, "errno", None) or 0))
            raise
        try:
            os.execvpe(command[0], list(command), self._environment)
        except OSError as error:
            os.write(_ERRORS, _Trouble.pack(_EXECUTING, error.errno))

    def processes(self) -> list[int]:
        """The processes of all programs started here that are alive, orphans too."""
        self._bury_orphans()
        most = self.limits.processes + 1
        found = descendants(os.getpid(), most)
        return [pid for pid in found if pid != self._init and is_alive(pid)]

    def _bury_orphans(self) -> None:
        """Without namespaces orphans become our children, and would stay as zombies."""
        for pid in children(os.getpid()):
            if pid not in self._started and pid != self._init:
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)

    def excess(self) -> str | None:
        """Which limit the programs exceed together, in words; None while they do not."""
        found = self.processes()
        if len(found) > self.limits.processes:
            return f"more than {self.limits.processes} processes"
        occupied = memory(found)
        if occupied > self.limits.memory:
            return f"{occupied >> 20} MiB of memory"
        return None

    def end(self) -> None:
        """Kill everything that was started here, and all it started.

        Raises RuntimeError if that is not possible, which only happens without namespaces.
        """
        if self._init is not None:
            os.kill(self._init, signal.SIGKILL)  # the kernel kills all the others with it
            self._init = None
            with contextlib.suppress(ChildProcessError):  # no child is left
                while True:
                    os.waitpid(-1, 0)
        elif not _hunt():
            raise RuntimeError("a process of the solution could not be ended")

    def _end_on_signal(self, number: int, frame: object) -> None:
        try:
            self.end()
        finally:
            os._exit(128 + number)

    def _prepare(self, streams: Sequence[int], errors: int) -> None:
        """In the child: take the program's place, limits and terminal.

        What is left open is 0, 1, 2, and the pipe for errors, which closes with the execution.
        """
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            with contextlib.suppress(OSError):  # the C library keeps some for itself
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.setsid()
        fcntl.ioctl(streams[0], termios.TIOCSCTTY, 0)
        kept = [fcntl.fcntl(stream, fcntl.F_DUPFD, 10) for stream in (*streams, errors)]
        for place, stream in enumerate(kept):
            os.dup2(stream, place, inheritable=place != _ERRORS)
        os.closerange(_ERRORS + 1, 65536)
        if self.isolated:
            _make_private_mounts(self._writable)
        _drop_privileges()
        self._set_limits()
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.umask(0o022)
        os.chdir(self.folder)

    def _set_limits(self) -> None:
        limits = self.limits
        wanted = {
            resource.RLIMIT_CPU: limits.processor_seconds,
            resource.RLIMIT_NOFILE: limits.files,
            resource.RLIMIT_FSIZE: limits.file_size,
            resource.RLIMIT_CORE: 0,
        }
        if self.isolated:
            # Without a user namespace it would count what else this user runs. Root has no such
            # limit: `excess` counts processes for it.
            wanted[resource.RLIMIT_NPROC] = limits.processes
        for what, most in wanted.items():
            hard = resource.getrlimit(what)[1]
            least = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(what, (least, least))


def remove(folder: Path) -> None:
    """Remove a folder, also where permissions were taken away from what is in it."""
    for path, _, _ in os.walk(folder):
        with contextlib.suppress(OSError):
            Path(path).chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _be_init() -> None:
    """The first process of the namespace: orphans come to it, and all die with it."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    os.closerange(0, 65536)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries them
    while True:
        signal.pause()


def _hunt() -> bool:
    """Kill all descendants, whole process groups at a time: nobody forks out of that unseen."""
    ours = os.getpgrp()
    deadline = time.monotonic() + _HUNT
    while time.monotonic() < deadline:
        for pid in descendants(os.getpid(), most=1 << 20):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                group = os.getpgid(pid)
                if group != ours:
                    os.killpg(group, signal.SIGKILL)
                os.kill(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return True
    return False


def _unshare_all() -> None:
    """New process and network namespaces, with the loopback up.

    Root may have them as it is; for others a new user namespace, in which they are who they
    were, permits it.
    """
    user, group = os.geteuid(), os.getegid()
    _call(_libc.unshare, _CLONE_NEWPID | _CLONE_NEWNET | (_CLONE_NEWUSER if user else 0))
    if user:
        Path("/proc/self/setgroups").write_text("deny")  # else the group cannot be mapped
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    with socket.socket() as any_socket:
        up = struct.pack("16sh22x", b"lo", _IFF_UP)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, up)


def _make_private_mounts(folder: Path) -> None:
    """A file system of which only `folder` and the shared memory can be written."""
    _call(_libc.unshare, _CLONE_NEWNS)
    _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
    _mount(str(folder), str(folder), None, _MS_BIND)
    _set_read_only("/", recursive=True, read_only=True)
    _set_read_only(str(folder), recursive=False, read_only=False)
    with contextlib.suppress(OSError):  # no such folder, no such need
        _mount("shm", "/dev/shm", "tmpfs", _MS_NOSUID | _MS_NODEV, b"size=64m")  # noqa: S108
    with contextlib.suppress(OSError):  # some containers forbid it; the outer one serves as well
        _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)


def _drop_privileges() -> None:
    """Give up what root may do beyond other users; set-user-ID programs get nothing either."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)
    with contextlib.suppress(OSError):  # past the last capability, or there is none to drop
        for capability in range(64):
            _prctl(_PR_CAPBSET_DROP, capability)


def _set_read_only(path: str, *, recursive: bool, read_only: bool) -> None:
    # struct mount_attr of mount_setattr(2): to set, to clear, propagation, user namespace
    attributes = struct.pack(
        "4Q", _MOUNT_ATTR_RDONLY * read_only, _MOUNT_ATTR_RDONLY * (not read_only), 0, 0
    )
    flags = _AT_RECURSIVE * recursive
    _call(
        _libc.syscall,
        _SYS_MOUNT_SETATTR,
        _AT_FDCWD,
        os.fsencode(path),
        flags,
        attributes,
        len(attributes),
    )


def _mount(
    source: str | None, target: str, kind: str | None, flags: int, options: bytes | None = None
) -> None:
    encoded = (None if text is None else os.fsencode(text) for text in (source, target, kind))
    _call(_libc.mount, *encoded, flags, options)


def _prctl(option: int, value: int) -> None:
    _call(_libc.prctl, option, value, 0, 0, 0)


def _call(function: Callable[..., int], *arguments: object) -> None:
    """Call into the C library; OSError where it says -1."""
    if function(*arguments) == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def contained_environment(passed_on: Iterable[str]) -> dict[str, str]:
    """What a program under test finds in its environment: nothing of ours but the PATH.

    `passed_on`: names, whose values are ours, or `NAME=VALUE`.
    """
    found = {
        "PATH": os.environ.get("PATH", os.defpath),
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    for name in passed_on:
        key, given, value = name.partition("=")
        found[key] = value if given else os.environ.get(key, "")
    return found
