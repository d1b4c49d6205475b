"""Back-pressure: readers wait while any outbox stands over its mark.

TCP then slows the senders down, and nothing is lost.
"""

import attrs
import trio


@attrs.define(eq=False)
class Pressure:
    """Counts the outboxes over their mark."""

    # How many there are: readers wait while it is not 0. Looked at for every read.
    over: int = attrs.field(default=0, init=False)
    _relieved: trio.Event = attrs.field(factory=trio.Event, init=False)

    def rise(self) -> None:
        """One more outbox is over its mark."""
        self.over += 1

    def fall(self) -> None:
        """One outbox less is over its mark; the last one lets the readers go on."""
        self.over -= 1
        if not self.over:
            self._relieved.set()
            self._relieved = trio.Event()

    async def relief(self) -> None:
        """Wait once, if any outbox is over its mark, until none was: one may be again by now."""
        if self.over:
            await self._relieved.wait()
