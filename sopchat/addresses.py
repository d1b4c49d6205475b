"""What the clients of one address do together: connections, and wrong keys."""

import attrs
import trio

from sopchat import limits
from sopchat.departure import Departure, Reason
from sopchat.limits import Limits


@attrs.define
class _Guesses:
    """The wrong keys of one address."""

    count: int = 0
    last: float = 0.0


@attrs.define(eq=False)
class Addresses:
    """Counts connections and wrong keys by address, and says who is refused.

    A room with a key that fits forgives what was wrong before it.
    """

    limits: Limits
    _connections: dict[str, int] = attrs.field(factory=dict, init=False)
    # In the order of the last wrong key.
    _guesses: dict[str, _Guesses] = attrs.field(factory=dict, init=False)

    def refusal(self, address: str) -> Departure | None:
        """Why a connection from there is not taken; None if it is."""
        most = self.limits.max_per_address
        if most and self._connections.get(address, 0) >= most:
            return Departure(Reason.ADDRESS_FULL, f"{most} at most")
        guesses = self._guesses.get(address)
        if guesses and guesses.count >= (self.limits.max_wrong_keys or guesses.count + 1):
            left = guesses.last + limits.REFUSAL - trio.current_time()
            if left > 0:
                return Departure(Reason.REFUSED, f"{guesses.count}, for {left:.0f} s more")
            del self._guesses[address]
        return None

    def enter(self, address: str) -> None:
        """One more connection from there."""
        self._connections[address] = self._connections.get(address, 0) + 1

    def leave(self, address: str) -> None:
        """One less."""
        self._connections[address] -= 1
        if not self._connections[address]:
            del self._connections[address]

    def wrong_key(self, address: str) -> float:
        """A wrong key came from there: the seconds after which it is to be answered."""
        now = trio.current_time()
        guesses = self._guesses.pop(address, None)
        if guesses is None or now - guesses.last > limits.REFUSAL:
            guesses = _Guesses()
        guesses.count += 1
        guesses.last = now
        self._guesses[address] = guesses
        if len(self._guesses) > limits.MOST_ADDRESSES:
            del self._guesses[next(iter(self._guesses))]
        if not self.limits.max_wrong_keys or guesses.count <= limits.WRONG_KEYS_FREE:
            return 0.0
        doublings = min(guesses.count - limits.WRONG_KEYS_FREE - 1, 10)
        return min(limits.WRONG_KEY_DELAY * 2.0**doublings, limits.WRONG_KEY_MOST_DELAY)

    def right_key(self, address: str) -> None:
        """The key came from there."""
        self._guesses.pop(address, None)
