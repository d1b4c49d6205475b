"""Connections that have not authenticated: bounded in number and in time."""

from collections import Counter

import attrs
import trio


@attrs.define(eq=False)
class Pending:
    """At most `limit` connections; when one more comes, one is cancelled.

    It is the oldest of the address that has the most of them: a crowd from one address pushes out
    itself, and an honest client from another keeps its place.
    """

    limit: int
    # The server is stopping: nobody authenticates any more.
    closed: bool = attrs.field(default=False, init=False)
    # With their addresses, in the order in which they came.
    _scopes: dict[trio.CancelScope, str] = attrs.field(factory=dict, init=False)

    def __len__(self) -> int:
        """Connections that have not authenticated yet."""
        return len(self._scopes)

    def enter(self, timeout: float, address: str = "") -> trio.CancelScope:
        """One more has come: the scope in which it authenticates, within `timeout` seconds.

        Cancelled before its deadline, it made room for a newer one. It calls `leave` in the end.
        """
        while len(self._scopes) >= self.limit:
            counts = Counter(self._scopes.values())
            most = max(counts.values())
            oldest = next(scope for scope in self._scopes if counts[self._scopes[scope]] == most)
            del self._scopes[oldest]
            oldest.cancel()
        scope = trio.CancelScope(deadline=trio.current_time() + timeout)
        self._scopes[scope] = address
        return scope

    def leave(self, scope: trio.CancelScope) -> None:
        """It has authenticated, or never will."""
        self._scopes.pop(scope, None)

    def close(self) -> None:
        """Cancel them all: the server is stopping."""
        self.closed = True
        for scope in self._scopes:
            scope.cancel()
        self._scopes.clear()
