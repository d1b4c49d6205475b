import trio
from trio.testing import wait_all_tasks_blocked

from sopchat.pending import Pending


async def test_who_does_not_finish_in_time_is_cancelled_at_its_deadline(
    autojump_clock: trio.testing.MockClock,
) -> None:
    pending = Pending(limit=3)
    start = trio.current_time()
    with pending.entry(10) as entry:
        assert len(pending) == 1
        await trio.sleep_forever()
    assert entry.cancelled_caught
    assert trio.current_time() - start == 10
    assert trio.current_time() >= entry.deadline
    assert len(pending) == 0


async def test_one_more_than_the_limit_pushes_out_the_oldest_and_only_that(
    nursery: trio.Nursery,
) -> None:
    pending = Pending(limit=2)
    pushed_out: list[int] = []

    async def wait(number: int) -> None:
        with pending.entry(1000) as entry:
            await trio.sleep_forever()
        assert trio.current_time() < entry.deadline
        pushed_out.append(number)

    for number in range(4):
        nursery.start_soon(wait, number)
        await wait_all_tasks_blocked()
        assert len(pending) == min(number + 1, 2)
    assert pushed_out == [0, 1]
    nursery.cancel_scope.cancel()


async def test_who_finishes_makes_room_without_pushing_anybody_out() -> None:
    pending = Pending(limit=1)
    for _ in range(3):
        with pending.entry(1000) as entry:
            pass
        assert not entry.cancelled_caught
