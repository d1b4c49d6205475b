import contextlib
import os
from collections.abc import Iterator

import pytest
import trio

from sopchat.console import Console
from sopchat.departure import Departure, Reason
from sopchat.doors import Offer
from sopchat.doors.frame import FrameDoor
from sopchat.doors.tcp import open_listeners
from sopchat.limits import Limits
from sopchat.outbox import Outbox
from sopchat.room import Member, Room
from tests.support.connection import PlayedConnection
from tests.support.frames import frame
from tests.support.tls import HeardConsole


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe's reading and writing ends."""
    ends = os.pipe()
    yield ends
    for end in ends:
        with contextlib.suppress(OSError):
            os.close(end)


def a_member(name: bytes = b"ann") -> Member:
    room = Room(4)
    return Member(
        name, "192.0.2.1:5", FrameDoor(), Outbox(PlayedConnection(), room.pressure, Limits())
    )


async def shown(console: Console, pipe: tuple[int, int]) -> str:
    """What the console writes until it ends."""
    async with console.running():
        pass
    os.close(pipe[1])
    with open(pipe[0], "rb", closefd=False) as file:
        return file.read().decode(console.encoding)


async def test_a_connections_life_is_shown_line_by_line(pipe: tuple[int, int]) -> None:
    console, room = Console(pipe[1]), Room(4)
    ann = a_member()
    console.listening("port 9000")
    console.offered("192.0.2.1:5", Offer(b"ann", b"secret", b""), True)
    room.join(ann)
    console.joined(room, ann)
    console.relayed(ann, frame("ann", "hello") + frame("ann", "you"))
    room.leave(ann, Departure(Reason.CLOSED))
    console.left(room, ann, Departure(Reason.CLOSED, half=3))
    console.turned_away("192.0.2.1:6", Departure(Reason.WRONG_KEY))
    console.closing()
    assert (await shown(console, pipe)).splitlines() == [
        "listening on port 9000, Ctrl-C ends",
        "192.0.2.1:5 offers as ann the key 'secret', which fits",
        "ann joined (1/4)",
        "ann: hello",
        "ann: you",
        "ann left (0/4): closed the connection, in the middle of a frame: 3 bytes dropped",
        "192.0.2.1:6 did not join: wrong key",
        "closing",
    ]


async def test_keys_and_messages_can_be_hidden(pipe: tuple[int, int]) -> None:
    console = Console(pipe[1], show_messages=False, show_keys=False)
    console.offered("peer", Offer(b"ann", b"secret", b""), False)
    console.relayed(a_member(), frame("ann", "hello"))
    assert await shown(console, pipe) == "peer offers as ann the key, which does not fit\n"


async def test_nobody_forges_a_line_or_drives_the_terminal(pipe: tuple[int, int]) -> None:
    console = Console(pipe[1])
    console.offered("peer", Offer(b"a\nroot joined", b"\x1b[2J", b""), False)
    console.relayed(a_member(), frame("ann", "x\nbob: forged\r\x1b]0;title\x07"))
    assert (await shown(console, pipe)).splitlines() == [
        "peer offers as a\\nroot joined the key '\\x1b[2J', which does not fit",
        "ann: x\\nbob: forged\\r\\x1b]0;title\\x07",
    ]


async def test_a_frame_under_another_name_is_shown_with_both(pipe: tuple[int, int]) -> None:
    console = Console(pipe[1])
    console.relayed(a_member(b"eve"), frame("ann", "I owe eve 100"))
    console.relayed(a_member(b"eve"), frame("eve", "1") + frame("ann", "2") + frame("eve", "3"))
    console.relayed(a_member(b""), frame("", "no name"))
    assert (await shown(console, pipe)).splitlines() == [
        "ann (by eve): I owe eve 100",
        "eve: 1",
        "ann (by eve): 2",
        "eve: 3",
        "(no name): no name",
    ]


async def test_chunks_and_other_lines_keep_their_order(pipe: tuple[int, int]) -> None:
    console, room = Console(pipe[1]), Room(4)
    ann, bob = a_member(), a_member(b"bob")
    console.relayed(ann, frame("ann", "1"))
    console.relayed(ann, frame("ann", "2"))
    console.relayed(bob, frame("bob", "3"))
    console.left(room, bob, Departure(Reason.RESET))
    console.relayed(ann, frame("ann", "4"))
    lines = (await shown(console, pipe)).splitlines()
    assert [line[-1] for line in lines if ": " in line] == ["1", "2", "3", ")", "4"]
    assert len(lines) == 5


async def test_the_text_behind_a_nul_is_not_shown(pipe: tuple[int, int]) -> None:
    console = Console(pipe[1])
    console.relayed(a_member(), frame(b"ann\0x", b"seen\0hidden") + frame(b"ann\0x", b"\0" * 9))
    assert await shown(console, pipe) == "ann: seen\nann: \n"


async def test_names_have_colours_where_asked_and_texts_none(pipe: tuple[int, int]) -> None:
    console = Console(pipe[1], colour=True)
    console.relayed(a_member(), frame("ann", "hello"))
    text = await shown(console, pipe)
    assert text.startswith("\x1b[")
    assert text.endswith("ann\x1b[0m: hello\n")


async def test_what_the_outputs_encoding_cannot_say_is_escaped(pipe: tuple[int, int]) -> None:
    console = Console(pipe[1], encoding="ascii")
    console.relayed(a_member(), frame("ann", "grün"))
    assert await shown(console, pipe) == "ann: gr\\xfcn\n"


async def test_many_chunks_are_formatted_before_they_are_too_many(pipe: tuple[int, int]) -> None:
    console = Console(pipe[1], mark=2**30)
    ann = a_member()
    chunk = frame("ann", "x") * 128
    for _ in range(20):
        console.relayed(ann, chunk)
        assert len(console._chunks) < 8

    async def read() -> bytes:
        data = b""
        while len(data) < 20 * 128 * 7:
            data += await trio.to_thread.run_sync(os.read, pipe[0], 65536)
        return data

    async with console.running():
        assert await read() == b"ann: x\n" * 20 * 128


async def test_a_stuck_output_blocks_nobody_and_what_it_missed_is_counted(
    pipe: tuple[int, int],
) -> None:
    console = Console(pipe[1], mark=100_000)
    ann = a_member()
    text = "x" * 400
    async with console.running():
        for _ in range(100):  # far more than the pipe and the mark hold
            console.relayed(ann, frame("ann", text) * 100)
            await trio.lowlevel.checkpoint()
        console.closing()
        data = b""
        while b"closing" not in data and b"not shown" not in data:
            data += await trio.to_thread.run_sync(os.read, pipe[0], 2**20)
        # The output moves again: what comes now is shown, the count first.
        console.relayed(ann, frame("ann", "here again"))
        while b"here again\n" not in data:
            data += await trio.to_thread.run_sync(os.read, pipe[0], 2**20)
    lines = data.decode().splitlines()
    shown = sum(line == f"ann: {text}" for line in lines)
    mentions = [line for line in lines if "not shown" in line]
    assert shown + int(mentions[-1].split()[0]) in (100 * 100, 100 * 100 + 1)
    assert 200 < shown < 100 * 100
    assert lines.index(mentions[-1]) < lines.index("ann: here again")


async def test_the_end_waits_only_a_moment_for_a_stuck_output(pipe: tuple[int, int]) -> None:
    console = Console(pipe[1])
    with trio.fail_after(5):
        async with console.running():
            console.relayed(a_member(), frame("ann", "x" * 400) * 1000)


async def test_an_output_nobody_reads_any_more_silences_the_console(
    pipe: tuple[int, int], capfd: pytest.CaptureFixture[str]
) -> None:
    console = Console(pipe[1])
    os.close(pipe[0])
    with trio.fail_after(5):
        async with console.running():
            console.listening("port 9000")
            while console.output is not None:
                await trio.sleep(0.001)
            console.relayed(a_member(), frame("ann", "x"))
            console.closing()
    assert capfd.readouterr().err == "sop-chat: Broken pipe: nothing more is shown\n"


async def test_a_full_disk_is_counted_and_the_console_goes_on() -> None:
    with open("/dev/full", "wb") as full:
        console = Console(full.fileno())
        with trio.fail_after(5):
            async with console.running():
                console.relayed(a_member(), frame("ann", "x") * 3)
                while not console._unshown:
                    await trio.sleep(0.001)
    assert console._unshown == 3
    assert console.output is not None


async def test_an_output_made_non_blocking_loses_nothing(pipe: tuple[int, int]) -> None:
    os.set_blocking(pipe[1], False)
    console = Console(pipe[1])
    ann = a_member()
    async with console.running():
        for number in range(1000):
            console.relayed(ann, frame("ann", f"{number:03} " + "x" * 400))
        data = b""
        while data.count(b"\n") < 1000:
            data += await trio.to_thread.run_sync(os.read, pipe[0], 65536)
    assert [line.split()[1] for line in data.decode().splitlines()] == [
        f"{number:03}" for number in range(1000)
    ]


async def test_without_an_output_nothing_is_written_anywhere() -> None:
    console = Console(None)
    async with console.running():
        console.listening("port 9000")
        console.relayed(a_member(), frame("ann", "x"))
        console.closing()


@pytest.mark.parametrize(
    ("host", "clear"), [("", True), ("127.0.0.1", False), ("::1", False), ("0.0.0.0", True)]
)
def test_that_others_may_listen_in_is_told_unless_only_this_machine_can(
    host: str, clear: bool
) -> None:
    listeners = open_listeners(0, host or None)
    console = HeardConsole()
    console.unencrypted(listeners)
    for listener in listeners:
        listener.close()
    words = "what is said crosses the network in the clear; --tls auto encrypts it"
    assert console.lines == ([words] if clear else [])
