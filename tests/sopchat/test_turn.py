import trio

from sopchat.turn import Turn


async def test_a_woken_reader_is_known_until_it_has_run(nursery: trio.Nursery) -> None:
    turn, event, seen = Turn(), trio.Event(), list[int]()
    trio.lowlevel.add_instrument(turn)

    async def read() -> None:
        task = turn.add_reader()
        await event.wait()
        seen.append(len(turn.woken))
        turn.ran(task)
        seen.append(len(turn.woken))
        turn.remove_reader(task)

    for _ in range(3):
        nursery.start_soon(read)
    await trio.testing.wait_all_tasks_blocked()
    assert not turn.woken
    event.set()
    assert len(turn.woken) == 3
    await trio.testing.wait_all_tasks_blocked()
    assert seen == [3, 2, 2, 1, 1, 0]


async def test_a_reader_that_ends_is_not_waited_for(nursery: trio.Nursery) -> None:
    turn = Turn()
    trio.lowlevel.add_instrument(turn)

    async def read() -> None:
        task = turn.add_reader()
        try:
            await trio.sleep_forever()
        finally:
            turn.remove_reader(task)

    nursery.start_soon(read)
    await trio.testing.wait_all_tasks_blocked()
    nursery.cancel_scope.cancel()
    assert len(turn.woken) == 1
    with trio.CancelScope(shield=True):
        await trio.testing.wait_all_tasks_blocked()
    assert not turn.woken


async def test_other_tasks_are_not_counted() -> None:
    turn = Turn()
    trio.lowlevel.add_instrument(turn)
    await trio.lowlevel.checkpoint()
    assert not turn.woken
