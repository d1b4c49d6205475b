"""Trio as the guest of asyncio. These tests run an asyncio loop themselves."""

import asyncio
import threading

import pytest
import trio
from sopchat_client.guest import hosted


def test_it_gives_the_result() -> None:
    async def main() -> str:
        await trio.lowlevel.checkpoint()
        return "done"

    assert asyncio.run(hosted(main)) == "done"


def test_it_raises_what_main_raises() -> None:
    async def main() -> None:
        await trio.lowlevel.checkpoint()
        raise LookupError("inside")

    with pytest.raises(LookupError, match="inside"):
        asyncio.run(hosted(main))


def test_both_loops_run_in_one_thread_and_take_turns() -> None:
    ball: list[str] = []

    async def play() -> None:
        # Each waits for the other ten times: neither gets on while the other loop stands still.
        served, returned = [trio.Event() for _ in range(10)], [asyncio.Event() for _ in range(10)]

        async def main() -> int:
            for there, back in zip(served, returned, strict=True):
                await there.wait()
                ball.append("trio")
                back.set()
            return threading.get_ident()

        guest = asyncio.create_task(hosted(main))
        for there, back in zip(served, returned, strict=True):
            ball.append("asyncio")
            there.set()
            await back.wait()
        assert await guest == threading.get_ident()

    asyncio.run(play())
    assert ball == ["asyncio", "trio"] * 10


def test_a_cancellation_ends_main_and_waits_until_it_has_cleared_up() -> None:
    steps: list[str] = []

    async def cancel() -> None:
        started = asyncio.Event()

        async def main() -> None:
            try:
                started.set()
                await trio.sleep_forever()
            finally:
                with trio.CancelScope(shield=True):
                    await trio.to_thread.run_sync(steps.append, "cleared up")

        guest = asyncio.create_task(hosted(main))
        await started.wait()
        guest.cancel()
        with pytest.raises(asyncio.CancelledError):
            await guest
        steps.append("ended")

    asyncio.run(cancel())
    assert steps == ["cleared up", "ended"]


def test_what_goes_wrong_while_clearing_up_is_raised() -> None:
    async def cancel() -> None:
        started = asyncio.Event()

        async def main() -> None:
            try:
                started.set()
                await trio.sleep_forever()
            finally:
                raise LookupError("too late")

        guest = asyncio.create_task(hosted(main))
        await started.wait()
        guest.cancel()
        with pytest.raises(LookupError, match="too late"):
            await guest

    asyncio.run(cancel())


def test_sockets_and_threads_work_in_it() -> None:
    async def echo(stream: trio.SocketStream) -> None:
        async for data in stream:
            await stream.send_all(data)

    async def main() -> bytes:
        async with trio.open_nursery() as nursery:
            listeners = await nursery.start(trio.serve_tcp, echo, 0)
            port = listeners[0].socket.getsockname()[1]
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await stream.send_all(await trio.to_thread.run_sync(bytes, 1000))
                answer = b""
                while len(answer) < 1000:
                    answer += await stream.receive_some()
            nursery.cancel_scope.cancel()
        return answer

    assert asyncio.run(hosted(main)) == bytes(1000)


def test_one_run_after_another_fits_into_a_loop() -> None:
    async def twice() -> list[float]:
        return [await hosted(main) for _ in range(2)]

    async def main() -> float:
        await trio.sleep(0)
        return 1.0

    assert asyncio.run(twice()) == [1.0, 1.0]
