"""Compiling a solution: contained as its runs are, with more time and room."""

import json
import os
import selectors
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from sopchat_grader.containment import Containment, Limits, namespaces_work, remove
from sopchat_grader.forking import fork
from sopchat_grader.printable import printable_lines

# What a compiler may use.
_LIMITS = Limits(
    processor_seconds=300, processes=500, memory=4 << 30, files=1024, file_size=1 << 30
)

# How often the limits are looked at, in seconds.
_GLANCE = 0.05

# Bytes of what a build said that are kept: the first errors matter.
_SAID = 16384


@attrs.frozen
class Build:
    """How a build went."""

    succeeded: bool
    said: str
    """What it printed, or why it was given up."""


def build(
    folder: Path,
    command: Sequence[str],
    *,
    writable: Path,
    environment: Mapping[str, str],
    seconds: float,
) -> Build:
    """Run a command in a folder; it may write below `writable` only, which is ours."""
    namespaces = namespaces_work()
    reading, writing = os.pipe()

    def work() -> None:
        os.close(reading)
        os.setsid()
        containment = Containment(
            writable,
            start_in=folder,
            namespaces=namespaces,
            limits=_LIMITS,
            environment=environment,
        )
        try:
            result = _run(containment, command, seconds)
        finally:
            containment.end()
        with open(writing, "w") as pipe:
            json.dump(attrs.asdict(result), pipe)

    pid = fork(work)
    os.close(writing)
    try:
        with open(reading) as pipe:
            said = pipe.read()
    except BaseException:
        os.kill(pid, signal.SIGTERM)
        raise
    finally:
        os.waitpid(pid, 0)
    return Build(**json.loads(said)) if said else Build(False, "the grader's own process failed")


def _run(containment: Containment, command: Sequence[str], seconds: float) -> Build:
    outer, inner = os.openpty()
    try:
        pid = containment.start(command, inner, inner)
    except OSError as error:
        return Build(succeeded=False, said=f"{command[0]}: {error.strerror}")
    finally:
        os.close(inner)
    said = bytearray()
    trouble = _follow(containment, pid, outer, said, time.monotonic() + seconds)
    text = printable_lines(bytes(said[:_SAID]))
    return Build(succeeded=not trouble, said=f"{text}\n{trouble}".strip())


def _follow(
    containment: Containment, pid: int, terminal: int, said: bytearray, deadline: float
) -> str:
    """Collect what it prints until it ends; what went wrong, if anything."""
    process = os.pidfd_open(pid)
    with selectors.DefaultSelector() as selector:
        selector.register(process, selectors.EVENT_READ)
        selector.register(terminal, selectors.EVENT_READ)
        while time.monotonic() < deadline:
            ready = {key.fd for key, _ in selector.select(_GLANCE)}
            if terminal in ready:
                try:
                    said += os.read(terminal, 65536)[: max(0, _SAID - len(said))]
                except OSError:  # EIO: nobody has it open any more
                    selector.unregister(terminal)
            elif process in ready:
                status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                return f"it ended with status {status}" if status else ""
            excess = containment.excess()
            if excess is not None:
                return f"ended, as it took {excess}"
    return "it had not ended in time"


def sanitized(sources: Sequence[Path], environment: Mapping[str, str], seconds: float) -> Path:
    """Compile C sources with AddressSanitizer: the program, in a folder to be removed.

    Raises NotCompiled with what the compiler said.
    """
    folder = Path(tempfile.mkdtemp(prefix="sop-chat-grade-"))
    program = folder / "program"
    flags = ["-g", "-O1", "-fsanitize=address", "-fno-omit-frame-pointer", "-pthread"]
    names = [str(source.resolve()) for source in sources]
    try:
        result = build(
            folder,
            ["cc", *flags, "-o", str(program), *names],
            writable=folder,
            environment=environment,
            seconds=seconds,
        )
        if not result.succeeded:
            raise NotCompiled(result.said)
    except BaseException:
        remove(folder)
        raise
    return program


class NotCompiled(Exception):
    """The sources cannot be compiled."""
