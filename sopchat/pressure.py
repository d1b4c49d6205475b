"""Back-pressure: readers wait while any outbox stands over its mark.

TCP then slows the senders down, and nothing is lost.
"""

import attrs
import trio


@attrs.define(eq=False)
class Pressure:
    """Counts the outboxes over their mark."""

    _over: int = attrs.field(default=0, init=False)
    _relieved: trio.Event = attrs.field(factory=trio.Event, init=False)

    def __bool__(self) -> bool:
        """True while readers have to wait."""
        return self._over > 0

    def rise(self) -> None:
        """One more outbox is over its mark."""
        self._over += 1

    def fall(self) -> None:
        """One outbox less is over its mark; the last one lets the readers go on."""
        self._over -= 1
        if not self._over:
            self._relieved.set()
            self._relieved = trio.Event()

    async def relief(self) -> None:
        """Return when no outbox is over its mark: at once, without a checkpoint, if none is."""
        while self._over:
            await self._relieved.wait()
