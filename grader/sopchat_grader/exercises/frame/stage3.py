"""Stage 3: a chat of four."""

import contextlib

from sopchat_grader.client import Client
from sopchat_grader.exercises.frame.trial import CHAT, FRAME, MEMBERS, FrameTrial, frame
from sopchat_grader.failure import Failed


@FRAME.check(
    "3.1",
    1,
    "has two members at once",
    sentence="The server serves many clients at a time.",
    wire="Two clients authenticate; the first stays.",
    seen="Both get their authentication frames back.",
    after=["2.2"],
    programs=CHAT,
)
async def has_two(trial: FrameTrial) -> None:
    await trial.members(2)


@FRAME.check(
    "3.2",
    2,
    "relays a frame to the other, byte for byte",
    sentence="Each frame of a member is forwarded, byte for byte, to every other member.",
    wire="One of two members sends a frame.",
    seen="The other receives the same 512 bytes.",
    after=["3.1"],
    programs=CHAT,
)
async def relays(trial: FrameTrial) -> None:
    first, second = await trial.members(2)
    await trial.say(first, [second])


@FRAME.check(
    "3.3",
    0.5,
    "sends nothing back to the sender",
    sentence="A frame is not forwarded to its sender.",
    wire="One of two members sends a frame; when the other has it, that one sends a frame, too.",
    seen="The first thing that the first member receives is the other's frame.",
    after=["3.2"],
    programs=CHAT,
)
async def not_to_the_sender(trial: FrameTrial) -> None:
    first, second = await trial.members(2)
    first.minds_echoes = second.minds_echoes = True
    await trial.say(first, [second])
    await trial.say(second, [first])


@FRAME.check(
    "3.4",
    1,
    "has four members, and each reaches the three others",
    sentence="Up to four members, each of whose frames go to every other.",
    wire="Four clients authenticate; each sends a frame in turn.",
    seen="Each frame comes to the other three, and to them alone.",
    after=["3.2"],
    programs=CHAT,
)
async def has_four(trial: FrameTrial) -> None:
    await trial.expect_talk(await trial.members(MEMBERS))


@FRAME.check(
    "3.5",
    0.5,
    "shows the messages on the console",
    sentence="Each frame of a member is shown on the console.",
    wire="Two members send a frame each.",
    seen="Both texts on the console.",
    after=["3.1"],
    programs=CHAT,
)
async def shows_messages(trial: FrameTrial) -> None:
    for member in await trial.members(2):
        text = trial.text()
        await member.send(frame(member.name, text))
        await trial.expect_shown([text], f"the message of {member.name}")


@FRAME.check(
    "3.6",
    0.5,
    "closes the connection of a fifth",
    sentence="While there are four members, a new connection is closed, without a byte.",
    wire="A fifth client connects and sends its authentication frame.",
    seen="Its connection is closed, before or after that; not a byte comes.",
    after=["3.1"],
    programs=CHAT,
)
async def closes_the_fifth(trial: FrameTrial) -> None:
    await trial.members(MEMBERS)
    fifth = await _knock(trial)
    if fifth is not None:
        await fifth.expect_closed("because there are four members")
    await trial.expect_running()


async def _knock(trial: FrameTrial) -> Client | None:
    """A client that connects and offers the key; it may be turned away before it has."""
    name = trial.word()
    try:
        fifth = await trial.connect(name)
    except Failed:
        return None
    with contextlib.suppress(Failed):
        await fifth.send(frame(name, trial.key))
    return fifth


@FRAME.check(
    "3.7",
    0.5,
    "lets the four talk on after a fifth tried",
    sentence="Who finds no place does no harm to those who have one.",
    wire="A fifth client connects and sends its authentication frame; then each of the four sends"
    " a frame.",
    seen="Each frame comes to the other three.",
    after=["3.4"],
    programs=CHAT,
)
async def talks_after_a_fifth(trial: FrameTrial) -> None:
    members = await trial.members(MEMBERS)
    fifth = await _knock(trial)
    await trial.expect_talk(members)
    if fifth is not None:
        fifth.close()
    await trial.expect_talk(members)


@FRAME.check(
    "3.8",
    1,
    "keeps the order of each sender",
    sentence="TCP is a byte stream; what one member sends arrives whole and in its order.",
    wire="Two members send 20 frames each at the same time.",
    seen="Each receives the other's 20 frames, whole and in order.",
    after=["3.2"],
    programs=CHAT,
)
async def keeps_order(trial: FrameTrial) -> None:
    first, second = await trial.members(2)
    await trial.exchange(first, second, count=20)


@FRAME.check(
    "3.9",
    0.5,
    "goes on unharmed after a wrong key",
    sentence="A wrong key has no effect on the members.",
    wire="While two members are in, a client offers a wrong key; then both members send a frame.",
    seen="Each frame comes to the other member.",
    after=["3.2"],
    programs=CHAT,
)
async def unharmed_by_a_wrong_key(trial: FrameTrial) -> None:
    members = await trial.members(2)
    await trial.offer(trial.word(), f"8{trial.word()}")
    await trial.expect_talk(members)
    third = await trial.join_soon(trial.word())
    await trial.expect_talk([*members, third])


@FRAME.check(
    "3.10",
    0.5,
    "has four places also after six wrong keys",
    sentence="A connection that has not authenticated is no member and takes no place for good.",
    wire="Six clients offer wrong keys, one after the other, and leave; then four clients"
    " authenticate.",
    seen="All four become members.",
    after=["3.1"],
    programs=CHAT,
)
async def places_after_wrong_keys(trial: FrameTrial) -> None:
    await trial.start()
    for _ in range(6):
        stranger = await trial.offer(trial.word(), f"8{trial.word()}")
        await stranger.leave_when_told()
    for _ in range(MEMBERS):
        await trial.join_soon(trial.word())
