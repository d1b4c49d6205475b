"""The bonus, on the wire: pieces, floods, strangers, and bytes that students do not think of."""

import trio

from sopchat_grader.client import Client
from sopchat_grader.exercises.frame.trial import (
    BONUS,
    CHAT,
    FRAME,
    FRAME_SIZE,
    LAST,
    NAME_SIZE,
    TEXT_SIZE,
    FrameTrial,
    frame,
)
from sopchat_grader.failure import Failed
from sopchat_grader.processes import largest_send_buffer

# Bytes of the receive buffer of a member that never reads.
_SMALL_BUFFER = 4096


@FRAME.check(
    "R.1",
    BONUS,
    "takes a frame in pieces",
    sentence="A frame may arrive in 512 pieces.",
    wire="A client sends its authentication frame and a further frame byte by byte.",
    seen="It becomes a member, and the other member receives the frame whole.",
    after=["3.2"],
    programs=CHAT,
)
async def takes_pieces(trial: FrameTrial) -> None:
    (first,) = await trial.members(1)
    second = await trial.connect(trial.word())
    mine = frame(second.name, trial.key)
    await _send_in_pieces(second, mine)
    await second.expect(mine, "its authentication frame back")
    said = frame(second.name, trial.text())
    await _send_in_pieces(second, said)
    await first.expect(said, f"the frame of {second.name}")


async def _send_in_pieces(client: Client, data: bytes) -> None:
    for at in range(len(data)):
        await client.send(data[at : at + 1])
        if at % 16 == 0:
            await trio.sleep(0.0005)  # or the kernel would join them again


@FRAME.check(
    "R.2",
    BONUS,
    "takes 200 frames in one send",
    sentence="200 frames may arrive in one read.",
    wire="A member sends 200 frames at once, with the authentication frame before them.",
    seen="It becomes a member, and the other one receives all 200, whole and in order.",
    after=["3.8"],
    programs=CHAT,
)
async def takes_many_at_once(trial: FrameTrial) -> None:
    (first,) = await trial.members(1)
    second = await trial.connect(trial.word())
    mine = frame(second.name, trial.key)
    said = trial.run_of_frames(second, 200)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(second.send, mine + said)
        await second.expect(mine, "its authentication frame back")
        await first.expect(said, f"the 200 frames of {second.name}")


@FRAME.check(
    "R.3",
    BONUS,
    "is not stalled by half an authentication frame",
    sentence="A connection that has not authenticated delays nobody.",
    wire="A client sends 100 bytes of its authentication frame and waits; two others join and"
    " talk.",
    seen="Their frames arrive.",
    after=["3.2"],
    programs=CHAT,
)
async def not_stalled_by_half_an_authentication(trial: FrameTrial) -> None:
    await trial.start()
    slow = await trial.connect(trial.word())
    await slow.send(frame(slow.name, trial.key)[:100])
    await trial.expect_talk([await trial.join(trial.word()) for _ in range(2)])


@FRAME.check(
    "R.4",
    BONUS,
    "is not stalled by a silent connection",
    sentence="A connection that has not authenticated delays nobody.",
    wire="A client connects and sends nothing; two others join and talk.",
    seen="Their frames arrive.",
    after=["3.2"],
    programs=CHAT,
)
async def not_stalled_by_silence(trial: FrameTrial) -> None:
    await trial.start()
    await trial.connect(trial.word())
    await trial.expect_talk([await trial.join(trial.word()) for _ in range(2)])


@FRAME.check(
    "R.5",
    BONUS,
    "is not stalled by a member's half frame",
    sentence="A frame in pieces delays nothing for any other client.",
    wire="One of three members sends 100 bytes of a frame; the two others talk; then it sends the"
    " rest.",
    seen="The frames of the two arrive at once, and at last the one in two pieces.",
    after=["3.2"],
    programs=CHAT,
)
async def not_stalled_by_half_a_frame(trial: FrameTrial) -> None:
    slow, *others = await trial.members(3)
    said = frame(slow.name, trial.text())
    await slow.send(said[:100])
    await trial.expect_talk(others)
    await slow.send(said[100:])
    for other in others:
        await other.expect(said, f"the frame of {slow.name}, sent in two pieces")


@FRAME.check(
    "R.6",
    BONUS,
    "relays nothing of a half frame before the end",
    sentence="A half frame in the buffer when a member leaves is dropped.",
    wire="One of three members sends a frame, then 100 bytes of another, and closes; then the"
    " second sends a frame.",
    seen="The third receives the two whole frames, and neither the half one nor older bytes.",
    after=["3.2"],
    programs=LAST,
)
async def drops_half_a_frame(trial: FrameTrial) -> None:
    leaving, second, third = await trial.members(3)
    await trial.say(leaving, [second, third])
    await leaving.send(frame(leaving.name, trial.text())[:100])
    leaving.end_sending()
    await _expect_gone(leaving)
    await trial.say(second, [third])


async def _expect_gone(client: Client) -> None:
    """The server has read the end of file and closes the connection, too."""
    try:
        while await client.receive(FRAME_SIZE):
            pass
    except trio.TooSlowError:
        raise Failed(
            f"{client.name}'s connection is closed after the end of file", "it stays open"
        ) from None
    client.close()


@FRAME.check(
    "R.7",
    BONUS,
    "shows nothing again when a member leaves",
    sentence="Each frame of a member is shown on the console: once.",
    wire="One of two members sends a frame and closes; then the other sends one.",
    seen="Both texts on the console, the first as often as before its sender left.",
    after=["3.2", "3.5"],
    programs=LAST,
)
async def shows_nothing_again(trial: FrameTrial) -> None:
    leaving, other = await trial.members(2)
    first = await trial.say(leaving, [other])
    await trial.expect_shown([first], "the first message")
    before = _times_shown(trial, first)
    leaving.end_sending()
    await _expect_gone(leaving)
    second = trial.text()
    await other.send(frame(other.name, second))
    await trial.expect_shown([first, second], "the messages")
    after = _times_shown(trial, first)
    if after > before:
        raise Failed(
            f"{first} on the console as often as before its sender left: {before}", f"{after}"
        )


def _times_shown(trial: FrameTrial, text: str) -> int:
    console = trial.program.console
    return sum(stream.count(text.encode()) for stream in (console.output, console.errors))


@FRAME.check(
    "R.8",
    BONUS,
    "is not stalled by a member that never reads",
    sentence="A member that cannot keep up delays nobody and costs nobody else a frame.",
    wire="One of three members never reads, with a small buffer; another sends more than the"
    " system's buffers hold.",
    seen="The third receives all of them.",
    after=["3.8"],
    programs=CHAT,
)
async def not_stalled_by_a_stuck_reader(trial: FrameTrial) -> None:
    sender, reader = await trial.members(2)
    await trial.join(trial.word(), receive_buffer=_SMALL_BUFFER)
    count = largest_send_buffer() * 11 // 10 // FRAME_SIZE
    said = trial.run_of_frames(sender, count)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sender.send, said)
        await reader.expect(said, f"the {count} frames of {sender.name}")


@FRAME.check(
    "R.9",
    BONUS,
    "survives those who leave before they authenticate",
    sentence="A connection that ends takes nothing with it.",
    wire="Twenty clients connect and close at once, every other one with a reset; then two join"
    " and talk.",
    seen="Their frames arrive.",
    after=["3.2", "4.7"],
    programs=CHAT,
)
async def survives_early_departures(trial: FrameTrial) -> None:
    await trial.start()
    for number in range(20):
        client = await trial.connect(trial.word())
        if number % 2:
            client.reset()
        else:
            client.close()
    members = [await trial.join_soon(trial.word()) for _ in range(2)]
    await trial.expect_talk(members)


@FRAME.check(
    "R.10",
    BONUS,
    "takes a name and a text without any NUL",
    sentence="A 64-byte name and a 448-byte text without any NUL are legal.",
    wire="A client with a name of 64 characters joins, and sends a text of 448.",
    seen="It becomes a member, the frame arrives unchanged, and the console shows all of the"
    " name and of the text.",
    after=["3.2", "3.5"],
    programs=CHAT,
)
async def takes_full_fields(trial: FrameTrial) -> None:
    (first,) = await trial.members(1)
    name = (trial.word() * 8)[:NAME_SIZE]
    second = await trial.join(name)
    text = (trial.text() * 30)[:TEXT_SIZE]
    await second.send(frame(name, text))
    await first.expect(frame(name, text), "a frame without any NUL")
    await trial.expect_shown([name], "a name of 64 characters")
    await trial.expect_shown([text], "a text of 448 characters")


@FRAME.check(
    "R.11",
    BONUS,
    "relays every byte, also behind a NUL, and %n",
    sentence="Whatever stands behind the first NUL is relayed untouched.",
    wire="A member sends frames with bytes behind a NUL, with `%n%s%n`, and with every byte there"
    " is.",
    seen="All arrive unchanged; the program goes on.",
    after=["3.2"],
    programs=CHAT,
)
async def relays_any_bytes(trial: FrameTrial) -> None:
    first, second = await trial.members(2)
    binary = bytes(range(256)) + bytes(reversed(range(192)))
    for text in (f"{trial.text()}\0behind", "%n%s%n%x%n" * 20, binary):
        said = frame(first.name, text)
        await first.send(said)
        await second.expect(said, f"the frame of {first.name}")
    await trial.expect_talk([first, second])


@FRAME.check(
    "R.12",
    BONUS,
    "lets nobody hear who has not authenticated",
    sentence="A connection that has not authenticated hears nothing.",
    wire="A client connects and sends nothing; two members talk; then it authenticates.",
    seen="The first thing it receives is its own authentication frame.",
    after=["R.4"],
    programs=CHAT,
)
async def nothing_for_strangers(trial: FrameTrial) -> None:
    await trial.start()
    stranger = await trial.connect(trial.word())
    members = [await trial.join(trial.word()) for _ in range(2)]
    await trial.expect_talk(members)
    mine = frame(stranger.name, trial.key)
    await stranger.send(mine)
    await stranger.expect(mine, "its authentication frame, before anything else")
