"""Stage 4: a good end."""

from collections.abc import Callable

import trio

from sopchat_grader.client import Client
from sopchat_grader.exercises.frame.trial import FRAME, LAST, MEMBERS, FrameTrial
from sopchat_grader.failure import Failed

# Frames that each of two senders sends in a flood: what a member that never reads has unread
# then still fits into the kernel's buffers, so that a server that blocks is not stopped by it.
_FLOOD = 200
_ROUNDS = 8

# A server that forgets to close loses this many descriptors, and more than any noise.
_VISITS = 8


@FRAME.check(
    "4.1",
    0.5,
    "ends with status 0 on SIGINT while idle",
    sentence="On SIGINT the server releases everything and ends with status 0.",
    wire="The program listens; nothing is connected; it gets SIGINT.",
    seen="It ends with status 0.",
    after=["1.1"],
    programs=LAST,
)
async def ends_while_idle(trial: FrameTrial) -> None:
    program = await trial.start()
    program.interrupt()
    await trial.expect_end("on SIGINT", status=0)


@FRAME.check(
    "4.2",
    0.75,
    "closes all members and ends with status 0 on SIGINT",
    sentence="On SIGINT the server closes every connection and ends with status 0.",
    wire="Three members are in; the program gets SIGINT.",
    seen="All three connections are closed, and the program ends with status 0.",
    after=["3.1"],
    programs=LAST,
)
async def ends_with_members(trial: FrameTrial) -> None:
    members = await trial.members(3)
    trial.program.interrupt()
    for member in members:
        await member.expect_closed("on SIGINT")
    await trial.expect_end("on SIGINT", status=0)


@FRAME.check(
    "4.3",
    0.25,
    "ends on a real Ctrl-C, and leaves no process behind",
    sentence="Ctrl-C ends the server and everything that belongs to it.",
    wire="Three members are in; the key Ctrl-C is pressed on the program's terminal.",
    seen="All three connections are closed, the program ends with status 0, and no process of"
    " it is left.",
    after=["3.1"],
    programs=LAST,
)
async def ends_on_control_c(trial: FrameTrial) -> None:
    members = await trial.members(3)
    program = trial.program
    program.press_control_c()
    for member in members:
        await member.expect_closed("on Ctrl-C")
    await trial.expect_end("on Ctrl-C", status=0)
    await trial.expect_soon(
        lambda: not program.processes(),
        "no process of the program is left after Ctrl-C",
        "one still runs",
    )


@FRAME.check(
    "4.4",
    0.75,
    "has the place free of a member who left",
    sentence="A member whose connection ends is disconnected, and its place is free again.",
    wire="Four members; one closes; another client authenticates; four times.",
    seen="The newcomer becomes a member.",
    after=["3.1"],
    programs=LAST,
)
async def frees_the_place(trial: FrameTrial) -> None:
    members = await trial.members(MEMBERS)
    for _ in range(MEMBERS):
        members.pop(0).close()
        members.append(await trial.join_soon(trial.word()))


@FRAME.check(
    "4.5",
    0.5,
    "relays rightly whoever leaves: the first, a middle one, the last",
    sentence="The other members never notice more than that one is gone.",
    wire="Of four members the first leaves, or the second, or the last; then the others send a"
    " frame each.",
    seen="Each frame comes to the two others, and to them alone.",
    after=["3.4"],
    programs=LAST,
)
async def relays_after_a_departure(trial: FrameTrial) -> None:
    for leaving in (0, 1, MEMBERS - 1):
        members = await trial.members(MEMBERS)
        members.pop(leaving).close()
        await trial.expect_talk(members)


@FRAME.check(
    "4.6",
    0.5,
    "survives members that close in a flood",
    sentence="A write that fails with EPIPE or ECONNRESET ends that member and nothing else.",
    wire="Two members send 200 frames each at once, and a third ends its sending and closes its"
    " connection with unread data meanwhile; eight times.",
    seen="The program goes on, and the two receive all of each other's frames.",
    after=["3.8", "4.4"],
    programs=LAST,
)
async def survives_closes(trial: FrameTrial) -> None:
    def leave(client: Client) -> None:
        client.end_sending()
        client.close()

    await _flood(trial, leave)


@FRAME.check(
    "4.7",
    0.5,
    "survives members that reset in a flood",
    sentence="A write that fails with EPIPE or ECONNRESET ends that member and nothing else.",
    wire="Two members send 200 frames each at once, and a third resets its connection meanwhile"
    " (linger 0); eight times.",
    seen="The program goes on, and the two receive all of each other's frames.",
    after=["3.8", "4.4"],
    programs=LAST,
)
async def survives_resets(trial: FrameTrial) -> None:
    await _flood(trial, Client.reset)


async def _flood(trial: FrameTrial, leave: Callable[[Client], None]) -> None:
    first, second = await trial.members(2)

    async def come_and_go() -> None:
        await third.wait_readable("frames of the flood")
        leave(third)

    for _ in range(_ROUNDS):
        third = await trial.join_soon(trial.word())
        async with trio.open_nursery() as nursery:
            nursery.start_soon(come_and_go)
            nursery.start_soon(trial.exchange, first, second, _FLOOD)
        await trial.expect_running()


@FRAME.check(
    "4.8",
    0.25,
    "gives back all descriptors",
    sentence="The server releases what belongs to a member who left.",
    wire="Members and clients with wrong keys come and leave; the open descriptors are counted"
    " before and after.",
    seen="As many as before.",
    after=["3.10", "4.4"],
    programs=LAST,
)
async def gives_back_descriptors(trial: FrameTrial) -> None:
    program = await trial.start()

    async def visit() -> None:
        member = await trial.join_soon(trial.word())
        stranger = await trial.offer(trial.word(), f"8{trial.word()}")
        await stranger.leave_when_told()
        member.close()

    await visit()  # whatever is opened once is open now, and what is a visit's is closed soon
    baseline = await _settled(trial)
    for _ in range(_VISITS):
        await visit()
    with trio.move_on_after(trial.patience):
        await program.glance_until(lambda: program.descriptor_count() <= baseline)
    count = program.descriptor_count()
    if count > baseline:
        raise Failed(
            f"{baseline} open descriptors, as before {_VISITS} members came and left", f"{count}"
        )


async def _settled(trial: FrameTrial) -> int:
    """The number of descriptors when none is one of the port's connections any more.

    A server that never closes one is found by the count afterwards.
    """
    program = trial.program
    with trio.move_on_after(trial.patience / 2):
        await program.glance_until(lambda: program.connection_count(trial.port) == 0)
    return program.descriptor_count() - program.connection_count(trial.port)
