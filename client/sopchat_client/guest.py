"""Trio as the guest of an asyncio loop: how a chat lives beside a terminal interface.

Textual and prompt_toolkit run on asyncio, the chat on Trio. Both run in one thread, turn by turn,
so that neither needs a lock to touch what belongs to the other.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

import trio

if TYPE_CHECKING:
    import outcome

Result = TypeVar("Result")


async def hosted(main: Callable[[], Awaitable[Result]]) -> Result:
    """Run `main` on Trio inside the running asyncio loop, and give its result.

    Cancelled, it cancels `main` and waits for its end.
    """
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[outcome.Outcome[Result | None]] = loop.create_future()
    scope = trio.CancelScope()
    token: trio.lowlevel.TrioToken | None = None

    async def inside() -> Result | None:
        nonlocal token
        token = trio.lowlevel.current_trio_token()
        with scope:
            return await main()
        return None

    trio.lowlevel.start_guest_run(
        inside,
        run_sync_soon_threadsafe=loop.call_soon_threadsafe,
        run_sync_soon_not_threadsafe=loop.call_soon,
        done_callback=ended.set_result,
        host_uses_signal_set_wakeup_fd=True,
    )
    cancelled: asyncio.CancelledError | None = None
    while not ended.done():
        try:
            await asyncio.wait([ended])
        except asyncio.CancelledError as error:  # perhaps not the first
            cancelled = error
            if token is None:  # it has not begun
                scope.cancel()
            else:
                token.run_sync_soon(scope.cancel)
    result = ended.result().unwrap()
    if cancelled is not None:
        raise cancelled
    return result  # type: ignore[return-value]  # None stands for a cancellation only
