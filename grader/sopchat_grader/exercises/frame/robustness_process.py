"""The bonus, as a process: processor, memory, files, descriptors, and how it starts and ends."""

from collections.abc import Sequence
from itertools import pairwise

from sopchat_grader.exercises.frame.trial import (
    BONUS,
    CHAT,
    FRAME,
    LAST,
    NAME_SIZE,
    TEXT_SIZE,
    FrameTrial,
    frame,
)
from sopchat_grader.failure import CannotAssess, Failed
from sopchat_grader.printable import printable
from sopchat_grader.trial import IDLE, IDLE_SHARE

# Members that come and go in a round, the frames of each, and the bytes by which memory may grow
# in a round: less than all frames of it. One round without more is enough; the first is for warmth.
_ROUNDS = 4
_VISITS = 20
_FRAMES = 100
_GROWTH = 512 << 10


@FRAME.check(
    "R.13",
    BONUS,
    "ends on SIGINT also during a half frame",
    sentence="On SIGINT the server closes every connection and ends with status 0.",
    wire="A member has sent half a frame, and a client half an authentication frame; the program"
    " gets SIGINT.",
    seen="Both connections are closed, and the program ends with status 0.",
    after=["4.2", "R.3", "R.5", "R.12"],
    programs=LAST,
)
async def ends_during_half_a_frame(trial: FrameTrial) -> None:
    member, other = await trial.members(2)
    await member.send(frame(member.name, trial.text())[:300])
    stranger = await trial.connect(trial.word())
    await stranger.send(frame(stranger.name, trial.key)[:300])
    await trial.say(other, [member])
    trial.program.interrupt()
    for client in (member, stranger):
        await client.expect_closed("on SIGINT")
    await trial.expect_end("on SIGINT", status=0)


@FRAME.check(
    "R.14",
    BONUS,
    "uses no processor time while idle",
    sentence="Nothing happens: the server waits, and does not look all the time.",
    wire="Two members have talked and are silent now.",
    seen=f"For {IDLE} s the program's processes use less than {IDLE_SHARE:.0%} of a processor.",
    after=["3.1"],
    programs=CHAT,
)
async def idle(trial: FrameTrial) -> None:
    members = await trial.members(2)
    await members[0].send(frame(members[0].name, trial.text()))
    await members[1].wait_readable("the frame")
    await trial.expect_idle()


@FRAME.check(
    "R.15",
    BONUS,
    "starts again at once on the same port",
    sentence="The server can be started again as soon as it has ended.",
    wire="Two members are in; the program gets SIGINT and closes them; it is started again with"
    " the same port.",
    seen="It listens, and a client becomes a member.",
    after=["4.2"],
    programs=LAST,
)
async def starts_again(trial: FrameTrial) -> None:
    members = await trial.members(2)
    trial.program.interrupt()
    for member in members:
        await member.expect_closed("on SIGINT")
    await trial.expect_end("on SIGINT")
    await trial.start(on_same_port=True)
    await trial.join(trial.word())


@FRAME.check(
    "R.16",
    BONUS,
    "tells wrong use, and ends",
    sentence="Wrong use: a line that says so, and a status that is not 0.",
    wire="The program is started without arguments, without a key, and with a port that is none.",
    seen="Each time it prints something and ends with a status other than 0, not by a signal.",
    programs=CHAT,
)
async def tells_wrong_use(trial: FrameTrial) -> None:
    port = str(trial.port)
    for arguments in ((), (port,), ("port", trial.key), ("70000", trial.key)):
        await _expect_complaint(trial, arguments, f"with the arguments {list(arguments)}")


async def _expect_complaint(trial: FrameTrial, arguments: Sequence[str], when: str) -> None:
    program = trial.launch(arguments)
    await trial.expect_refusal_to_start(f"at once when started {when}")
    if b"Traceback (most recent call last)" in program.console.errors:
        raise Failed(f"a message when started {when}", "a traceback")
    if not program.console.size:
        raise Failed(f"a message when started {when}", "nothing was printed")
    if program.status is None or program.status <= 0:
        raise Failed(f"a status other than 0 when started {when}", f"it {program.ending}")


@FRAME.check(
    "R.17",
    BONUS,
    "tells that its port is taken, and ends",
    sentence="Port taken: a line that says so, and a status that is not 0.",
    wire="The program is started twice with the same port.",
    seen="The second prints something and ends with a status other than 0, not by a signal.",
    after=["1.1"],
    programs=CHAT,
)
async def tells_a_busy_port(trial: FrameTrial) -> None:
    first = await trial.start()
    await _expect_complaint(trial, trial.arguments(), "with a port that is taken")
    if first.status is not None:
        raise Failed("the first program goes on", f"it {first.ending}")


@FRAME.check(
    "R.18",
    BONUS,
    "keeps its memory over many connections",
    sentence="The server releases what belongs to a member who left.",
    wire=f"{_VISITS} members come, send {_FRAMES} frames each, and leave; {_ROUNDS} times.",
    seen=f"Memory does not grow by {_GROWTH >> 10} KiB or more every time.",
    after=["4.8"],
    programs=LAST,
)
async def keeps_its_memory(trial: FrameTrial) -> None:
    program = await trial.start()

    async def visits() -> int:
        for _ in range(_VISITS):
            member = await trial.join_soon(trial.word())
            await member.send(trial.run_of_frames(member, _FRAMES))
            await member.leave()
        return program.memory()

    sizes = [await visits() for _ in range(_ROUNDS)]
    growths = [after - before for before, after in pairwise(sizes)]
    if min(growths) > _GROWTH:
        raise Failed(
            f"a round in which memory grows by less than {_GROWTH >> 10} KiB",
            f"{', '.join(f'{growth >> 10} KiB' for growth in growths)} more from round to round",
        )


@FRAME.check(
    "R.19",
    BONUS,
    "makes no mistake with memory (AddressSanitizer)",
    sentence="The program reads and writes nothing that is not its own.",
    wire="The C sources are compiled with AddressSanitizer; members talk, leave in a flood, and"
    " offer full fields.",
    seen="The program goes on, and the sanitizer reports nothing.",
    after=["4.6"],
    programs=LAST,
    needs_sources=True,
)
async def sanitizer_is_silent(trial: FrameTrial) -> None:
    if isinstance(trial.setting.sanitized, str):
        raise CannotAssess(trial.setting.sanitized)
    trial.use(trial.setting.sanitized)
    trouble: Failed | None = None
    try:
        await _exert(trial)
    except Failed as failed:
        trouble = failed
    said = bytes(trial.program.console.errors)
    at = said.find(b"Sanitizer")
    if at >= 0:
        raise Failed("no report of AddressSanitizer", printable(said[max(at - 40, 0) : at + 160]))
    if trouble is not None:
        raise CannotAssess(f"something else went wrong: {trouble.seen}")


async def _exert(trial: FrameTrial) -> None:
    """Everything in which C programs go beyond their memory."""
    first, second = await trial.members(2)
    full = await trial.join("n" * NAME_SIZE)
    longest = frame(full.name, "t" * TEXT_SIZE)
    await full.send(longest)
    for member in (first, second):
        await member.expect(longest, f"the frame of {full.name}")
    await trial.offer("m" * NAME_SIZE, "k" * TEXT_SIZE)
    full.reset()
    await trial.exchange(first, second, 50)
    trial.program.interrupt()
    await trial.expect_end("on SIGINT")


@FRAME.check(
    "R.20",
    BONUS,
    "leaves no files behind",
    sentence="The server keeps nothing.",
    wire="Two members talk; the program gets SIGINT.",
    seen="The folder it was started in is empty, as it was.",
    after=["3.2", "4.2"],
    programs=LAST,
)
async def leaves_no_files(trial: FrameTrial) -> None:
    await trial.expect_talk(await trial.members(2))
    trial.program.interrupt()
    await trial.expect_end("on SIGINT")
    found = sorted(path.name for path in trial.containment.folder.iterdir())
    if found:
        raise Failed("an empty folder", ", ".join(found))
