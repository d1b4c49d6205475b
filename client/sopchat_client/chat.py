"""A chat, in any of the three protocols, for programs and for our own client."""

import contextlib
import fcntl
import math
import socket
import sys
import termios
from collections import deque
from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Literal

import attrs
import trio

from sopchat.arguments import system_words
from sopchat.wire.frame import NAME_SIZE, TEXT_SIZE, checked
from sopchat_client.errors import CannotConnect, ServerGone
from sopchat_client.protocols import PROTOCOLS, ChatProtocol, Message
from sopchat_client.tls import TlsStream
from sopchat_client.trust import Tls, encrypted

# One read takes this many bytes at most: 128 frames.
_READ_SIZE = 64 * 1024

# How long the server may take to answer the authentication frame (seconds).
CONNECT_TIMEOUT = 10.0

# How long leaving waits for the server to close as well (seconds): it has everything then.
LEAVE_TIMEOUT = 5.0

# How often it looks whether the server goes on taking what was sent (seconds).
_LOOK_EVERY = 0.25


# A network that was cut, or a machine that was switched off, counts as gone after this (seconds).
SILENCE = 40


@attrs.define(eq=False)
class Chat:
    """A place in a room. Iterate over it for what the others say, in the room's order.

    One task may receive while another sends.
    """

    name: bytes
    _stream: trio.abc.HalfCloseableStream
    _protocol: ChatProtocol
    _arrived: deque[Message] = attrs.field(factory=deque, init=False)
    # How long the server may still take to close, after `leave`.
    _patience: "_Patience | None" = attrs.field(default=None, init=False)
    # The read that is under way, until the next look.
    _reading: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)

    async def send(self, *texts: str | bytes) -> None:
        """Say each text; return when the system has taken all of it.

        In the frame protocol a text over 448 bytes takes several frames, cut between characters.
        Raises FieldHoldsNul, before anything is sent, if a text holds a NUL byte; ServerGone.
        """
        values = [encoded(text) for text in texts]
        data = self._protocol.encode(
            self.name, [checked(value, len(value), "the text") for value in values]
        )
        with _translated():
            await self._stream.send_all(data)

    def pieces(self, text: str) -> list[bytes]:
        """The messages that `send` makes of a text: in the frame protocol one for each frame."""
        return self._protocol.pieces(encoded(text))

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
            look_at = math.inf if self._patience is None else self._patience.look_at
            with _translated(), trio.CancelScope(deadline=look_at) as self._reading:
                data = await self._stream.receive_some(_READ_SIZE)
            if self._reading.cancelled_caught:
                if self._patience is not None and not self._patience.look(self.unacknowledged()):
                    raise ServerGone("the server has not confirmed that it has read everything")
                continue
            if not data:
                if self._patience is not None:
                    return
                raise ServerGone("the server closed the connection")
            self._arrived.extend(self._protocol.feed(bytes(data)))

    def unacknowledged(self) -> int:
        """Bytes that the server's system has not confirmed (SIOCOUTQ); 0 where none can tell."""
        carrier = self._stream.below if isinstance(self._stream, TlsStream) else self._stream
        if not isinstance(carrier, trio.SocketStream):
            return 0
        try:
            answer = fcntl.ioctl(carrier.socket.fileno(), termios.TIOCOUTQ, bytes(4))
        except OSError:
            return 0
        return int.from_bytes(answer, sys.byteorder)

    async def leave(self, patience: float = LEAVE_TIMEOUT) -> None:
        """Say nothing more. The server closes the connection once it has read everything.

        What others say until then still arrives. Raises ServerGone, here or where messages are
        received: the connection broke, or the server has not closed `patience` seconds after the
        last sign that it takes what was sent. Once its system has all, no sign is to be seen while
        the server reads. Only the first call counts.
        """
        if self._patience is not None:
            return
        self._patience = _Patience(patience, self.unacknowledged())
        self._reading.deadline = self._patience.look_at
        with _translated():
            await self._stream.send_eof()


@attrs.define
class _Patience:
    """Waits for a server that closes when it has read everything."""

    # Without a sign (seconds).
    _seconds: float
    # What its system had not confirmed at the last look (bytes): less is a sign.
    _unacknowledged: int
    _last_sign: float = attrs.field(factory=trio.current_time, init=False)
    look_at: float = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._plan()

    def look(self, unacknowledged: int) -> bool:
        """Look for a sign; whether there was one lately enough to wait for the next."""
        if unacknowledged < self._unacknowledged:
            self._last_sign = trio.current_time()
        self._unacknowledged = unacknowledged
        self._plan()
        return trio.current_time() < self._last_sign + self._seconds

    def _plan(self) -> None:
        end = self._last_sign + self._seconds
        self.look_at = min(trio.current_time() + _LOOK_EVERY, end)


@contextlib.asynccontextmanager
async def connect(
    host: str,
    port: int,
    name: str | bytes,
    key: str | bytes | None,
    protocol: Literal["frame", "numbered", "line", "talk"] = "frame",
    tls: Tls | None = None,
) -> AsyncIterator[Chat]:
    """Join the room at `host` and `port` as `name`; leave it at the block's end.

        async with connect("localhost", 9000, "ann", "key") as chat:
            await chat.send("hello")
            async for message in chat:
                print(message.name, message.text)

    The end of the block waits until the server has read all that was sent, and raises ServerGone
    if it does not say so by closing the connection; an exception leaves at once.

    A key of None joins a line or talk server that has none. With `tls` the connection is encrypted,
    and who is not believed to be the server hears neither name nor key.

    Raises FieldTooLong or FieldHoldsNul if the name (64 bytes) or the key (448 bytes) cannot
    be said in a frame; CannotConnect; Refused; Untrusted.
    """
    name = checked(encoded(name), NAME_SIZE, "the name")
    key = None if key is None else checked(encoded(key), TEXT_SIZE, "the key")
    speaks = PROTOCOLS[protocol]()
    stream: trio.abc.HalfCloseableStream
    if tls is None:
        stream = await _open(host, port)
    else:
        stream = await encrypted(partial(_open, host, port), host, port, tls)
    try:
        with trio.move_on_after(CONNECT_TIMEOUT) as scope, _translated():
            await speaks.join(stream, name, key)
        if scope.cancelled_caught:
            hint = " or encrypted (--tls)" if tls is None else ""
            raise CannotConnect(
                f"{host} port {port} does not answer: it may be another door (--protocol){hint}"
            )
        chat = Chat(name, stream, speaks)
        yield chat
        await chat.leave()
        while await chat.receive():
            pass
    finally:
        await trio.aclose_forcefully(stream)


async def _open(host: str, port: int) -> trio.SocketStream:
    try:
        with trio.fail_after(CONNECT_TIMEOUT):
            stream = await trio.open_tcp_stream(host, port)
            _notice_silence(stream.socket)
            return stream
    except trio.TooSlowError:
        reason = "no answer"
    except UnicodeError as error:
        reason = system_words(error)
    except OSError as error:
        # Trio tries each address of the host and says so; what went wrong stands in the cause.
        cause: BaseException | None = error.__cause__
        while isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        reason = system_words(cause if isinstance(cause, OSError) else error)
    raise CannotConnect(f"cannot connect to {host} port {port}: {reason}")


def _notice_silence(connection: trio.socket.SocketType) -> None:
    """Let the system find out within SILENCE that the far side has gone without a word."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    probes = 4
    for name, value in (
        ("TCP_KEEPIDLE" if sys.platform != "darwin" else "TCP_KEEPALIVE", SILENCE // 2),
        ("TCP_KEEPINTVL", SILENCE // (2 * probes)),
        ("TCP_KEEPCNT", probes),
        ("TCP_USER_TIMEOUT", SILENCE * 1000),  # the same for data that is not confirmed (ms)
    ):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def encoded(text: str | bytes) -> bytes:
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
