"""Compiling a solution: contained as its runs are, with more time and room."""

import json
import os
import selectors
import shutil
import signal
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from sopchat_grader.containment import Containment, Limits, namespaces_work
from sopchat_grader.printable import printable_lines

# What a compiler may use.
_LIMITS = Limits(
    processor_seconds=300, processes=500, memory=4 << 30, files=1024, file_size=1 << 30
)

# Bytes of what a build said that are kept: the first errors matter.
_SAID = 16384


@attrs.frozen
class Build:
    """How a build went."""

    succeeded: bool
    said: str
    """What it printed, or why it was given up."""


def build(
    folder: Path, command: Sequence[str], *, environment: Mapping[str, str], seconds: float
) -> Build:
    """Run a command in a folder that is ours, in which alone it may write."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.setsid()
        status = 1
        try:
            result = _contained_build(folder, command, environment, seconds)
            with open(writing, "w") as pipe:
                json.dump(attrs.asdict(result), pipe)
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    try:
        with open(reading) as pipe:
            return Build(**json.loads(pipe.read()))
    except BaseException:
        os.kill(pid, signal.SIGTERM)
        raise
    finally:
        os.waitpid(pid, 0)


def _contained_build(
    folder: Path, command: Sequence[str], environment: Mapping[str, str], seconds: float
) -> Build:
    containment = Containment(
        folder,
        start_in=folder,
        namespaces=namespaces_work(),
        limits=_LIMITS,
        environment=environment,
    )
    outer, inner = os.openpty()
    try:
        pid = containment.start(command, inner, inner)
    except OSError as error:
        return Build(succeeded=False, said=f"{command[0]}: {error.strerror}")
    finally:
        os.close(inner)
    said = bytearray()
    ending = _follow(pid, outer, said, time.monotonic() + seconds)
    containment.end()
    text = printable_lines(bytes(said[:_SAID]))
    if ending is None:
        return Build(succeeded=False, said=f"{text}\nnot built after {seconds:.0f} s")
    return Build(succeeded=ending == 0, said=text)


def _follow(pid: int, terminal: int, said: bytearray, deadline: float) -> int | None:
    """Collect what it prints until it ends; its exit status, None past the deadline."""
    process = os.pidfd_open(pid)
    with selectors.DefaultSelector() as selector:
        selector.register(process, selectors.EVENT_READ)
        selector.register(terminal, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            ready = {key.fd for key, _ in selector.select(left)}
            if terminal in ready:
                try:
                    said += os.read(terminal, 65536)[: max(0, _SAID - len(said))]
                except OSError:  # EIO: nobody has it open any more
                    selector.unregister(terminal)
            elif process in ready:
                return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return None


def sanitized(sources: Sequence[Path], environment: Mapping[str, str], seconds: float) -> Path:
    """Compile C sources with AddressSanitizer: the program, in a folder to be removed.

    Raises NotCompiled with what the compiler said.
    """
    folder = Path(tempfile.mkdtemp(prefix="sop-chat-grade-"))
    program = folder / "program"
    flags = ["-g", "-O1", "-fsanitize=address", "-fno-omit-frame-pointer", "-pthread"]
    names = [str(source.resolve()) for source in sources]
    result = build(
        folder,
        ["cc", *flags, "-o", str(program), *names],
        environment=environment,
        seconds=seconds,
    )
    if not result.succeeded:
        shutil.rmtree(folder)
        raise NotCompiled(result.said)
    return program


class NotCompiled(Exception):
    """The sources cannot be compiled."""
