"""Connections that have not authenticated: bounded in number and in time."""

import contextlib
from collections.abc import Iterator

import attrs
import trio


@attrs.define(eq=False)
class Pending:
    """At most `limit` connections; when one more comes, the oldest is cancelled."""

    limit: int
    # In the order in which they came; the values say nothing.
    _scopes: dict[trio.CancelScope, None] = attrs.field(factory=dict, init=False)

    def __len__(self) -> int:
        """Connections that have not authenticated yet."""
        return len(self._scopes)

    @contextlib.contextmanager
    def entry(self, timeout: float) -> Iterator[trio.CancelScope]:
        """Be pending inside the block, which is cancelled after `timeout` seconds.

        Cancelled before its deadline, the connection made room for a newer one.
        """
        if len(self._scopes) >= self.limit:
            oldest = next(iter(self._scopes))
            del self._scopes[oldest]
            oldest.cancel()
        with trio.move_on_after(timeout) as scope:
            self._scopes[scope] = None
            try:
                yield scope
            finally:
                self._scopes.pop(scope, None)
