import trio
from trio.testing import wait_all_tasks_blocked

from sopchat.pressure import Pressure


async def test_readers_wait_until_the_last_outbox_is_under_its_mark(
    nursery: trio.Nursery,
) -> None:
    pressure = Pressure()
    read = 0

    async def reader() -> None:
        nonlocal read
        await pressure.relief()
        read += 1

    pressure.rise()
    pressure.rise()
    nursery.start_soon(reader)
    nursery.start_soon(reader)
    await wait_all_tasks_blocked()
    pressure.fall()
    await wait_all_tasks_blocked()
    assert read == 0
    assert pressure.over
    pressure.fall()
    await wait_all_tasks_blocked()
    assert read == 2
    assert not pressure.over


async def test_without_pressure_nobody_waits() -> None:
    with trio.testing.assert_no_checkpoints():
        await Pressure().relief()


async def test_pressure_that_rises_again_before_a_reader_ran_holds_it(
    nursery: trio.Nursery,
) -> None:
    pressure = Pressure()
    pressure.rise()
    ended = trio.Event()

    async def reader() -> None:
        await pressure.relief()
        ended.set()

    nursery.start_soon(reader)
    await wait_all_tasks_blocked()
    pressure.fall()
    pressure.rise()
    await wait_all_tasks_blocked()
    assert not ended.is_set()
    pressure.fall()
    await wait_all_tasks_blocked()
    assert ended.is_set()
