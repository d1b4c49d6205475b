"""What the server commands share: running until a signal, and the console on standard output."""

import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVarTuple

import trio

from sopchat.console import Console

Arguments = TypeVarTuple("Arguments")


def run_until_signal(
    console: Console,
    program: Callable[[*Arguments], Awaitable[None]],
    *arguments: *Arguments,
) -> int:
    """Run the program until it ends, or SIGINT or SIGTERM cancels it; give the exit status, 0.

    The console runs meanwhile, and outlives the program to show how it ended.
    """

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()
            await nursery.start(_cancel_on_signal, scope)
            async with console.running():
                with scope:
                    await program(*arguments)
            nursery.cancel_scope.cancel()

    try:
        trio.run(run)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # nothing is left to be interrupted
    except* KeyboardInterrupt:
        pass  # it came just before or after the time of the signal receiver
    return 0


async def _cancel_on_signal(
    scope: trio.CancelScope, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            scope.cancel()


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
