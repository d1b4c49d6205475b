"""Who may come in: by the key, by how many have not shown it yet, and by where they come from."""

import hmac

import attrs
import trio

from sopchat.addresses import Addresses
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

    def fits(self, offer: Offer) -> bool:
        """Whether the key that was offered is the room's."""
        return key_fits(offer.key, self.key)

    async def refuse_key(self, address: str) -> Departure:
        """A wrong key came from there: how its connection departs, if need be after a while."""
        await trio.sleep(self.addresses.wrong_key(address))
        return Departure(Reason.WRONG_KEY)
