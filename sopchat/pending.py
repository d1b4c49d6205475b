"""Connections that have not authenticated: bounded in number and in time."""

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

    def enter(self, timeout: float) -> trio.CancelScope:
        """One more has come: the scope in which it authenticates, within `timeout` seconds.

        Cancelled before its deadline, it made room for a newer one. It calls `leave` in the end.
        """
        if len(self._scopes) >= self.limit:
            oldest = next(iter(self._scopes))
            del self._scopes[oldest]
            oldest.cancel()
        scope = trio.CancelScope(deadline=trio.current_time() + timeout)
        self._scopes[scope] = None
        return scope

    def leave(self, scope: trio.CancelScope) -> None:
        """It has authenticated, or never will."""
        self._scopes.pop(scope, None)
