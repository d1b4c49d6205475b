"""Who may come in: by the key, by how many have not shown it yet, and by where they come from."""

import hmac

import attrs
import trio

from sopchat.addresses import Addresses
from sopchat.console import Console
from sopchat.departure import Departure, Reason
from sopchat.doors import Offer
from sopchat.limits import Limits
from sopchat.pending import Pending
from sopchat.wire.frame import TEXT_SIZE, padded


def key_fits(offered: bytes, key: bytes) -> bool:
    """Whether both are the same bytes, compared in a time that says nothing of the key.

    Both are field values of at most 448 bytes, without NUL: padding them hides the length
    and makes no two of them equal. docs/frame-protocol.md, A7 to A9.
    """
    return hmac.compare_digest(
        padded(offered, TEXT_SIZE, "the key"), padded(key, TEXT_SIZE, "the key")
    )


@attrs.define(eq=False)
class Admission:
    """The rules at the entrance, the same for all doors; they may change while it is open."""

    key: bytes
    limits: Limits
    pending: Pending = attrs.field(init=False)
    addresses: Addresses = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.pending = Pending(self.limits.max_pending)
        self.addresses = Addresses(self.limits)

    def change(self, key: bytes, limits: Limits) -> None:
        """Another key and other limits, for all that comes from now on."""
        self.key = key
        self.limits = self.addresses.limits = limits
        self.pending.limit = limits.max_pending

    def enter(self, address: str) -> trio.CancelScope:
        """A connection came that is not refused: the scope in which it authenticates."""
        self.addresses.enter(address)
        return self.pending.enter(self.limits.auth_timeout, address)

    async def judge(
        self, offer: Offer, peer: str, address: str, console: Console
    ) -> Departure | None:
        """Look at the key that a client offers; how its connection departs if it does not fit."""
        if patience := self.addresses.patience(address):
            await trio.sleep(patience)
        if distrust := self.addresses.distrust(address):
            return distrust
        fits = key_fits(offer.key, self.key)
        console.offered(peer, offer, fits)
        if not fits:
            self.addresses.wrong_key(address)
            return Departure(Reason.WRONG_KEY)
        self.addresses.right_key(address)
        return None
