"""The server of the frame exercise and those who come to it."""

from collections.abc import Sequence

import trio

from sopchat_grader.check import Exercise
from sopchat_grader.client import Client
from sopchat_grader.failure import Failed
from sopchat_grader.trial import Trial

NAME_SIZE = 64
TEXT_SIZE = 448
FRAME_SIZE = NAME_SIZE + TEXT_SIZE
MEMBERS = 4


def frame(name: bytes | str, text: bytes | str) -> bytes:
    """A frame: the name in 64 bytes, then the text in 448, both padded with NUL."""
    name, text = (part.encode() if isinstance(part, str) else part for part in (name, text))
    return name.ljust(NAME_SIZE, b"\0") + text.ljust(TEXT_SIZE, b"\0")


class FrameTrial(Trial):
    """A server of the frame exercise, and those who come to it."""

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]  # the same as there
        # Digits in front: who compares numbers takes for equal what is not.
        self.key = f"{self.random.randrange(1000, 10000)}{self.word().capitalize()}"

    def arguments(self) -> list[str]:
        return [str(self.port), self.key]

    def text(self) -> str:
        """A text that is like no other."""
        return f"message-{self.word()}"

    async def offer(self, name: str, key: bytes | str) -> Client:
        """Connect and send an authentication frame."""
        client = await self.connect(name)
        await client.send(frame(name, key))
        return client

    async def join(self, name: str, receive_buffer: int | None = None) -> Client:
        """Become a member."""
        client = await self.connect(name, receive_buffer)
        mine = frame(name, self.key)
        await client.send(mine)
        await client.expect(mine, "its authentication frame back")
        return client

    async def join_soon(self, name: str) -> Client:
        """Become a member as soon as there is a place: the server may not know yet of one."""
        trouble: Failed | None = None
        with trio.move_on_after(self.patience):
            while True:
                client = await self.connect(name)
                mine = frame(name, self.key)
                try:
                    await client.send(mine)
                    await client.expect(mine, "its authentication frame back")
                except Failed as failed:
                    trouble = failed
                    client.close()
                    await trio.sleep(0.02)
                else:
                    return client
        raise trouble or Failed(f"{name} becomes a member", "no answer")

    async def members(self, count: int) -> list[Client]:
        """Start the program, and that many members."""
        await self.start()
        return [await self.join(self.word()) for _ in range(count)]

    async def say(self, sender: Client, others: Sequence[Client]) -> str:
        """One message, and everybody else receives it next. Its text."""
        text = self.text()
        said = frame(sender.name, text)
        await sender.send(said)
        for other in others:
            await other.expect(said, f"the frame of {sender.name}")
        return text

    async def expect_talk(self, members: Sequence[Client]) -> None:
        """Each says something, and every other receives that next and nothing else."""
        for sender in members:
            await self.say(sender, [member for member in members if member is not sender])

    def run_of_frames(self, sender: Client, count: int) -> bytes:
        """So many frames of one member, each with a text of its own."""
        return b"".join(frame(sender.name, f"{number} {self.text()}") for number in range(count))

    async def exchange(self, first: Client, second: Client, count: int) -> None:
        """Both send so many frames at once and receive the other's meanwhile."""
        runs = {
            member: b"".join(
                frame(member.name, f"{number} {self.text()}") for number in range(count)
            )
            for member in (first, second)
        }
        async with trio.open_nursery() as nursery:
            for member, other in ((first, second), (second, first)):
                nursery.start_soon(member.send, runs[member])
                nursery.start_soon(
                    other.expect, runs[member], f"the {count} frames of {member.name} in order"
                )


FRAME: Exercise[FrameTrial] = Exercise(
    "frame",
    "The frame exercise: sop-chat PORT KEY",
    trial=FrameTrial,
    form=("{port}", "{key}"),
    stages=("a listening server", "one authenticated client", "a chat of four", "a good end"),
    staged=True,
)

# The stages whose programs a check holds for.
ALONE = (1,)
ONE = (2,)
AUTHENTICATING = (2, 3, 4)
CHAT = (3, 4)
LAST = (4,)

# What each check of the bonus is worth.
BONUS = 0.25
