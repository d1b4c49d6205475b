"""The server of the frame exercise and those who come to it."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

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


class FrameClient(Client):
    """A client that sends frames, and does not mind getting its own back.

    That is a fault of its own, which one check looks for: it should not cost the others.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.minds_echoes = False
        self._sent: Counter[bytes] = Counter()

    async def send(self, data: bytes) -> None:
        if len(data) % FRAME_SIZE == 0:
            self._sent.update(data[at : at + FRAME_SIZE] for at in range(0, len(data), FRAME_SIZE))
        await super().send(data)

    async def expect(self, wanted: bytes, what: str) -> None:
        if self.minds_echoes or len(wanted) % FRAME_SIZE:
            await super().expect(wanted, what)
            return
        for at in range(0, len(wanted), FRAME_SIZE):
            await self._expect_frame(wanted[at : at + FRAME_SIZE], what)

    async def _expect_frame(self, wanted: bytes, what: str) -> None:
        while True:
            try:
                await super().expect(wanted, what)
            except Failed as failed:
                got = b"" if failed.difference is None else failed.difference.got
                if got == wanted or not await self._is_echo(got):
                    raise
            else:
                self._sent[wanted] -= 1  # the authentication frame is meant to come back
                return

    async def _is_echo(self, got: bytes) -> bool:
        """Whether these bytes begin a frame of our own; its rest is taken."""
        if not any(count > 0 and sent.startswith(got) for sent, count in self._sent.items()):
            return False
        whole = got + await self.receive_about(FRAME_SIZE - len(got))
        if self._sent[whole] <= 0:
            return False
        self._sent[whole] -= 1
        return True


class FrameTrial(Trial):
    """A server of the frame exercise, and those who come to it."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        # Digits in front: who compares numbers takes for equal what is not.
        self.key = f"{self.random.randrange(1000, 10000)}{self.word().capitalize()}"

    client_type = FrameClient

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

    async def join(self, name: str, receive_buffer: int | None = None) -> FrameClient:
        """Become a member.

        A server may answer first and enter the member into its list then, so there is a breath
        between the answer and what others may send.
        """
        client = await self.connect(name, receive_buffer)
        assert isinstance(client, FrameClient)
        mine = frame(name, self.key)
        await client.send(mine)
        await client.expect(mine, "its authentication frame back")
        await trio.sleep(_BREATH * self.setting.scale)
        return client

    async def join_soon(self, name: str) -> FrameClient:
        """Become a member as soon as there is a place: the server may not know yet of one."""
        trouble: Failed | None = None
        with trio.move_on_after(self.patience):
            while True:
                try:
                    return await self.join(name)
                except Failed as failed:
                    trouble = failed
                    await trio.sleep(_BREATH)
        raise trouble or Failed(f"{name} becomes a member", "no answer")

    async def members(self, count: int) -> list[FrameClient]:
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
        runs = {member: self.run_of_frames(member, count) for member in (first, second)}
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

# Seconds for what a server does right after it has answered.
_BREATH = 0.005

# What each check of the bonus is worth.
BONUS = 0.25
