"""How a link ends, and what it leaves unsaid."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from sopchat_client import Chat, ChatError, Refused, ServerGone
from sopchat_client.guest import hosted
from sopchat_client.link import (
    Connecting,
    Delivery,
    Joined,
    Link,
    Lost,
    Moved,
)
from trio.testing import MockClock, lockstep_stream_pair

from tests.support.links import (
    Arrivals,
    Server,
    Stream,
    member,
    never_closes,
    played,
    refuses,
    takes,
)
from tests.support.streams import let_in


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
