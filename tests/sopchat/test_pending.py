import trio
from trio.testing import wait_all_tasks_blocked

from sopchat.pending import Pending


async def test_who_does_not_finish_in_time_is_cancelled_at_its_deadline(
    autojump_clock: trio.testing.MockClock,
) -> None:
    pending = Pending(limit=3)
    start = trio.current_time()
    with pending.enter(10) as scope:
        assert len(pending) == 1
        await trio.sleep_forever()
    assert scope.cancelled_caught
    assert trio.current_time() - start == 10
    assert trio.current_time() >= scope.deadline
    pending.leave(scope)
    assert len(pending) == 0


async def test_one_more_than_the_limit_pushes_out_the_oldest_and_only_that(
    nursery: trio.Nursery,
) -> None:
    pending = Pending(limit=2)
    pushed_out: list[int] = []

    async def wait(number: int, scope: trio.CancelScope) -> None:
        with scope:
            await trio.sleep_forever()
        assert trio.current_time() < scope.deadline
        pending.leave(scope)
        pushed_out.append(number)

    for number in range(4):
        nursery.start_soon(wait, number, pending.enter(1000))
        await wait_all_tasks_blocked()
        assert len(pending) == min(number + 1, 2)
    assert pushed_out == [0, 1]
    nursery.cancel_scope.cancel()


async def test_the_oldest_is_who_entered_first_whichever_task_runs_first() -> None:
    pending = Pending(limit=2)
    first, second, third = (pending.enter(1000) for _ in range(3))
    assert [scope.cancel_called for scope in (first, second, third)] == [True, False, False]


async def test_who_finishes_makes_room_without_pushing_anybody_out() -> None:
    pending = Pending(limit=1)
    for _ in range(3):
        with pending.enter(1000) as scope:
            pending.leave(scope)
        assert not scope.cancelled_caught


async def test_a_crowd_from_one_address_pushes_out_only_itself() -> None:
    pending = Pending(limit=3)
    honest = pending.enter(1000, "192.0.2.1")
    crowd = [pending.enter(1000, "192.0.2.66") for _ in range(10)]
    assert not honest.cancel_called
    assert [scope.cancel_called for scope in crowd] == [True] * 8 + [False] * 2
    late = pending.enter(1000, "192.0.2.2")
    assert not honest.cancel_called
    assert not late.cancel_called
    assert crowd[8].cancel_called


async def test_when_the_server_stops_nobody_authenticates_any_more() -> None:
    pending = Pending(limit=3)
    scopes = [pending.enter(1000) for _ in range(3)]
    pending.close()
    assert pending.closed
    assert len(pending) == 0
    assert all(scope.cancel_called for scope in scopes)
