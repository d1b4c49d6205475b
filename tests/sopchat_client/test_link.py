"""A chat that comes back: against servers that the test plays, in played time, and the real one."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from sopchat_client import CannotConnect, Chat, ChatError, Refused, connect
from sopchat_client.link import (
    MOST_REFUSALS,
    Arrived,
    Connecting,
    Delivery,
    Joined,
    Link,
    Lost,
    Moved,
)
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair

from tests.support.clients import PATIENCE
from tests.support.frames import FRAME, frame
from tests.support.links import Arrivals, Server, Stream, Told, member, played, refuses, takes
from tests.support.programs import SOP_CHAT, Program, reserved_port
from tests.support.streams import let_in


async def test_what_is_said_goes_out_once_and_in_order(autojump_clock: MockClock) -> None:
    async with member(takes()) as scene:
        early = scene.link.say("before it has joined")
        await trio.sleep(1)
        sayings = [early, *(scene.link.say(f"text {number}") for number in range(60))]
        await trio.sleep(10)
    assert scene.texts() == [saying.text for saying in sayings]
    moved = [event.saying for _, event in scene.told.events if isinstance(event, Moved)]
    assert moved == sayings
    assert {saying.delivery for saying in sayings} == {Delivery.SENT}
    assert len(scene.told.times_of(Connecting)) == len(scene.told.times_of(Joined)) == 1


async def test_what_others_say_is_told(autojump_clock: MockClock) -> None:
    async def says(stream: Stream, arrivals: Arrivals) -> None:
        await let_in(stream)
        await stream.send_all(frame("bob", "one") + frame("bob", "two"))
        await stream.receive_some()

    async with member(says) as scene:
        await scene.told.until(Arrived)
    messages = [event.messages for _, event in scene.told.events if isinstance(event, Arrived)]
    assert [(one.name, one.text) for one in messages[0]] == [("bob", "one"), ("bob", "two")]


@pytest.mark.parametrize(("server", "error"), [(None, CannotConnect), (refuses, Refused)])
async def test_where_the_first_join_fails_it_does_not_try_again(
    server: Server, error: type[ChatError], autojump_clock: MockClock
) -> None:
    async with played(server, takes()) as scene:
        with pytest.raises(error):
            await scene.link.run()
    assert [event for _, event in scene.told.events] == [Connecting()]


async def test_it_joins_again_after_delays_that_grow_to_a_minute_and_vary_by_a_quarter(
    autojump_clock: MockClock,
) -> None:
    async with member(takes(5), *[None] * 8, takes()) as scene:
        await scene.told.until(Joined, 2)
    delays = scene.told.delays()
    expected = [1, 2, 4, 8, 16, 32, 60, 60, 60]
    shares = [delay / whole for delay, whole in zip(delays, expected, strict=True)]
    assert all(0.75 <= share <= 1.25 for share in shares)
    assert max(shares) - min(shares) > 0.01
    lost, tried = scene.told.times_of(Lost), scene.told.times_of(Connecting)
    waited = [again - before for before, again in zip(lost, tried[1:], strict=True)]
    assert waited == pytest.approx(delays)


@pytest.mark.parametrize(("seconds", "delay"), [(9.9, 8), (10.1, 1)])
async def test_the_delays_begin_anew_after_a_connection_that_held(
    seconds: float, delay: float, autojump_clock: MockClock
) -> None:
    async with member(takes(5), None, None, takes(seconds), takes()) as scene:
        await scene.told.until(Joined, 3)
    assert delay * 0.75 <= scene.told.delays()[3] <= delay * 1.25


async def test_again_cuts_the_wait_short(autojump_clock: MockClock) -> None:
    async with member(takes(5), *[None] * 6, takes()) as scene:
        await scene.told.until(Lost, 7)
        scene.link.again()
        await scene.told.until(Joined, 2)
    assert scene.told.times_of(Joined)[1] == scene.told.times_of(Lost)[6]


@pytest.mark.parametrize("server", [refuses, takes(0.9)])
async def test_after_many_refusals_or_very_short_visits_in_a_row_it_waits_to_be_asked(
    server: Server, autojump_clock: MockClock
) -> None:
    async with member(takes(5), *[server] * (MOST_REFUSALS + 1), takes()) as scene:
        await trio.sleep(100_000)
        tries = [False] * MOST_REFUSALS
        assert [math.isinf(delay) for delay in scene.told.delays()] == [*tries, True]
        scene.link.again()
        await trio.sleep(100_000)
        assert [math.isinf(delay) for delay in scene.told.delays()] == [*tries, True, True]
        assert isinstance(scene.told.events[-1][1], Lost)
        scene.link.again()
        await trio.sleep(1)
    assert isinstance(scene.told.events[-1][1], Joined)


@pytest.mark.parametrize("other", [None, takes(1.1)])
async def test_refusals_that_are_not_in_a_row_do_not_stop_it(
    other: Server, autojump_clock: MockClock
) -> None:
    most = [refuses] * (MOST_REFUSALS - 1)
    servers = [takes(5), *most, other, *most, other, refuses, takes()]
    async with member(*servers) as scene:
        await trio.sleep(1000)
    assert all(map(math.isfinite, scene.told.delays()))
    assert not scene.to_come


async def test_what_is_said_meanwhile_waits_and_goes_out_in_order_after_joining_again(
    autojump_clock: MockClock,
) -> None:
    async with member(takes(5), None, None, takes()) as scene:
        await scene.told.until(Lost)
        sayings = [scene.link.say(f"text {number}") for number in range(5)]
        await scene.told.until(Lost, 3)
        assert {saying.delivery for saying in sayings} == {Delivery.WAITING}
        assert scene.link.unsent == [saying.text for saying in sayings]
        await trio.sleep(100)
        assert scene.link.unsent == []
    assert scene.arrivals[0] == []
    assert scene.texts() == [saying.text for saying in sayings]


async def test_what_was_being_sent_when_the_connection_broke_is_uncertain_and_not_sent_again(
    autojump_clock: MockClock,
) -> None:
    half_a_text = FRAME + FRAME // 2
    async with member(takes(most=half_a_text), takes(), pair=lockstep_stream_pair) as scene:
        sayings = [scene.link.say(text) for text in ("whole", "half", "waits")]
        await trio.sleep(100)
    assert sum(len(data) for _, data in scene.arrivals[0]) == half_a_text
    assert scene.texts() == ["whole", "waits"]
    assert [saying.delivery for saying in sayings] == [
        Delivery.UNCERTAIN,  # sent just before the loss
        Delivery.UNCERTAIN,
        Delivery.SENT,
    ]


async def test_what_was_sent_just_before_the_loss_is_doubted_and_what_has_settled_is_not(
    autojump_clock: MockClock,
) -> None:
    async with member(takes(10), takes()) as scene:
        settled = scene.link.say("a while before")
        await trio.sleep(9.5)
        doubted = scene.link.say("just before")
        await trio.sleep(100)
    assert settled.delivery is Delivery.SENT
    assert doubted.delivery is Delivery.UNCERTAIN
    assert scene.texts() == ["a while before", "just before"]


async def test_what_the_servers_system_has_not_confirmed_is_doubted_however_long_ago(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Chat, "unacknowledged", lambda chat: 1)
    async with member(takes(100), takes()) as scene:
        saying = scene.link.say("lost on the way")
        await trio.sleep(200)
    assert saying.delivery is Delivery.UNCERTAIN


async def test_the_pace_is_a_burst_of_20_frames_then_25_a_second(autojump_clock: MockClock) -> None:
    async with member(takes()) as scene:
        await scene.told.until(Joined)
        for _ in range(2):
            for number in range(60):
                scene.link.say(str(number))
            await trio.sleep(60)
    times = [0.0] * 20 + [number / 25 for number in range(1, 41)]
    expected = times + [60 + time for time in times]
    assert [time for time, _ in scene.frames()] == pytest.approx(expected)


async def test_for_the_pace_a_text_counts_as_the_frames_it_takes(autojump_clock: MockClock) -> None:
    async with member(takes()) as scene:
        await scene.told.until(Joined)
        for _ in range(10):
            scene.link.say("x" * (3 * 448 + 1))
        await trio.sleep(60)
        # More than a burst at once: it has to go some time.
        for _ in range(2):
            scene.link.say("y" * 448 * 30)
        scene.link.say("z")
        await trio.sleep(60)
    times = [time for time, _ in scene.frames()]
    assert times[:20] == pytest.approx([0.0] * 20)
    assert times[20:40] == pytest.approx([number / 25 for number in range(1, 21)])
    late = [60 + max(0, number - 19) / 25 for number in range(61)]
    assert times[40:] == pytest.approx(late)


losing = st.one_of(
    st.none(),
    st.just(refuses),
    st.builds(takes, st.floats(0, 2), st.integers(1, 10 * FRAME)),
)


@given(
    st.lists(losing, max_size=6),
    st.lists(st.tuples(st.floats(0, 1), st.integers(1, 3)), max_size=20),
    st.sampled_from([memory_stream_pair, lockstep_stream_pair]),
)
def test_whenever_the_connection_is_lost_no_text_arrives_twice_and_only_a_doubted_one_is_missing(
    servers: list[Server],
    said: list[tuple[float, int]],
    pair: Callable[[], tuple[Stream, Stream]],
) -> None:
    texts = [
        [f"{number} {piece} ".ljust(448, "x") for piece in range(frames)]
        for number, (_, frames) in enumerate(said)
    ]

    async def main() -> None:
        async with member(takes(0.5), *servers, takes(), pair=pair) as scene:
            sayings = []
            for (pause, _), pieces in zip(said, texts, strict=True):
                await trio.sleep(pause)
                sayings.append(scene.link.say("".join(pieces)))
            while scene.link.unsent or scene.to_come:
                scene.link.again()
                await trio.sleep(1)
        received = scene.texts()
        arrived = set(received)
        assert received == [piece for pieces in texts for piece in pieces if piece in arrived]
        for saying, pieces in zip(sayings, texts, strict=True):
            assert saying.delivery in (Delivery.SENT, Delivery.UNCERTAIN)
            assert saying.delivery is Delivery.UNCERTAIN or arrived.issuperset(pieces)

    trio.run(main, clock=MockClock(autojump_threshold=0))


async def test_it_comes_back_to_a_server_that_was_killed_and_started_again() -> None:
    def start(port: int) -> Program:
        server = Program(SOP_CHAT, str(port), "key")
        server.wait_for("listening on port")
        return server

    told = Told()
    with trio.fail_after(PATIENCE), reserved_port() as port:
        link = Link(partial(connect, "127.0.0.1", port, "ann", "key"), told)
        async with trio.open_nursery() as nursery:
            with start(port) as server:
                nursery.start_soon(link.run)
                link.say("before")
                await trio.to_thread.run_sync(server.wait_for, "ann: before")
                server.process.kill()
                await told.until(Lost)
            between = link.say("between")
            with start(port) as server:
                link.again()
                await trio.to_thread.run_sync(server.wait_for, "ann: between")
                link.leave()
                await trio.to_thread.run_sync(server.wait_for, "ann left")
                assert "before" not in server.stdout
    assert between.delivery is Delivery.SENT
