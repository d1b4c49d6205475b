"""The line exercise: an event-driven relay of lines that tells each of its steps."""

import re

import trio

from sopchat_grader.exercises.line.trial import LINE, LineTrial
from sopchat_grader.failure import Difference, Failed

_USAGE = b"Usage: server <port>"


@LINE.check(
    "1.1",
    1,
    "listens on the port",
    sentence="The server listens on the TCP port it is given.",
    wire="The program is started. Nothing connects.",
    seen="A listening socket on that port, owned by the program.",
)
async def listens(trial: LineTrial) -> None:
    await trial.serve()


@LINE.check(
    "1.2",
    1,
    "tells that it waits, with MaxFd",
    sentence="Before the loop waits: `Waiting on select()...`, then `MaxFd` and the largest of the"
    " descriptors.",
    wire="The program is started. Nothing connects.",
    seen="The two lines; MaxFd is the real descriptor of the listening socket.",
    after=["1.1"],
)
async def tells_waiting(trial: LineTrial) -> None:
    await trial.serve()
    await trial.expect_waiting()


@LINE.check(
    "1.3",
    1,
    "tells each new connection with its descriptor",
    sentence="`New incoming connection on sd %d`, with the real descriptor.",
    wire="Three clients connect.",
    seen="A line for each, and nothing else but the blocks of waiting.",
    after=["1.1"],
)
async def tells_connections(trial: LineTrial) -> None:
    await trial.serve()
    await trial.come(3)
    await trial.expect_log()


@LINE.check(
    "1.4",
    1,
    "tells what it reads",
    sentence="`Descriptor %d is readable` before reading, `%d bytes received from sd %d` after.",
    wire="Two clients connect, and each sends a line.",
    seen="Both lines for each, with real descriptors and the number of bytes.",
    after=["1.3"],
)
async def tells_reads(trial: LineTrial) -> None:
    await trial.serve()
    for client in await trial.come(2):
        await trial.say(client, trial.line(), [])
        await trial.expect_log()


@LINE.check(
    "1.5",
    1,
    "tells a departure",
    sentence="`Connection closed for sd %d`, then `removing connection with sd %d ` with a blank"
    " at the end.",
    wire="Two clients connect; the first closes.",
    seen="`Descriptor %d is readable` and these two lines.",
    after=["1.3"],
)
async def tells_departures(trial: LineTrial) -> None:
    await trial.serve()
    first, _ = await trial.come(2)
    await trial.leave(first)
    await trial.expect_log()


@LINE.check(
    "1.6",
    1,
    "lets MaxFd rise and fall",
    sentence="MaxFd is the largest of the listening socket's and the clients' descriptors.",
    wire="Three clients connect; the last leaves, then the first, then the other.",
    seen="After each step MaxFd is the largest descriptor that is open.",
    after=["1.2"],
)
async def max_descriptor_falls(trial: LineTrial) -> None:
    await trial.serve()
    clients = await trial.come(3)
    await trial.expect_waiting()
    for place in (2, 0, 0):
        await trial.leave(clients.pop(place))
        await trial.expect_waiting()


@LINE.check(
    "2.1",
    2,
    "relays what one sends to all others",
    sentence="Every message is forwarded, as the bytes that came, to all other clients.",
    wire="Three clients connect; one sends a line; two more connect.",
    seen="The two others receive the same bytes.",
    after=["1.1"],
)
async def relays(trial: LineTrial) -> None:
    await trial.serve()
    first, *others = await trial.come(3)
    line = trial.line()
    await first.send(line)
    await trial.come(1)  # when it is accepted, the line has been read,
    await trial.come(1)  # and this makes a loop that is late come round once more
    for other in others:
        await other.expect(line, f"the line of {first.name}")


@LINE.check(
    "2.2",
    1,
    "relays at once, and without a further event",
    sentence="A socket waits for writability while its queue holds something.",
    wire="Three clients connect; one sends a line, and nothing else happens.",
    seen="The two others receive the same bytes.",
    after=["2.1"],
)
async def relays_at_once(trial: LineTrial) -> None:
    await trial.serve()
    first, *others = await trial.come(3)
    await trial.say(first, trial.line(), others)


@LINE.check(
    "2.3",
    1,
    "sends nothing back to the sender",
    sentence="A message is not forwarded to its sender.",
    wire="One of two clients sends a line; when the other has it, that one sends a line, too.",
    seen="The first thing that the first client receives is the other's line.",
    after=["2.2"],
)
async def not_to_the_sender(trial: LineTrial) -> None:
    await trial.serve()
    first, second = await trial.come(2)
    await trial.say(first, trial.line(), [second])
    await trial.say(second, trial.line(), [first])


@LINE.check(
    "2.4",
    1,
    "relays a long line whole and in order",
    sentence="A longer or a split line must still arrive whole and in order.",
    wire="A client sends a line of 10,000 bytes, and then 100 lines in one piece.",
    seen="The other receives the same bytes in the same order.",
    after=["2.2"],
)
async def relays_long_lines(trial: LineTrial) -> None:
    await trial.serve()
    first, second = await trial.come(2)
    long = b"".join(b"%d " % number for number in range(2100))[:9998] + b"\r\n"
    many = b"".join(trial.line() for _ in range(100))
    for data in (long, many):
        await first.send(data)
        await second.expect(data, f"what {first.name} sent")


@LINE.check(
    "2.5",
    0.5,
    "relays NUL bytes",
    sentence="The bytes are forwarded as they came.",
    wire="A client sends a line with NUL bytes in it.",
    seen="The other receives the same bytes.",
    after=["2.2"],
)
async def relays_nul(trial: LineTrial) -> None:
    await trial.serve()
    first, second = await trial.come(2)
    await trial.say(first, b"before\0between\0\0" + trial.line(), [second])


@LINE.check(
    "2.6",
    1,
    "goes on when the first and the last client leave",
    sentence="A client that is gone has no effect on the others.",
    wire="Four clients connect; the first leaves, then the last; the two others send a line each.",
    seen="Each line comes to the other one.",
    after=["2.3"],
)
async def goes_on_without_some(trial: LineTrial) -> None:
    await trial.serve()
    first, second, third, last = await trial.come(4)
    await trial.leave(first)
    await trial.say(second, trial.line(), [third, last])
    await trial.leave(last)
    await trial.say(third, trial.line(), [second])
    await trial.say(second, trial.line(), [third])


@LINE.check(
    "2.7",
    0.5,
    "uses no processor time while idle",
    sentence="A socket waits for writability only while its queue holds something.",
    wire="Two clients have talked and are silent now.",
    seen="The program's processes use next to no processor time.",
    after=["2.2"],
)
async def idle(trial: LineTrial) -> None:
    await trial.serve()
    first, second = await trial.come(2)
    await trial.say(first, trial.line(), [second])
    await trial.expect_idle()


@LINE.check(
    "3.1",
    1,
    "removes each client on SIGINT and ends with status 0",
    sentence="SIGINT: everything is closed and freed, each client with its `removing` line,"
    " status 0.",
    wire="Three clients connect; the program gets SIGINT.",
    seen="All three connections are closed, a `removing connection` line for each, status 0.",
    after=["1.5"],
)
async def ends_on_sigint(trial: LineTrial) -> None:
    await trial.serve()
    clients = await trial.come(3)
    await trial.expect_log()
    trial.program.interrupt()
    for client in clients:
        await client.expect_closed("on SIGINT")
    await trial.expect_end("on SIGINT", status=0)
    trial.expect_removed()
    await trial.expect_log(any_order=True)


@LINE.check(
    "3.2",
    1,
    "tells its usage for every kind of wrong argument",
    sentence="Not exactly one argument, or not a port number: prints `Usage: server <port>` and"
    " ends.",
    wire="The program is started without an argument, with two, with a word, 0, -1, and 70000.",
    seen="Each time `Usage: server <port>` on standard output, and the program ends.",
)
async def tells_usage(trial: LineTrial) -> None:
    port = str(trial.port)
    for arguments in ((), (port, port), ("port",), ("0",), ("-1",), ("70000",)):
        program = trial.launch(arguments)
        when = f"at once when started with the arguments {list(arguments)}"
        await trial.expect_refusal_to_start(when)
        got = bytes(program.console.output)
        if got.strip() != _USAGE:
            raise Failed(
                f"`{_USAGE.decode()}` on standard output {when}",
                "something else",
                Difference(_USAGE + b"\n", got),
            )


@LINE.check(
    "3.3",
    0.5,
    "tells which call failed when the port is taken",
    sentence="A system call that fails before the loop: its name and the reason on standard"
    " error, status 1.",
    wire="The program is started twice with the same port.",
    seen="The second prints the name of a call and `Address already in use` on standard error and"
    " ends with a status other than 0.",
    after=["1.1"],
)
async def tells_a_busy_port(trial: LineTrial) -> None:
    await trial.serve()
    program = trial.launch()
    await trial.expect_refusal_to_start("when its port is taken")
    said = bytes(program.console.errors)
    if not re.search(rb"(bind|listen)\b.*: Address already in use", said) or not program.status:
        raise Failed(
            "`bind: Address already in use` on standard error, and a status other than 0",
            f"it {program.ending}",
            Difference(b"bind: Address already in use\n", said),
        )


@LINE.check(
    "3.4",
    1,
    "survives clients that reset while one writes",
    sentence="Any other error: skip that operation and go on.",
    wire="A client sends 200 lines while others reset their connections with unread data; six"
    " times.",
    seen="The program goes on, and one that stays receives every line.",
    after=["2.2"],
)
async def survives_resets(trial: LineTrial) -> None:
    await trial.serve()
    writer, reader = await trial.come(2)
    for _ in range(6):
        (leaving,) = await trial.come(1)
        lines = b"".join(trial.line() for _ in range(200))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(writer.send, lines)
            nursery.start_soon(reader.expect, lines, f"the lines of {writer.name}")
            await leaving.wait_readable("the lines")
            leaving.reset()
        await trial.expect_running()
    await writer.send(lines)
    await reader.expect(lines, f"the lines of {writer.name}")
