"""The server of the talk exercise and its clients."""

from collections.abc import Sequence

from sopchat_grader.check import Exercise
from sopchat_grader.client import Client
from sopchat_grader.failure import Difference, Failed
from sopchat_grader.trial import Trial

_GREETING = b"Thank you for connecting"


class TalkTrial(Trial):
    """A server of the talk exercise and its clients."""

    def arguments(self) -> list[str]:
        return ["-p", str(self.port)]

    async def come(self, count: int) -> list[Client]:
        """So many clients connect and are greeted."""
        clients = []
        for _ in range(count):
            client = await self.connect(self.word())
            await client.expect(_GREETING, "the greeting")
            clients.append(client)
        return clients

    async def serve(self, count: int) -> list[Client]:
        """Start the program, and so many clients."""
        await self.start()
        return await self.come(count)

    async def say(self, sender: Client, others: Sequence[Client], name: str | None = None) -> None:
        """Say something under a name; the others receive it next."""
        said = f"{name or sender.name} says: {self.word()}".encode()
        await sender.send(said)
        for other in others:
            await other.expect(said, f"what {sender.name} said")

    async def ask(self, asker: Client, clients: Sequence[tuple[Client, str]], ask: str) -> None:
        """Ask who is there: these clients, under these names, in whatever order."""
        await asker.send(ask.encode())
        wanted = f"{len(clients)} clients connected.\n".encode() + b"".join(
            f"{name} connected from 127.0.0.1, {client.port}.\n".encode()
            for client, name in clients
        )
        got = await asker.receive_about(len(wanted) - 1)
        if _same_answer(got + b"\n", wanted):
            got += await asker.receive_about(1, self.patience / 10)  # a last newline, or none
        elif len(got) == len(wanted) - 1:
            got += await asker.receive_about(1)
        if not _same_answer(got, wanted) and not _same_answer(got + b"\n", wanted):
            raise Failed(
                f"{asker.name} receives the number of clients and a line for each",
                "something else",
                Difference(wanted, got),
            )


def _same_answer(got: bytes, wanted: bytes) -> bool:
    """Whether the first line is the same and the others are, in whatever order."""
    first, *others = got.splitlines(keepends=True) or [b""]
    wanted_first, *wanted_others = wanted.splitlines(keepends=True)
    return first == wanted_first and sorted(others) == sorted(wanted_others)


TALK: Exercise[TalkTrial] = Exercise(
    "talk",
    "The talk exercise: talk-server [-v] [-p PORT]",
    trial=TalkTrial,
    form=("-p", "{port}"),
    stages=("coming in", "talking", "endings and errors"),
    staged=False,
)
