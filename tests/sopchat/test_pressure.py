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


async def test_a_reader_is_woken_also_where_pressure_has_risen_again_by_then(
    nursery: trio.Nursery,
) -> None:
    pressure = Pressure()
    pressure.rise()
    found: list[int] = []

    async def reader() -> None:
        while pressure.over:
            await pressure.relief()
            found.append(pressure.over)

    nursery.start_soon(reader)
    await wait_all_tasks_blocked()
    pressure.fall()
    pressure.rise()
    await wait_all_tasks_blocked()
    assert found == [1]
    pressure.fall()
    await wait_all_tasks_blocked()
    assert found == [1, 0]
