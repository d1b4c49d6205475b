"""Forking without surprises: a signal between two lines must not lose or double a process."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator

_HELD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Signals that end us wait. Python would raise in the middle of a fork, and forget it there."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def fork(work: Callable[[], None]) -> int:
    """Call in a child process, which ends with status 0, or 1 after an exception. Its id.

    The child is not interrupted from a keyboard: whoever forked it is, and ends it.
    """
    with signals_held():
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                for number in _HELD[1:]:
                    signal.signal(number, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _HELD)
                work()
                status = 0
            finally:
                os._exit(status)
    return pid


def succeeds(work: Callable[[], None]) -> bool:
    """Whether something can be done, tried by a child."""
    return os.waitpid(fork(work), 0)[1] == 0
