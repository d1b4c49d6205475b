import errno
import gc
import math
import weakref

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from sopchat.departure import Departure, Reason
from sopchat.limits import Limits
from sopchat.outbox import Outbox
from sopchat.pressure import Pressure
from tests.support.connection import PlayedConnection

LIMITS = Limits(stall_timeout=5, outbox_mark=10_000)


def an_outbox(window: int = 2**60) -> tuple[Outbox, PlayedConnection, Pressure]:
    connection, pressure = PlayedConnection(window), Pressure()
    return Outbox(connection, pressure, LIMITS), connection, pressure


async def run_to_end(outbox: Outbox) -> Departure:
    with trio.fail_after(1000):
        return await outbox.run()


async def test_an_idle_member_is_written_to_directly_without_its_task() -> None:
    outbox, connection, _ = an_outbox()
    outbox.put(b"one")
    outbox.put(b"two")
    assert connection.taken == b"onetwo"
    assert outbox.waiting == 0


async def test_it_says_when_for_the_first_time_something_has_to_wait() -> None:
    outbox, _, _ = an_outbox(window=3)
    with outbox.idle:
        outbox.put(b"one")
        await trio.lowlevel.checkpoint()
        outbox.put(b"two")
        await trio.sleep_forever()
    assert outbox.idle.cancelled_caught
    assert outbox.waiting == 3


async def test_what_the_connection_does_not_take_waits_and_goes_out_in_order(
    nursery: trio.Nursery,
) -> None:
    outbox, connection, _ = an_outbox(window=2)
    nursery.start_soon(outbox.run)
    for chunk in (b"one", b"two", b"three"):
        outbox.put(chunk)
    assert connection.taken == b"on"
    assert outbox.waiting == 9
    for _ in range(3):
        connection.open_window(3)
        await wait_all_tasks_blocked()
    assert connection.taken == b"onetwothree"
    assert outbox.waiting == 0


async def test_all_that_waits_goes_out_in_one_write(nursery: trio.Nursery) -> None:
    outbox, connection, _ = an_outbox(window=0)
    nursery.start_soon(outbox.run)
    for number in range(100):
        outbox.put(b"%03d" % number)
    await wait_all_tasks_blocked()
    before = connection.writes
    connection.open_window()
    await wait_all_tasks_blocked()
    assert connection.writes == before + 1
    assert connection.taken == b"".join(b"%03d" % number for number in range(100))


async def test_a_batch_of_more_pieces_than_one_write_takes_arrives_whole(
    nursery: trio.Nursery,
) -> None:
    outbox, connection, _ = an_outbox(window=0)
    pieces = [b"%05d" % number for number in range(5000)]
    for piece in pieces:
        outbox.put(piece)
    nursery.start_soon(outbox.run)
    connection.open_window()
    await wait_all_tasks_blocked()
    assert connection.taken == b"".join(pieces)


async def test_over_the_mark_it_raises_the_pressure_until_half_is_gone(
    nursery: trio.Nursery,
) -> None:
    outbox, connection, pressure = an_outbox(window=0)
    nursery.start_soon(outbox.run)
    outbox.put(bytes(10_000))
    assert not pressure.over
    outbox.put(bytes(1))
    assert pressure.over
    connection.open_window(4_000)
    await wait_all_tasks_blocked()
    assert pressure.over
    connection.open_window(1_001)
    await wait_all_tasks_blocked()
    assert not pressure.over


async def test_a_member_that_takes_nothing_for_the_stall_timeout_is_too_slow(
    autojump_clock: trio.testing.MockClock,
) -> None:
    outbox, _, pressure = an_outbox(window=0)
    outbox.put(bytes(20_000))
    start = trio.current_time()
    assert await run_to_end(outbox) == Departure(Reason.TOO_SLOW)
    assert trio.current_time() - start == pytest.approx(5)
    assert not pressure.over


async def test_the_stall_timeout_begins_anew_with_every_byte_taken(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    outbox, connection, _ = an_outbox(window=0)
    outbox.put(bytes(5_000))
    start = trio.current_time()

    async def trickle() -> None:
        for _ in range(4):
            await trio.sleep(4)
            connection.open_window(1)

    nursery.start_soon(trickle)
    assert await run_to_end(outbox) == Departure(Reason.TOO_SLOW)
    assert trio.current_time() - start == pytest.approx(4 * 4 + 5)


async def test_a_member_whose_side_confirms_bytes_is_slow_but_not_stuck(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    outbox, connection, _ = an_outbox(window=0)
    outbox.put(bytes(5_000))
    connection.unconfirmed = 1_000
    start = trio.current_time()

    async def confirm() -> None:
        for _ in range(3):
            await trio.sleep(4.9)
            connection.unconfirmed -= 1

    nursery.start_soon(confirm)
    assert await run_to_end(outbox) == Departure(Reason.TOO_SLOW)
    last = start + 3 * 4.9
    assert last + 4.8 <= trio.current_time() <= last + 5


async def test_a_trickle_over_the_mark_lasts_six_stall_timeouts_at_most(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    outbox, connection, pressure = an_outbox(window=0)
    outbox.put(bytes(20_000))
    start = trio.current_time()

    async def trickle() -> None:
        while True:
            await trio.sleep(1)
            connection.open_window(1)

    nursery.start_soon(trickle)
    assert await run_to_end(outbox) == Departure(Reason.TOO_SLOW)
    assert 30 <= trio.current_time() - start <= 31
    assert not pressure.over
    nursery.cancel_scope.cancel()


async def test_a_member_with_nothing_waiting_may_be_silent_for_ever(
    autojump_clock: trio.testing.MockClock, nursery: trio.Nursery
) -> None:
    outbox, connection, _ = an_outbox(window=0)
    nursery.start_soon(run_to_end_never, outbox)
    await trio.sleep(100_000)
    outbox.put(b"late")
    connection.open_window()
    await wait_all_tasks_blocked()
    assert connection.taken == b"late"
    nursery.cancel_scope.cancel()


async def run_to_end_never(outbox: Outbox) -> None:
    departure = await outbox.run()
    pytest.fail(f"ended: {departure}")


@pytest.mark.sentence("E8", "E9")
@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.EPIPE, Reason.BROKEN_PIPE),
        (errno.ECONNRESET, Reason.RESET),
        (errno.ETIMEDOUT, Reason.LOST),
    ],
)
@pytest.mark.parametrize("direct", [True, False])
async def test_a_failed_write_ends_the_task_with_its_reason(
    number: int, reason: Reason, direct: bool
) -> None:
    outbox, connection, _ = an_outbox(window=math.inf if direct else 0)  # type: ignore[arg-type]
    if not direct:
        outbox.put(b"waits")
    connection.fail(OSError(number, "said by the system"))
    if direct:
        outbox.put(b"fails")
    assert (await run_to_end(outbox)).reason is reason


async def test_an_outbox_whose_write_failed_is_not_kept_alive_by_its_error() -> None:
    class Broken(PlayedConnection):
        def send_now(self, piece: bytes | memoryview) -> int:
            raise OSError(errno.EPIPE, "gone")

    gc.disable()  # it comes late, and what waits in an outbox may be megabytes
    try:
        outbox = Outbox(Broken(), Pressure(), LIMITS)
        outbox.put(b"fails")
        assert (await run_to_end(outbox)).reason is Reason.BROKEN_PIPE
        alive = weakref.ref(outbox)
        del outbox
        assert alive() is None
    finally:
        gc.enable()


async def test_an_outbox_that_has_ended_drops_what_is_put_and_raises_no_pressure() -> None:
    outbox, connection, pressure = an_outbox(window=0)
    connection.fail(OSError(errno.EPIPE, "gone"))
    outbox.put(b"x")
    await run_to_end(outbox)
    outbox.put(bytes(50_000))
    assert not pressure.over
    assert outbox.waiting == 1
    assert connection.taken == b""


async def test_what_a_member_gets_first_raises_no_pressure_and_what_comes_then_does() -> None:
    outbox, _, pressure = an_outbox(window=0)
    outbox.put_first(bytes(50_000))
    outbox.put(bytes(9_000))
    assert not pressure.over
    outbox.put(bytes(2_000))
    assert pressure.over
