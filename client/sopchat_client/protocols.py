"""What the client says and understands in each of the three protocols.

A protocol object belongs to one connection: it joins, encodes what is said, and makes messages of
what arrives.
"""

import contextlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Protocol

import attrs
import trio

from sopchat.wire import talk
from sopchat.wire.frame import (
    ASK_NUMBERS,
    FRAME_SIZE,
    GIVE_NUMBERS,
    NAME_SIZE,
    NUMBER_SIZE,
    TEXT_SIZE,
    Frame,
    FrameBuffer,
    checked,
    encode_texts,
    split_text,
)
from sopchat.wire.line import LineBuffer, lines
from sopchat.wire.tls import ALERT
from sopchat_client.errors import CannotConnect, Refused

_LINE_DOOR = b"Your name: "

# What a door says that was not expected, by how its answer begins.
_DOORS = {
    ALERT: "the room is encrypted: it is joined with TLS (--tls)",
    _LINE_DOOR: "this is a line door: --protocol line",
    talk.GREETING: "this is a talk door: --protocol talk",
}


@attrs.frozen
class Message:
    """What a member said."""

    # Empty where the protocol does not say it, as between two line clients.
    name: str
    text: str
    # As it came, for who wants the very bytes: a frame, a line, or what one read took.
    raw: bytes = attrs.field(repr=False)
    # Its number among all that was said in the room, where the server tells it.
    sequence: int | None = attrs.field(default=None, repr=False)

    @classmethod
    def from_bytes(cls, name: bytes, text: bytes, raw: bytes) -> "Message":
        r"""The message in these bytes; what is not UTF-8 reads `\xNN`."""
        return cls(
            name.decode("utf-8", "backslashreplace"), text.decode("utf-8", "backslashreplace"), raw
        )


class ChatProtocol(Protocol):
    """One connection's side of a protocol."""

    async def join(self, stream: trio.abc.Stream, name: bytes, key: bytes | None) -> None:
        """Become a member. Raises CannotConnect, Refused, trio.BrokenResourceError."""

    def encode(self, name: bytes, texts: Iterable[bytes]) -> bytes:
        """What is sent so that `name` says each text."""

    def pieces(self, text: bytes) -> list[bytes]:
        """The texts in which a text is said, one after the other."""

    def feed(self, data: bytes) -> list[Message]:
        """The messages that `data` completes."""


@attrs.define
class FrameProtocol:
    """docs/frame-protocol.md; it asks for "Numbers" if it is to."""

    _ask_numbers: bool = False
    _numbered: bool = attrs.field(default=False, init=False)
    _buffer: FrameBuffer = attrs.field(factory=FrameBuffer, init=False)

    async def join(self, stream: trio.abc.Stream, name: bytes, key: bytes | None) -> None:
        """Send the authentication frame and read its echo, and no byte more."""
        name, field = (
            checked(name, NAME_SIZE, "the name"),
            checked(key or b"", TEXT_SIZE, "the key"),
        )
        granted = None
        if self._ask_numbers and len(field) + len(ASK_NUMBERS) <= TEXT_SIZE:
            granted = Frame(name, field + GIVE_NUMBERS).encode()
            field += ASK_NUMBERS
        offer = Frame(name, field).encode()
        echo = b""
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.send_all(offer)
            while len(echo) < FRAME_SIZE:
                data = await stream.receive_some(FRAME_SIZE - len(echo))
                if not data:
                    break
                echo += data
                if not offer.startswith(echo):
                    _check_door(echo)
        if not echo:
            raise Refused(
                "the key is wrong or the room is full, or it turns this address away for now (the"
                " server closed the connection without an answer, and this protocol does not tell"
                " which)"
            )
        if echo == granted:
            self.expect_numbers()
        elif echo != offer:
            raise CannotConnect("what answers there is no frame chat server")

    def expect_numbers(self) -> None:
        """From now on every frame comes behind its number."""
        self._numbered = True
        self._buffer = FrameBuffer(NUMBER_SIZE + FRAME_SIZE)

    def encode(self, name: bytes, texts: Iterable[bytes]) -> bytes:
        """Frames; a text over 448 bytes takes several, cut between characters."""
        return encode_texts(name, texts)

    def pieces(self, text: bytes) -> list[bytes]:
        """What goes into each frame."""
        return split_text(text)

    def feed(self, data: bytes) -> list[Message]:
        """A message for each frame."""
        chunk = self._buffer.feed(data)
        number_size = NUMBER_SIZE if self._numbered else 0
        messages = []
        for place in range(0, len(chunk), number_size + FRAME_SIZE):
            raw = chunk[place + number_size : place + number_size + FRAME_SIZE]
            frame = Frame.decode(raw)
            number = int.from_bytes(chunk[place : place + NUMBER_SIZE]) if self._numbered else None
            messages.append(Message(frame.name_str, frame.text_str, raw, number))
        return messages


@attrs.define
class LineProtocol:
    """docs/line-protocol.md: with a key a door of the room, without one a bare relay."""

    _buffer: LineBuffer = attrs.field(factory=LineBuffer, init=False)

    async def join(self, stream: trio.abc.Stream, name: bytes, key: bytes | None) -> None:
        """Answer the two questions, if there is a key."""
        if key is None:
            return
        told = b""
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.send_all(name + b"\r\n" + key + b"\r\n")
            # A byte at a time: what comes behind the welcome is a message.
            while not told.endswith(b"Welcome.\r\n") and (data := await stream.receive_some(1)):
                told += data
                if not _LINE_DOOR.startswith(told[: len(_LINE_DOOR)]):
                    _check_door(told)
        if not told.endswith(b"Welcome.\r\n"):
            reason = told.rpartition(b": ")[2].strip().decode("utf-8", "backslashreplace")
            raise Refused(f"the server closed the connection: {reason or 'it did not say why'}")

    def encode(self, name: bytes, texts: Iterable[bytes]) -> bytes:
        """A line for each text; the server knows the name."""
        return b"".join(text + b"\r\n" for text in texts)

    def pieces(self, text: bytes) -> list[bytes]:
        """The whole: a line has any length."""
        return [text]

    def feed(self, data: bytes) -> list[Message]:
        """A message for each line; `name: ` stands before what other doors' members say."""
        messages = []
        for line in lines(self._buffer.feed(data)):
            name, colon, text = line.partition(b": ")
            messages.append(
                Message.from_bytes(name, text, line)
                if colon
                else Message.from_bytes(b"", line, line)
            )
        return messages


@attrs.define
class TalkProtocol:
    """docs/talk-protocol.md: with a key a door of the room, without one the course's server."""

    async def join(self, stream: trio.abc.Stream, name: bytes, key: bytes | None) -> None:
        """Wait for the greeting, then say the key, if there is one.

        The protocol has no answer to that: a wrong key ends the chat a moment later.
        """
        greeting = b""
        with contextlib.suppress(trio.BrokenResourceError):
            while len(greeting) < len(talk.GREETING):
                data = await stream.receive_some(len(talk.GREETING) - len(greeting))
                if not data:
                    break
                greeting += data
                if not talk.GREETING.startswith(greeting):
                    _check_door(greeting)
        if greeting.startswith(b"You are"):
            raise Refused("the server closed the connection: the room is full")
        if greeting != talk.GREETING:
            what = "what answers there is no talk server"
            raise CannotConnect(what if greeting else f"{what}, unless it is encrypted (--tls)")
        if key is not None:
            await stream.send_all(self.encode(name, [key]))

    def encode(self, name: bytes, texts: Iterable[bytes]) -> bytes:
        """The name before each line of each text: two in one read stay two, and nobody else's."""
        lines = (line for text in texts for line in text.split(b"\n"))
        return b"".join(talk.says(name, line) + b"\n" for line in lines)

    def pieces(self, text: bytes) -> list[bytes]:
        """The whole: a message has any length."""
        return [text]

    def feed(self, data: bytes) -> list[Message]:
        """A message for each line of what one read took."""
        messages = []
        for line in data.split(b"\n"):
            if line:
                name, text = talk.parse(line)
                messages.append(Message.from_bytes(name or b"", text, line))
        return messages


def _check_door(answer: bytes) -> None:
    """Raises CannotConnect if this is how another door begins than was expected."""
    for begin, what in _DOORS.items():
        if answer.startswith(begin):
            raise CannotConnect(what)


PROTOCOLS: dict[str, Callable[[], ChatProtocol]] = {
    "frame": FrameProtocol,
    "numbered": partial(FrameProtocol, ask_numbers=True),
    "line": LineProtocol,
    "talk": TalkProtocol,
}
