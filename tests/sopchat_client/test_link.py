"""A chat that comes back: against servers that the test plays, in played time, and the real one."""

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import attrs
import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from sopchat_client import CannotConnect, Chat, ChatError, Refused, ServerGone, connect
from sopchat_client.guest import hosted
from sopchat_client.link import (
    MOST_REFUSALS,
    Arrived,
    Connecting,
    Delivery,
    Event,
    Joined,
    Link,
    Lost,
    Moved,
)
from trio.testing import MockClock, lockstep_stream_pair, memory_stream_pair

from tests.support.clients import PATIENCE
from tests.support.frames import FRAME, cut, frame
from tests.support.programs import SOP_CHAT, Program, reserved_port
from tests.support.streams import exactly, let_in

Stream = trio.abc.HalfCloseableStream

# What came, and when.
Arrivals = list[tuple[float, bytes]]

# How a server treats one connection; None: nobody listens.
Server = Callable[[Stream, Arrivals], Awaitable[None]] | None


def takes(seconds: float = math.inf, most: int = 2**60) -> Server:
    """Lets the client in and reads for so long, or so many bytes, or until the client leaves."""

    async def play(stream: Stream, arrivals: Arrivals) -> None:
        await let_in(stream)
        left = most
        with trio.move_on_after(seconds):
            while left and (data := await stream.receive_some(left)):
                left -= len(data)
                arrivals.append((trio.current_time(), bytes(data)))

    return play


async def refuses(stream: Stream, arrivals: Arrivals) -> None:
    await exactly(stream, FRAME)


async def never_closes(stream: Stream, arrivals: Arrivals) -> None:
    await let_in(stream)
    await trio.sleep_forever()


@attrs.define
class Told:
    """What a link told, and when."""

    events: list[tuple[float, Event]] = attrs.field(factory=list, init=False)
    _came: trio.lowlevel.ParkingLot = attrs.field(factory=trio.lowlevel.ParkingLot, init=False)

    def __call__(self, event: Event) -> None:
        self.events.append((trio.current_time(), event))
        self._came.unpark_all()

    def times_of(self, kind: type[Event]) -> list[float]:
        return [time for time, event in self.events if isinstance(event, kind)]

    def delays(self) -> list[float]:
        return [event.again_in for _, event in self.events if isinstance(event, Lost)]

    async def until(self, kind: type[Event], times: int = 1) -> None:
        """Wait until something of that kind has been told so many times."""
        while len(self.times_of(kind)) < times:
            await self._came.park()


@attrs.define
class Scene:
    """A link, and one server after the other."""

    nursery: trio.Nursery
    to_come: deque[Server]
    pair: Callable[[], tuple[Stream, Stream]]
    told: Told = attrs.field(factory=Told, init=False)
    link: Link = attrs.field(init=False)
    # For each connection what its server has received.
    arrivals: list[Arrivals] = attrs.field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.link = Link(partial(connect, "played", 1, "ann", "key"), self.told)

    async def open(self, host: str, port: int) -> Stream:
        server = self.to_come.popleft()
        if server is None:
            raise CannotConnect("nobody listens")
        ours, theirs = self.pair()
        self.arrivals.append([])

        async def serve() -> None:
            async with theirs:
                await server(theirs, self.arrivals[-1])

        self.nursery.start_soon(serve)
        return ours

    def frames(self) -> list[tuple[float, str]]:
        """The whole frames that came: when, and the text."""
        frames = []
        for arrivals in self.arrivals:
            half = b""
            for time, data in arrivals:
                half += data
                whole = len(half) // FRAME * FRAME
                frames += [(time, one[64:].rstrip(b"\0").decode()) for one in cut(half[:whole])]
                half = half[whole:]
        return frames

    def texts(self) -> list[str]:
        return [text for _, text in self.frames()]


@asynccontextmanager
async def played(
    *servers: Server, pair: Callable[[], tuple[Stream, Stream]] = memory_stream_pair
) -> AsyncIterator[Scene]:
    """The servers are there; the test runs the link."""
    with pytest.MonkeyPatch.context() as patch:
        async with trio.open_nursery() as nursery:
            scene = Scene(nursery, deque(servers), pair)
            patch.setattr("sopchat_client.chat._open", scene.open)
            yield scene
            nursery.cancel_scope.cancel()


@asynccontextmanager
async def member(
    *servers: Server, pair: Callable[[], tuple[Stream, Stream]] = memory_stream_pair
) -> AsyncIterator[Scene]:
    """The link runs; at the end of the block it leaves, and must be a member then."""
    async with played(*servers, pair=pair) as scene, trio.open_nursery() as nursery:
        nursery.start_soon(scene.link.run)
        yield scene
        scene.link.leave()


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


async def test_leaving_while_joined_gives_back_what_the_pace_held_back(
    autojump_clock: MockClock,
) -> None:
    async with played(takes()) as scene:
        sayings = [scene.link.say(f"text {number}") for number in range(100)]

        async def leave() -> None:
            await trio.sleep(0.5)
            scene.link.leave()

        scene.nursery.start_soon(leave)
        await scene.link.run()
        assert trio.current_time() == pytest.approx(0.5)
    sent = 20 + 12
    assert scene.texts() == [saying.text for saying in sayings[:sent]]
    assert scene.link.unsent == [saying.text for saying in sayings[sent:]]
    assert {saying.delivery for saying in sayings[:sent]} == {Delivery.SENT}


@pytest.mark.parametrize(("server", "error"), [(None, ServerGone), (refuses, Refused)])
async def test_leaving_while_lost_ends_at_once_and_says_why_it_was_no_member(
    server: Server, error: type[ChatError], autojump_clock: MockClock
) -> None:
    async with played(takes(5), server) as scene:

        async def leave() -> None:
            await scene.told.until(Lost, 2)
            scene.link.say("too late")
            scene.link.leave()

        scene.nursery.start_soon(leave)
        with pytest.raises(error):
            await scene.link.run()
        assert trio.current_time() == scene.told.times_of(Lost)[1]
    assert scene.link.unsent == ["too late"]


async def test_a_server_that_does_not_confirm_the_leaving_leaves_the_last_texts_in_doubt(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Chat, "unacknowledged", lambda chat: 1)
    async with played(never_closes) as scene:
        saying = scene.link.say("heard?")

        async def leave() -> None:
            await scene.told.until(Moved)
            scene.link.leave()

        scene.nursery.start_soon(leave)
        with pytest.raises(ServerGone, match="not confirmed"):
            await scene.link.run()
    assert saying.delivery is Delivery.UNCERTAIN


async def test_leaving_does_not_wait_longer_for_a_send_that_is_stuck(
    autojump_clock: MockClock,
) -> None:
    async def takes_nothing(stream: Stream, arrivals: Arrivals) -> None:
        await let_in(stream)
        await trio.sleep_forever()

    async with played(takes_nothing, pair=lockstep_stream_pair) as scene:
        scene.link.say("never read")

        async def leave() -> None:
            await scene.told.until(Joined)
            await trio.sleep(1)
            scene.link.leave()

        scene.nursery.start_soon(leave)
        with pytest.raises(ServerGone, match="not taken everything"):
            await scene.link.run()
        assert trio.current_time() == pytest.approx(scene.told.times_of(Joined)[0] + 11)


async def test_what_is_taken_back_is_not_sent(autojump_clock: MockClock) -> None:
    async with member(takes()) as scene:
        sayings = [scene.link.say(f"text {number}") for number in range(50)]
        await trio.sleep(0.5)
        taken = scene.link.take_back()
        await trio.sleep(10)
    assert 0 < len(taken) < 30
    assert {saying.delivery for saying in taken} == {Delivery.TAKEN_BACK}
    assert sayings[-len(taken) :] == taken
    assert scene.texts() == [saying.text for saying in sayings[: -len(taken)]]


async def test_a_text_of_many_frames_can_be_taken_back_in_its_middle(
    autojump_clock: MockClock,
) -> None:
    async with member(takes()) as scene:
        long = scene.link.say("x" * 448 * 100)
        await trio.sleep(1)
        assert scene.link.take_back() == [long]
        await trio.sleep(10)
        scene.link.say("next")
        await trio.sleep(1)
    assert 20 < len(scene.texts()) < 60
    assert scene.texts()[-1] == "next"
    assert long.delivery is Delivery.TAKEN_BACK


async def test_a_text_of_many_frames_that_leaving_stops_in_its_middle_is_told(
    autojump_clock: MockClock,
) -> None:
    async with member(takes()) as scene:
        scene.link.say("short")
        await trio.sleep(10)
        scene.link.say("x" * 448 * 100)
        await trio.sleep(1)
        assert scene.link.on_the_way == 1
    assert 20 < len(scene.texts()) < 60
    assert scene.link.unsettled == ["x" * 448 * 100]
    assert scene.link.unsent == []


async def test_leaving_while_it_joins_again_tells_why_it_was_lost(
    autojump_clock: MockClock,
) -> None:
    async def silent(stream: Stream, arrivals: Arrivals) -> None:
        await trio.sleep_forever()

    async with played(takes(5), silent) as scene:

        async def leave() -> None:
            await scene.told.until(Connecting, 2)
            scene.link.leave()

        scene.nursery.start_soon(leave)
        with pytest.raises(ServerGone, match="closed the connection"):
            await scene.link.run()


async def test_giving_up_does_not_wait_for_the_server(autojump_clock: MockClock) -> None:
    async with played(never_closes) as scene:
        scene.link.say("heard?")

        async def leave() -> None:
            await scene.told.until(Moved)
            scene.link.leave()
            await trio.sleep(0.1)
            scene.link.give_up()

        scene.nursery.start_soon(leave)
        with pytest.raises(ServerGone, match="not taken everything"):
            await scene.link.run()
        assert trio.current_time() < 1
    assert scene.link.unsettled == ["heard?"]


async def test_leaving_while_it_joins_ends_at_once(autojump_clock: MockClock) -> None:
    async def silent(stream: Stream, arrivals: Arrivals) -> None:
        await trio.sleep_forever()

    async with played(silent) as scene:

        async def leave() -> None:
            await trio.sleep(1)
            scene.link.leave()

        scene.nursery.start_soon(leave)
        start = trio.current_time()
        await scene.link.run()
        assert trio.current_time() == start + 1


def test_once_it_has_ended_nothing_happens_any_more() -> None:
    @asynccontextmanager
    async def refused() -> AsyncIterator[Chat]:
        raise Refused("the key")
        yield

    link = Link(refused, lambda event: None)
    with pytest.raises(Refused):
        asyncio.run(hosted(link.run))
    link.leave()
    link.again()
    link.say("text")
    assert link.unsent == ["text"]


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
