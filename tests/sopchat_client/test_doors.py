"""A door that speaks another protocol than the client was told is named, without waiting."""

from typing import Literal

import pytest
import trio
from sopchat_client import CannotConnect, connect
from trio.testing import MockClock, memory_stream_pair

from tests.support.frames import frame
from tests.support.programs import Server, reserved_port

_LINE, _TALK = b"Your name: ", b"Thank you for connecting"

Protocol = Literal["frame", "numbered", "line", "talk"]


@pytest.mark.parametrize(
    ("protocol", "greeting", "said"),
    [
        ("frame", _LINE, "this is a line door: --protocol line"),
        ("frame", _TALK, "this is a talk door: --protocol talk"),
        ("numbered", _LINE, "this is a line door: --protocol line"),
        ("line", _TALK, "this is a talk door: --protocol talk"),
        ("talk", _LINE, "this is a line door: --protocol line"),
    ],
)
async def test_another_door_is_known_by_its_greeting_however_it_is_cut(
    protocol: Protocol,
    greeting: bytes,
    said: str,
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = memory_stream_pair()

    async def opened(host: str, port: int) -> trio.abc.HalfCloseableStream:
        return ours

    async def greet() -> None:
        for byte in greeting:
            await theirs.send_all(bytes([byte]))
            await trio.sleep(0.01)

    monkeypatch.setattr("sopchat_client.chat._open", opened)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(greet)
        with pytest.raises(CannotConnect) as caught:
            async with connect("played", 1, "ann", "key", protocol):
                pytest.fail("is no member")
    assert str(caught.value) == said
    assert trio.current_time() < 1


async def test_who_has_the_name_of_a_greeting_joins(monkeypatch: pytest.MonkeyPatch) -> None:
    name = _LINE.decode() + "x"
    ours, theirs = memory_stream_pair()

    async def opened(host: str, port: int) -> trio.abc.HalfCloseableStream:
        return ours

    monkeypatch.setattr("sopchat_client.chat._open", opened)
    await theirs.send_all(frame(name, "key"))
    await theirs.send_eof()
    async with connect("played", 1, name, "key") as chat:
        assert chat.name == name.encode()


@pytest.mark.parametrize("door", ["line", "talk"])
async def test_a_door_of_the_room_is_known(door: str) -> None:
    with (
        reserved_port() as port,
        Server(f"--{door}", str(port)),
        trio.fail_after(5),
        pytest.raises(CannotConnect, match=f"--protocol {door}"),
    ):
        async with connect("localhost", port, "ann", "key"):
            pytest.fail("is no member")
