"""The talk exercise: the Python course's chat server, which knows who is there."""

from collections.abc import Awaitable
from typing import TypeVar

from sopchat_grader.exercises.talk.trial import TALK, TalkTrial
from sopchat_grader.failure import CannotAssess, Failed
from sopchat_grader.processes import is_port_free
from sopchat_grader.transcript import summary

Happening = TypeVar("Happening")

_DEFAULT_PORT = 12345


@TALK.check(
    "1.1",
    1,
    "listens on the port behind -p",
    sentence="`-p` gives the TCP port.",
    wire="The program is started with -p. Nothing connects.",
    seen="A listening socket on that port, owned by the program.",
)
async def listens(trial: TalkTrial) -> None:
    await trial.start()


@TALK.check(
    "1.2",
    0.5,
    "takes --port as well",
    sentence="`-p`, `--port`: the TCP port.",
    wire="The program is started with --port.",
    seen="A listening socket on that port.",
    after=["1.1"],
)
async def takes_the_long_option(trial: TalkTrial) -> None:
    await trial.start(["--port", str(trial.port)])


@TALK.check(
    "1.3",
    0.5,
    "listens on 12345 when no port is given",
    sentence="The port is 12345 by default.",
    wire="The program is started without an option.",
    seen="A listening socket on port 12345.",
    after=["1.1"],
)
async def has_a_default_port(trial: TalkTrial) -> None:
    if not is_port_free(_DEFAULT_PORT):
        raise CannotAssess(f"port {_DEFAULT_PORT} is taken on this machine")
    trial.port = _DEFAULT_PORT
    await trial.start([])


@TALK.check(
    "1.4",
    1,
    "greets a new client, without a newline",
    sentence="A new client is sent `Thank you for connecting` (no newline).",
    wire="Two clients connect; the second says something.",
    seen="Each receives the greeting, and the first nothing between it and what the other says.",
    after=["1.1"],
)
async def greets(trial: TalkTrial) -> None:
    first, second = await trial.serve(2)
    await trial.say(second, [])
    next_byte = await first.receive_about(1)
    if not next_byte.strip(b"\r\n\0 "):
        raise Failed(
            f"{first.name} receives the greeting, and next what {second.name} says",
            summary(next_byte),
        )


@TALK.check(
    "1.5",
    0.5,
    "tells more with -v and --verbose, and is quiet without",
    sentence="`-v`, `--verbose`, off by default: a line for every new connection, departure,"
    " resend and /who:.",
    wire="Two clients connect, one talks, sends /who:, and the other leaves: without the option,"
    " with -v, with --verbose.",
    seen="With the option a line on the console for each of these, without it none.",
    after=["2.6"],
)
async def is_verbose(trial: TalkTrial) -> None:
    for option in ([], ["-v"], ["--verbose"]):
        trial.take_port()
        program = await trial.start(["-p", str(trial.port), *option], on_same_port=True)
        first, second = await _seen_to_tell(trial, option, "a connection", trial.come(2))
        await _seen_to_tell(trial, option, "a resend", trial.say(first, [second]))
        asked = trial.ask(first, [(first, first.name), (second, "<unknown>")], "/who:")
        await _seen_to_tell(trial, option, "/who:", asked)
        await _seen_to_tell(trial, option, "a departure", second.leave())
        if program.status is not None:
            raise Failed("the program goes on", f"it {program.ending}")


async def _seen_to_tell(
    trial: TalkTrial, option: list[str], what: str, happens: Awaitable[Happening]
) -> Happening:
    """Something happens: a line more with the option, and none without."""
    console = trial.program.console
    await trial.settle()
    before = console.line_count
    happened = await happens
    await trial.settle()
    if option:
        await trial.expect_soon(
            lambda: console.line_count > before,
            f"with {option[0]} a line on the console for {what}",
            "none",
        )
    elif console.line_count > before:
        raise Failed(f"without -v nothing on the console for {what}", "a line")
    return happened


@TALK.check(
    "2.1",
    2,
    "relays what one says to all others",
    sentence="What is read is forwarded as it came to every other client.",
    wire="Three clients connect; each says something.",
    seen="The two others receive the same bytes.",
    after=["1.4"],
)
async def relays(trial: TalkTrial) -> None:
    first, second, third = await trial.serve(3)
    await trial.say(first, [second, third])


@TALK.check(
    "2.2",
    1,
    "sends nothing back to who said it",
    sentence="What is read is forwarded to every *other* client.",
    wire="One of two clients says something; when the other has it, that one says something.",
    seen="The first thing that the first client receives is what the other said.",
    after=["2.1"],
)
async def not_to_the_sender(trial: TalkTrial) -> None:
    first, second = await trial.serve(2)
    await trial.say(first, [second])
    await trial.say(second, [first])


@TALK.check(
    "2.3",
    1,
    "answers /who: with everybody there",
    sentence="`/who:`: the number of clients, and for each its name, address and port.",
    wire="Two clients say something under their names; one sends `/who:`.",
    seen="`2 clients connected.` and `<name> connected from <address>, <port>.` for each.",
    after=["2.2"],
)
async def answers_who(trial: TalkTrial) -> None:
    first, second = await trial.serve(2)
    await trial.say(first, [second])
    await trial.say(second, [first])
    await trial.ask(first, [(first, first.name), (second, second.name)], "/who:")


@TALK.check(
    "2.4",
    0.5,
    "answers /who: also behind a name",
    sentence="`/who:`, alone or behind `<name> says: `, is for the server.",
    wire="A client says something under its name, then sends `<name> says: /who:`.",
    seen="The same answer.",
    after=["2.3"],
)
async def answers_who_behind_a_name(trial: TalkTrial) -> None:
    first, second = await trial.serve(2)
    await trial.say(first, [second])
    await trial.say(second, [first])
    pairs = [(first, first.name), (second, second.name)]
    await trial.ask(first, pairs, f"{first.name} says: /who:")


@TALK.check(
    "2.5",
    1,
    "answers /who: to the asker only",
    sentence="It answers that client only, and forwards nothing.",
    wire="One of two clients sends `/who:`, then says something.",
    seen="The other receives what was said, and nothing before it.",
    after=["2.3"],
)
async def answers_the_asker_only(trial: TalkTrial) -> None:
    first, second = await trial.serve(2)
    await trial.say(first, [second])
    await trial.say(second, [first])
    await trial.ask(first, [(first, first.name), (second, second.name)], "/who:")
    await trial.say(first, [second])


@TALK.check(
    "2.6",
    0.5,
    "calls <unknown> who has not said a name",
    sentence="Until a name was seen it is `<unknown>`.",
    wire="Two clients connect; the first says something under its name and sends `/who:`.",
    seen="The line of the second begins with `<unknown>`.",
    after=["2.3"],
)
async def knows_nobody_yet(trial: TalkTrial) -> None:
    first, second = await trial.serve(2)
    await trial.say(first, [second])
    await trial.ask(first, [(first, first.name), (second, "<unknown>")], "/who:")


@TALK.check(
    "2.7",
    0.5,
    "follows the name that a client says",
    sentence="The server remembers the name it last saw there for that client.",
    wire="A client says something under one name, then under another; the other sends `/who:`.",
    seen="The line of the first has the second name.",
    after=["2.3"],
)
async def follows_the_name(trial: TalkTrial) -> None:
    first, second = await trial.serve(2)
    await trial.say(first, [second])
    await trial.say(second, [first])
    other_name = trial.word()
    await trial.say(first, [second], name=other_name)
    await trial.ask(second, [(first, other_name), (second, second.name)], "/who:")


@TALK.check(
    "2.8",
    1,
    "no longer counts who left",
    sentence="A read that fails or returns nothing removes the client.",
    wire="Three clients talk; the second leaves; the first sends `/who:` until it is noticed.",
    seen="Two are counted, and there is no line for the one who left.",
    after=["2.3"],
)
async def counts_departures(trial: TalkTrial) -> None:
    first, second, third = await trial.serve(3)
    await trial.say(first, [second, third])
    await trial.say(third, [first, second])
    port, program = second.port, trial.program
    second.close()
    await trial.expect_soon(
        lambda: program.descriptor_of(trial.port, port) is None,
        f"the connection of {second.name}, who left, is closed on the server's side, too",
        "it is still open",
    )
    await trial.ask(first, [(first, first.name), (third, third.name)], "/who:")


@TALK.check(
    "3.1",
    1,
    "goes on when a client resets, without a traceback",
    sentence="A read that fails removes the client.",
    wire="Four times a client connects and resets while two others talk.",
    seen="What they say arrives, and no traceback is printed.",
    after=["2.2"],
)
async def survives_resets(trial: TalkTrial) -> None:
    first, second = await trial.serve(2)
    for _ in range(4):
        (leaving,) = await trial.come(1)
        leaving.reset()
        await trial.say(first, [second])
        await trial.say(second, [first])
    _expect_no_traceback(trial)


def _expect_no_traceback(trial: TalkTrial) -> None:
    console = trial.program.console
    for text in (console.output, console.errors):
        if b"Traceback (most recent call last)" in text:
            raise Failed("no traceback on the console", "one stands there")


@TALK.check(
    "3.2",
    0.5,
    "tells that its port is taken, without a traceback",
    sentence="Errors of a system call: a useful message and a graceful end; no traceback.",
    wire="The program is started twice with the same port.",
    seen="The second prints something, no traceback, and ends, not by a signal.",
    after=["1.1"],
)
async def tells_a_busy_port(trial: TalkTrial) -> None:
    await trial.start()
    program = trial.launch()
    await trial.expect_refusal_to_start("when its port is taken")
    _expect_no_traceback(trial)
    if not program.console.size:
        raise Failed("a message when the port is taken", "nothing was printed")
    if program.status is not None and program.status < 0:
        raise Failed("a graceful end when the port is taken", f"it {program.ending}")


@TALK.check(
    "3.3",
    1,
    "ends on Ctrl-C, without a traceback",
    sentence="Ctrl-C ends it.",
    wire="Two clients are there; the key Ctrl-C is pressed on the program's terminal.",
    seen="Both connections are closed, the program ends, and no traceback is printed.",
    after=["1.4"],
)
async def ends_on_control_c(trial: TalkTrial) -> None:
    clients = await trial.serve(2)
    trial.program.press_control_c()
    for client in clients:
        await client.expect_closed("on Ctrl-C")
    await trial.expect_end("on Ctrl-C")
    _expect_no_traceback(trial)
