"""What the server commands share: running until a signal, and the console on standard output."""

import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVarTuple

import trio

from sopchat.console import Console

_NO_OTHERS: Mapping[signal.Signals, Callable[[], None]] = {}

Arguments = TypeVarTuple("Arguments")


def run_until_signal(
    console: Console,
    program: Callable[[*Arguments], Awaitable[None]],
    *arguments: *Arguments,
    stop: Callable[[], None] | None = None,
    others: Mapping[signal.Signals, Callable[[], None]] = _NO_OTHERS,
) -> int:
    """Run the program until it ends, or SIGINT or SIGTERM cancels it; give the exit status, 0.

    With `stop`, the first of these signals calls that, and only the second one cancels; `others`
    says what further signals call. The console runs meanwhile, and outlives the program to show
    how it ended.
    """

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()
            await nursery.start(_heed_signals, scope, stop, others)
            async with console.running():
                with scope:
                    await program(*arguments)
            nursery.cancel_scope.cancel()

    try:
        trio.run(run)
        for number in (signal.SIGINT, signal.SIGTERM, *others):
            signal.signal(number, signal.SIG_IGN)  # nothing is left to be interrupted
    except* KeyboardInterrupt:
        pass  # it came just before or after the time of the signal receiver
    return 0


async def _heed_signals(
    scope: trio.CancelScope,
    stop: Callable[[], None] | None,
    others: Mapping[signal.Signals, Callable[[], None]],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    had_terminal = _has_terminal()
    # As nohup leaves it: then the end of the terminal is none of the server's.
    outlives = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, *others) as signals:
        task_status.started()
        async for number in signals:
            # A terminal that is closed sends the signal that otherwise asks for a reload.
            closed = number == signal.SIGHUP and _has_terminal() != had_terminal
            if closed and outlives:
                continue
            if number in others and not closed:
                others[signal.Signals(number)]()
            elif stop is not None:
                stop()
                stop = None
            else:
                scope.cancel()


def _has_terminal() -> bool:
    """Whether the process has a controlling terminal: none is left where one was closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def console_on_stdout(
    *, silent: bool = False, show_messages: bool = True, show_keys: bool = True
) -> Console:
    """The console on standard output, if there is one and it is not to be silent."""
    if sys.stdout is None or silent:
        return Console(None)
    output = sys.stdout.fileno()
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return Console(
        output,
        encoding=sys.stdout.encoding,
        colour=os.isatty(output) and not plain,
        show_messages=show_messages,
        show_keys=show_keys,
    )
