import pytest
import trio

from sopchat import limits
from sopchat.addresses import Addresses
from sopchat.departure import Reason
from sopchat.limits import Limits


def refused(addresses: Addresses, address: str = "192.0.2.1") -> Reason | None:
    departure = addresses.refusal(address)
    return departure.reason if departure else None


async def test_an_address_has_so_many_connections_and_gets_a_place_back_when_one_ends() -> None:
    addresses = Addresses(Limits(max_per_address=2))
    for _ in range(2):
        assert refused(addresses) is None
        addresses.enter("192.0.2.1")
    assert refused(addresses) is Reason.ADDRESS_FULL
    assert refused(addresses, "192.0.2.2") is None
    addresses.leave("192.0.2.1")
    assert refused(addresses) is None


async def test_without_a_limit_an_address_has_any_number_of_connections() -> None:
    addresses = Addresses(Limits())
    for _ in range(10_000):
        addresses.enter("192.0.2.1")
    assert refused(addresses) is None


async def test_after_wrong_keys_one_is_looked_at_ever_later_then_none_for_a_while(
    autojump_clock: trio.testing.MockClock,
) -> None:
    addresses = Addresses(Limits(max_wrong_keys=16))
    delays = []
    for _ in range(16):
        assert refused(addresses) is None
        assert addresses.patience("192.0.2.2") == 0
        delays.append(addresses.patience("192.0.2.1"))
        await trio.sleep(delays[-1])
        addresses.wrong_key("192.0.2.1")
    assert delays == [0.0] * 10 + [0.25, 0.5, 1.0, 2.0, 4.0, 4.0]
    assert refused(addresses) is Reason.REFUSED
    assert addresses.distrust("192.0.2.1") is not None
    assert refused(addresses, "192.0.2.2") is None
    await trio.sleep(limits.REFUSAL - 1)
    assert refused(addresses) is Reason.REFUSED
    await trio.sleep(1)
    assert refused(addresses) is None
    assert addresses.patience("192.0.2.1") == 0


async def test_keys_that_come_together_are_looked_at_one_after_the_other(
    autojump_clock: trio.testing.MockClock,
) -> None:
    addresses = Addresses(Limits())
    for _ in range(limits.WRONG_KEYS_FREE):
        addresses.wrong_key("192.0.2.1")
    assert [addresses.patience("192.0.2.1") for _ in range(3)] == [0.25, 0.5, 0.75]


async def test_who_comes_again_may_say_no_more_than_if_it_had_stayed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    addresses = Addresses(Limits(rate=10, burst=20))
    rate = addresses.rate("192.0.2.1")
    assert rate is not None
    rate.said(20, trio.current_time())
    addresses.keep_rate("192.0.2.1", rate)
    again = addresses.rate("192.0.2.1")
    assert again is rate
    assert again.said(1, trio.current_time()) > 0
    addresses.keep_rate("192.0.2.1", again)
    await trio.sleep(10)
    assert addresses.rate("192.0.2.1") is not again


async def test_wrong_keys_long_ago_do_not_count(autojump_clock: trio.testing.MockClock) -> None:
    addresses = Addresses(Limits(max_wrong_keys=3))
    for _ in range(10):
        addresses.wrong_key("192.0.2.1")
        assert refused(addresses) is None
        await trio.sleep(limits.REFUSAL + 1)


async def test_the_key_forgives_the_wrong_ones_before_it() -> None:
    addresses = Addresses(Limits(max_wrong_keys=3))
    for _ in range(10):
        addresses.wrong_key("192.0.2.1")
        addresses.wrong_key("192.0.2.1")
        addresses.right_key("192.0.2.1")
    assert refused(addresses) is None
    addresses.right_key("192.0.2.9")


async def test_without_a_limit_wrong_keys_are_never_delayed_or_refused() -> None:
    addresses = Addresses(Limits(max_wrong_keys=0))
    for _ in range(1000):
        addresses.wrong_key("192.0.2.1")
    assert addresses.patience("192.0.2.1") == 0
    assert refused(addresses) is None


async def test_only_so_many_addresses_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_ADDRESSES", 3)
    addresses = Addresses(Limits(max_wrong_keys=1))
    for number in range(5):
        addresses.wrong_key(f"192.0.2.{number}")
    assert [refused(addresses, f"192.0.2.{number}") for number in range(5)] == [
        None,
        None,
        Reason.REFUSED,
        Reason.REFUSED,
        Reason.REFUSED,
    ]
