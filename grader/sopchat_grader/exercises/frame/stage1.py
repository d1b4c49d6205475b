"""Stage 1: a listening server."""

from sopchat_grader.client import Client
from sopchat_grader.exercises.frame.trial import ALONE, FRAME, FrameTrial
from sopchat_grader.failure import Failed


@FRAME.check(
    "1.1",
    1,
    "listens on the port",
    sentence="The server listens on the TCP port it is given.",
    wire="The program is started. Nothing connects.",
    seen="A listening socket on that port, owned by the program or a child of it.",
)
async def listens(trial: FrameTrial) -> None:
    await trial.start()


@FRAME.check(
    "1.2",
    2,
    "closes the first connection without a byte",
    sentence="It accepts one client and closes that connection.",
    wire="A client connects and sends nothing.",
    seen="The connection is closed; not a byte comes.",
    after=["1.1"],
    programs=ALONE,
)
async def closes_the_first(trial: FrameTrial) -> None:
    await trial.start()
    client = await trial.connect(trial.word())
    await client.expect_closed("by the server")
    _expect_accepted(client)


def _expect_accepted(client: Client) -> None:
    """One who has sent nothing sees an end of file; a reset comes where nobody accepted it."""
    if client.was_reset:
        raise Failed(f"{client.name}'s connection is accepted, then closed", "it was reset")


@FRAME.check(
    "1.3",
    2,
    "ends with status 0 after its client",
    sentence="Then it ends with status 0.",
    wire="A client connects and leaves when it is told to.",
    seen="The program ends with status 0.",
    after=["1.1"],
    programs=ALONE,
)
async def ends_after_the_first(trial: FrameTrial) -> None:
    await trial.start()
    client = await trial.connect(trial.word())
    await client.leave_when_told()
    _expect_accepted(client)
    await trial.expect_end("after its first client", status=0)
