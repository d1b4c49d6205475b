"""A chat over the frame protocol (docs/frame-protocol.md), for programs and for our own client."""

import contextlib
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator

import attrs
import trio

from sopchat.arguments import system_words
from sopchat.wire.frame import (
    FRAME_SIZE,
    NAME_SIZE,
    TEXT_SIZE,
    Frame,
    FrameBuffer,
    checked,
    split_text,
)
from sopchat_client.errors import CannotConnect, Refused, ServerGone

# One read takes this many bytes at most: 128 frames.
_READ_SIZE = 64 * 1024

# How long the server may take to answer the authentication frame (seconds).
CONNECT_TIMEOUT = 10.0

# How long leaving waits for the server to close as well (seconds): it has everything then.
LEAVE_TIMEOUT = 5.0


@attrs.frozen
class Message:
    """What a member said."""

    name: str
    text: str
    # As it came, for who wants the very bytes.
    frame: Frame = attrs.field(repr=False)

    @classmethod
    def from_frame(cls, frame: Frame) -> "Message":
        r"""The message in a frame; bytes that are not UTF-8 read `\xNN`."""
        return cls(frame.name_str, frame.text_str, frame)


@attrs.define(eq=False)
class Chat:
    """A place in a room. Iterate over it for what the others say, in the room's order.

    One task may receive while another sends.
    """

    name: bytes
    _stream: trio.abc.HalfCloseableStream
    _buffer: FrameBuffer = attrs.field(factory=FrameBuffer, init=False)
    _arrived: deque[Message] = attrs.field(factory=deque, init=False)
    _leaving: bool = attrs.field(default=False, init=False)

    async def send(self, *texts: str | bytes) -> None:
        """Say each text; return when the system has taken all of it.

        A text over 448 bytes takes several frames, cut between characters. Raises
        FieldHoldsNul, before anything is sent, if a text holds a NUL byte; ServerGone.
        """
        data = b"".join(map(Frame.encode, frames(self.name, texts)))
        with _translated():
            await self._stream.send_all(data)

    async def receive(self) -> list[Message]:
        """Wait, then give all messages that have come; none after `leave` when all is read.

        Raises ServerGone: the connection ended though nobody left.
        """
        if not self._arrived:
            await self._read()
        messages = list(self._arrived)
        self._arrived.clear()
        return messages

    def __aiter__(self) -> "Chat":
        return self

    async def __anext__(self) -> Message:
        """The next message. Ends after `leave`; raises ServerGone as `receive` does."""
        if not self._arrived:
            await self._read()
        if not self._arrived:
            raise StopAsyncIteration
        return self._arrived.popleft()

    async def _read(self) -> None:
        """Read until a message has arrived, or the server has closed after `leave`."""
        while not self._arrived:
            with _translated():
                data = await self._stream.receive_some(_READ_SIZE)
            if not data:
                if self._leaving:
                    return
                raise ServerGone("the server closed the connection")
            chunk = self._buffer.feed(bytes(data))
            for place in range(0, len(chunk), FRAME_SIZE):
                frame = Frame.decode(chunk[place : place + FRAME_SIZE])
                self._arrived.append(Message.from_frame(frame))

    async def leave(self) -> None:
        """Say nothing more. The server closes the connection once it has read everything.

        What others say until then still arrives. Raises ServerGone.
        """
        self._leaving = True
        with _translated():
            await self._stream.send_eof()


@contextlib.asynccontextmanager
async def connect(host: str, port: int, name: str | bytes, key: str | bytes) -> AsyncIterator[Chat]:
    """Join the room at `host` and `port` as `name`; leave it at the block's end.

        async with connect("localhost", 9000, "ann", "key") as chat:
            await chat.send("hello")
            async for message in chat:
                print(message.name, message.text)

    The end of the block waits, LEAVE_TIMEOUT seconds at most, until the server has read all
    that was sent; an exception leaves at once.

    Raises FieldTooLong or FieldHoldsNul if the name (64 bytes) or the key (448 bytes) cannot
    be said in a frame; CannotConnect; Refused.
    """
    name, key = _bytes(name), _bytes(key)
    offer = Frame(checked(name, NAME_SIZE, "the name"), checked(key, TEXT_SIZE, "the key"))
    stream = await _open(host, port)
    try:
        with trio.move_on_after(CONNECT_TIMEOUT) as scope:
            await _authenticate(stream, offer.encode())
        if scope.cancelled_caught:
            raise CannotConnect(f"{host} port {port} does not answer")
        chat = Chat(name, stream)
        yield chat
        with trio.move_on_after(LEAVE_TIMEOUT), contextlib.suppress(ServerGone):
            await chat.leave()
            while await chat.receive():
                pass
    finally:
        await trio.aclose_forcefully(stream)


async def _open(host: str, port: int) -> trio.SocketStream:
    try:
        with trio.fail_after(CONNECT_TIMEOUT):
            return await trio.open_tcp_stream(host, port)
    except trio.TooSlowError:
        reason = "no answer"
    except OSError as error:
        # Trio tries each address of the host and says so; what went wrong stands in the cause.
        cause: BaseException | None = error.__cause__
        while isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        reason = system_words(cause if isinstance(cause, OSError) else error)
    raise CannotConnect(f"cannot connect to {host} port {port}: {reason}")


async def _authenticate(stream: trio.SocketStream, offer: bytes) -> None:
    """Send the authentication frame and read its echo, and no byte more."""
    echo = b""
    with contextlib.suppress(trio.BrokenResourceError):
        await stream.send_all(offer)
        while len(echo) < FRAME_SIZE:
            data = await stream.receive_some(FRAME_SIZE - len(echo))
            if not data:
                break
            echo += data
    if echo == offer:
        return
    if echo:
        raise CannotConnect("what answers there is no frame chat server")
    raise Refused(
        "the server closed the connection without an answer: the key is wrong or the room is"
        " full, and this protocol does not tell which"
    )


def frames(name: bytes, texts: Iterable[str | bytes]) -> Iterator[Frame]:
    """The frames in which `name` says each text.

    Raises FieldHoldsNul if a text holds a NUL byte.
    """
    for text in texts:
        whole = _bytes(text)
        for piece in split_text(checked(whole, len(whole), "the text")):
            yield Frame(name, piece)


def _bytes(text: str | bytes) -> bytes:
    """UTF-8; what Python could not decode when it read a command line is given back."""
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """Trio's word for a broken connection becomes ours."""
    try:
        yield
    except trio.BrokenResourceError as error:
        cause = error.__cause__
        reason = system_words(cause) if isinstance(cause, OSError) else str(error)
        raise ServerGone(f"the connection broke: {reason}") from None
