"""One attempt at one check, in a process of its own: what it leaves behind goes with it."""

import json
import os
import select
import signal
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path

import trio

from sopchat_grader.check import Check
from sopchat_grader.containment import Containment, Limits, remove
from sopchat_grader.failure import CannotAssess, Failed
from sopchat_grader.forking import fork
from sopchat_grader.printable import printable
from sopchat_grader.result import Evidence, Outcome
from sopchat_grader.transcript import hex_dump
from sopchat_grader.trial import Setting, Trial

# Seconds that one attempt may take, on a quiet machine.
ATTEMPT = 60.0

# Seconds that a worker may take to end all it started.
_END = 15.0


class Worker:
    """A forked process that makes one attempt; its outcome comes through a pipe."""

    def __init__(
        self,
        check: Check,
        kind: type[Trial],
        setting: Setting,
        *,
        namespaces: bool,
        limits: Limits,
        environment: Mapping[str, str],
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sop-chat-grade-"))
        self.pipe, writing = os.pipe()

        def work() -> None:
            os.close(self.pipe)
            os.setsid()
            try:
                outcome = _contained_attempt(
                    check, kind, setting, self.folder, namespaces, limits, environment
                )
            except BaseException as error:  # a fault of ours: it is told, and the others go on
                place = traceback.extract_tb(error.__traceback__)[-1]
                because = f"{error!r} in {Path(place.filename).name}, line {place.lineno}"
                outcome = Outcome("error", because=printable(because))
            with open(writing, "w") as pipe:
                json.dump(outcome.to_json(), pipe)

        self.pid = fork(work)
        os.close(writing)

    def outcome(self) -> Outcome:
        """What came out, once the pipe is readable."""
        with open(self.pipe) as pipe:
            said = pipe.read()
        self._bury()
        try:
            return Outcome.from_json(json.loads(said))
        except ValueError:
            return Outcome("error", because="the grader's own process for this check failed")

    def end(self) -> None:
        """Give it up."""
        os.kill(self.pid, signal.SIGTERM)
        os.close(self.pipe)
        self._bury()

    def _bury(self) -> None:
        """Wait for its end: it has told its outcome, or was told to end."""
        process = os.pidfd_open(self.pid)
        if not select.select([process], [], [], _END)[0]:
            os.kill(self.pid, signal.SIGKILL)
        os.close(process)
        os.waitpid(self.pid, 0)
        remove(self.folder)


def _contained_attempt(
    check: Check,
    kind: type[Trial],
    setting: Setting,
    folder: Path,
    namespaces: bool,
    limits: Limits,
    environment: Mapping[str, str],
) -> Outcome:
    start_in = folder / "work"
    start_in.mkdir()
    containment = Containment(
        folder,
        start_in=start_in,
        namespaces=namespaces,
        limits=limits,
        environment=environment,
    )
    try:
        return attempt(check, kind, setting, containment)
    finally:
        containment.end()


def attempt(check: Check, kind: type[Trial], setting: Setting, containment: Containment) -> Outcome:
    """Make the check once, and say what was seen."""
    trials: list[Trial] = []
    try:
        trio.run(_run, check, kind, setting, containment, trials)
    except BaseExceptionGroup as group:
        return _outcome(_first(group), trials)
    except (Failed, CannotAssess) as why:
        return _outcome(why, trials)
    return Outcome("passed")


async def _run(
    check: Check,
    kind: type[Trial],
    setting: Setting,
    containment: Containment,
    trials: list[Trial],
) -> None:
    limit = ATTEMPT * setting.scale
    with trio.move_on_after(limit) as whole:
        async with trio.open_nursery() as nursery:
            trial = kind(setting, containment, nursery)
            trials.append(trial)
            await check.run(trial)
            nursery.cancel_scope.cancel()
    if whole.cancelled_caught:
        raise Failed(check.seen, f"the check was not over after {limit:.0f} s")


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Of what went wrong at once: a fault of ours before one of theirs."""
    leaves = _leaves(group)
    return next((one for one in leaves if not isinstance(one, Failed)), leaves[0])


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for one in group.exceptions:
        found += _leaves(one) if isinstance(one, BaseExceptionGroup) else [one]
    return found


def _outcome(why: BaseException, trials: list[Trial]) -> Outcome:
    if isinstance(why, CannotAssess):
        return Outcome("not_assessed", because=why.because)
    if not isinstance(why, Failed):
        raise why
    difference = () if why.difference is None else tuple(hex_dump(why.difference))
    (trial,) = trials
    evidence = Evidence(transcript=tuple(trial.transcript.lines()), difference=difference)
    if trial.has_program:
        console, ending = trial.program.console.tail(), trial.program.ending
        evidence = Evidence(evidence.transcript, difference, console, ending)
    return Outcome("failed", printable(why.expected), printable(why.seen), evidence=evidence)
