"""Connections that have not authenticated: bounded in number and in time."""

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
    _addresses: dict[trio.CancelScope, str] = attrs.field(factory=dict, init=False)
    # By address, in the order in which they came; the innermost values say nothing.
    _scopes: dict[str, dict[trio.CancelScope, None]] = attrs.field(factory=dict, init=False)

    def __len__(self) -> int:
        """Connections that have not authenticated yet."""
        return len(self._addresses)

    def enter(self, timeout: float, address: str = "") -> trio.CancelScope:
        """One more has come: the scope in which it authenticates, within `timeout` seconds.

        Cancelled before its deadline, it made room for a newer one. It calls `leave` in the end.
        """
        while len(self._addresses) >= self.limit:
            crowd = max(self._scopes.values(), key=len)
            oldest = next(iter(crowd))
            self.leave(oldest)
            oldest.cancel()
        scope = trio.CancelScope(deadline=trio.current_time() + timeout)
        self._addresses[scope] = address
        self._scopes.setdefault(address, {})[scope] = None
        return scope

    def leave(self, scope: trio.CancelScope) -> None:
        """It has authenticated, or never will."""
        address = self._addresses.pop(scope, None)
        if address is not None:
            scopes = self._scopes[address]
            del scopes[scope]
            if not scopes:
                del self._scopes[address]

    def close(self) -> None:
        """Cancel them all: the server is stopping."""
        self.closed = True
        for scope in self._addresses:
            scope.cancel()
        self._addresses.clear()
        self._scopes.clear()
