"""How long a chat that leaves waits for the server to have read everything."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio
from sopchat_client import Chat, ServerGone, connect, parse, pipe, render
from trio.testing import MockClock, memory_stream_pair

from tests.support.frames import frame


@asynccontextmanager
async def joined(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Chat, trio.abc.Stream]]:
    """A chat, and the server's end of its connection."""
    ours, theirs = memory_stream_pair()

    async def opened(host: str, port: int) -> trio.abc.HalfCloseableStream:
        return ours

    monkeypatch.setattr("sopchat_client.chat._open", opened)
    await theirs.send_all(frame("ann", "key"))
    async with connect("played", 1, "ann", "key") as chat:
        yield chat, theirs


def taking(until: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server's system takes a byte a second until then, of very many."""

    def unacknowledged(chat: Chat) -> int:
        return 1000 - int(min(trio.current_time(), until))

    monkeypatch.setattr(Chat, "unacknowledged", unacknowledged)


async def test_a_server_that_goes_on_taking_is_waited_for(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = trio.current_time()
    taking(start + 20, monkeypatch)
    with pytest.raises(ServerGone, match="not confirmed"):
        async with joined(monkeypatch):
            pass
    assert trio.current_time() - start == pytest.approx(25, abs=1.5)


async def test_what_others_say_is_no_sign_that_the_server_takes_anything(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        with pytest.raises(ServerGone, match="not confirmed"):
            async with joined(monkeypatch) as (_, server):

                async def chatter() -> None:
                    while True:
                        await server.send_all(frame("bob", "hello"))
                        await trio.sleep(0.1)

                nursery.start_soon(chatter)
        nursery.cancel_scope.cancel()
    assert trio.current_time() - start == pytest.approx(5)


async def test_a_read_that_is_under_way_keeps_the_patience_that_was_asked_for(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        with pytest.raises(ServerGone, match="not confirmed"):
            async with joined(monkeypatch) as (chat, _):
                nursery.start_soon(chat.leave, 30.0)
                await chat.receive()
    assert trio.current_time() - start == pytest.approx(30)


@pytest.fixture
def no_input(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ended() -> bytes:
        return b""

    monkeypatch.setattr(pipe, "_read_input", ended)


async def talked(
    monkeypatch: pytest.MonkeyPatch, closes_after: float, told: list[tuple[float, str]]
) -> None:
    """Between pipes, with no input, at a server that closes after so many seconds."""
    start = trio.current_time()

    def tell(line: str) -> None:
        told.append((trio.current_time() - start, line))

    async with joined(monkeypatch) as (chat, server), trio.open_nursery() as nursery:

        async def close() -> None:
            await trio.sleep(closes_after)
            await server.aclose()

        nursery.start_soon(close)
        await pipe.talk(chat, parse.from_line, render.as_line, tell)


@pytest.mark.usefixtures("no_input")
async def test_between_pipes_a_server_that_reads_slowly_is_waited_for_with_a_word(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[float, str]] = []
    start = trio.current_time()
    await talked(monkeypatch, 50, told)
    assert trio.current_time() - start == pytest.approx(50)
    ((at, line),) = told
    assert at == pytest.approx(5)
    assert "the server has not read everything yet; waiting" in line


@pytest.mark.usefixtures("no_input")
async def test_between_pipes_a_server_that_reads_at_once_is_not_spoken_of(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[float, str]] = []
    await talked(monkeypatch, 4, told)
    assert told == []


@pytest.mark.usefixtures("no_input")
async def test_between_pipes_a_server_that_never_closes_is_gone_after_a_minute(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = trio.current_time()
    with pytest.RaisesGroup(ServerGone, flatten_subgroups=True):
        await talked(monkeypatch, 1000, [])
    assert trio.current_time() - start == pytest.approx(60)
