"""Who may come in and how much they may say, whatever happens in whatever order."""

from collections import Counter

import attrs
import pytest
import trio
from trio.testing import MockClock

from sopchat import limits
from sopchat.addresses import Addresses
from sopchat.departure import Reason
from sopchat.limits import Limits
from sopchat.pending import Pending
from sopchat.rate import Rate
from tests.faults.fuzz.material import Material
from tests.faults.fuzz.targets import target

# So much is done at most.
_STEPS = 60

# Times are computed in floating point (seconds).
_SLACK = 1e-6


@target(256)
def spoken(material: Material) -> None:
    """Who waits as long as is asked has never said more than a burst and what the time allows.

    It is not asked to wait longer than until that is so.
    """
    per_second, burst = (1 + material.number(999)) / 8, 1 + material.number(500)
    rate, now, said = Rate(per_second, burst, 0.0), 0.0, 0
    for _ in range(_STEPS):
        if not material:
            break
        assert said <= burst + per_second * now + _SLACK * (1 + now)
        rested = rate.rested(now)
        frames = burst if rested and material.number(1) else material.number(300)
        wait = rate.said(frames, now)
        said += frames
        assert wait >= 0
        assert not (rested and frames <= burst) or wait <= _SLACK
        # Time that was not used is not saved up beyond a burst, so this is the most.
        assert wait <= frames / per_second + _SLACK
        now += wait + material.number(65535) / 1024 * material.number(1)


@target(256)
def addresses(material: Material) -> None:
    """Connections are counted as they are, and what is remembered is bounded.

    Who did nothing wrong and is alone at its address is not refused.
    """
    trio.run(_count, material, clock=MockClock())


async def _count(material: Material) -> None:
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, MockClock)
    asked = Limits(max_per_address=material.number(4), max_wrong_keys=material.number(15))
    counted, there = Addresses(asked), Counter[str]()
    wrong, asks = Counter[str](), Counter[str]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "MOST_ADDRESSES", 4)
        for _ in range(_STEPS):
            if not material:
                break
            step, address = material.number(5), f"192.0.2.{material.number(7)}"
            if step == 0:
                clock.jump(material.number(255) / 2)
            elif step == 1 and there[address]:
                counted.leave(address)
                there[address] -= 1
            elif step == 2:
                wrong[address] += 1
                counted.wrong_key(address)
                asks[address] += 1
                delay = counted.patience(address)
                assert 0 <= delay <= asks[address] * limits.WRONG_KEY_MOST_DELAY
                assert not delay or wrong[address] >= limits.WRONG_KEYS_FREE
            elif step == 3:
                counted.right_key(address)
                wrong[address] = 0
            else:
                refused = counted.refusal(address)
                if refused is None:
                    counted.enter(address)
                    there[address] += 1
                    assert there[address] <= (asked.max_per_address or _STEPS)
                elif refused.reason is Reason.ADDRESS_FULL:
                    assert there[address] == asked.max_per_address
                else:
                    assert refused.reason is Reason.REFUSED
                    assert wrong[address] >= asked.max_wrong_keys > 0
            assert counted._connections == +there
            assert len(counted._guesses) <= 4


@attrs.define
class Waiting:
    """One that has not authenticated."""

    address: str
    scope: trio.CancelScope


@target(256)
def pending(material: Material) -> None:
    """There are never more than may be, and a newcomer has a place.

    Who is pushed out is of an address that has as many as any other.
    """
    trio.run(_push, material, clock=MockClock())


async def _push(material: Material) -> None:
    crowd, there = Pending(1 + material.number(7)), list[Waiting]()
    for _ in range(_STEPS):
        if not material:
            break
        step = material.number(7)
        if step == 0 and there:
            one = there.pop(material.number(15) % len(there))
            crowd.leave(one.scope)
            crowd.leave(one.scope)
            assert not one.scope.cancel_called
        elif step == 1:
            crowd.limit = 1 + material.number(7)
        elif step == 2 and not material.number(15):
            crowd.close()
            assert all(one.scope.cancel_called for one in there)
            there.clear()
        else:
            counts = Counter(one.address for one in there)
            over = max(len(there) + 1 - crowd.limit, 0)
            address = f"192.0.2.{material.number(3)}"
            one = Waiting(address, crowd.enter(10, address))
            out = [other for other in there if other.scope.cancel_called]
            assert len(out) == over
            counts.subtract(other.address for other in out)
            assert all(counts[other.address] + 1 >= max(counts.values()) for other in out)
            there = [other for other in there if other not in out] + [one]
            assert not one.scope.cancel_called
            assert len(crowd) <= crowd.limit
        assert len(crowd) == len(there)
