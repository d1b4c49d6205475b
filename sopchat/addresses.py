"""What the clients of one address do together: connections, and wrong keys."""

import attrs
import trio

from sopchat import limits
from sopchat.departure import Departure, Reason
from sopchat.limits import Limits
from sopchat.rate import Rate


@attrs.define
class _Guesses:
    """The wrong keys of one address."""

    count: int = 0
    last: float = 0.0
    # When the next key from there is looked at.
    next: float = 0.0


@attrs.define(eq=False)
class Addresses:
    """Counts connections and wrong keys by address, and says who is refused.

    A key that fits forgives what was wrong before it.
    """

    limits: Limits
    _connections: dict[str, int] = attrs.field(factory=dict, init=False)
    # In the order of the last wrong key.
    _guesses: dict[str, _Guesses] = attrs.field(factory=dict, init=False)
    # What members that left had said, until they might say a burst again.
    _rates: dict[str, Rate] = attrs.field(factory=dict, init=False)

    def refusal(self, address: str) -> Departure | None:
        """Why a connection from there is not taken; None if it is."""
        most = self.limits.max_per_address
        if most and self._connections.get(address, 0) >= most:
            return Departure(Reason.ADDRESS_FULL, f"{most} at most")
        return self.distrust(address)

    def distrust(self, address: str) -> Departure | None:
        """Why no key from there is looked at for now; None if it is."""
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

    def patience(self, address: str) -> float:
        """Seconds until the key that has just come from there is looked at, right or wrong.

        An answer that came sooner than another would tell which of them it is. Keys that come
        together are looked at one after the other.
        """
        guesses = self._guesses.get(address)
        late = guesses.count - limits.WRONG_KEYS_FREE if guesses else 0
        if guesses is None or late < 0 or not self.limits.max_wrong_keys:
            return 0.0
        now = trio.current_time()
        begin = max(now, guesses.next)
        delay = limits.WRONG_KEY_DELAY * 2.0 ** min(late, 10)
        guesses.next = begin + min(delay, limits.WRONG_KEY_MOST_DELAY)
        return guesses.next - now

    def wrong_key(self, address: str) -> None:
        """A wrong key came from there."""
        now = trio.current_time()
        guesses = self._guesses.pop(address, None)
        if guesses is None or now - guesses.last > limits.REFUSAL:
            guesses = _Guesses()
        guesses.count += 1
        guesses.last = now
        self._guesses[address] = guesses
        if len(self._guesses) > limits.MOST_ADDRESSES:
            del self._guesses[next(iter(self._guesses))]

    def right_key(self, address: str) -> None:
        """The key came from there."""
        self._guesses.pop(address, None)

    def rate(self, address: str) -> Rate | None:
        """How much a new member from there may say; None for all it can.

        Whoever leaves and comes again goes on where it was.
        """
        if not self.limits.rate:
            return None
        now = trio.current_time()
        before = self._rates.pop(address, None)
        if before is not None and not before.rested(now):
            return before
        burst = self.limits.burst or max(1, round(self.limits.rate * limits.BURST))
        return Rate(self.limits.rate, burst, now)

    def keep_rate(self, address: str, rate: Rate) -> None:
        """A member from there has left that had so much left to say."""
        self._rates.pop(address, None)
        self._rates[address] = rate
        if len(self._rates) > limits.MOST_ADDRESSES:
            del self._rates[next(iter(self._rates))]
