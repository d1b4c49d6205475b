"""What the client understands of a server, and what it is told to say."""

import json
from collections.abc import Callable

from sopchat_client import execute, pipe, render
from sopchat_client.errors import CannotConnect, Refused
from sopchat_client.parse import Unsayable, from_json, from_line, said
from sopchat_client.protocols import (
    PROTOCOLS,
    ChatProtocol,
    FrameProtocol,
    LineProtocol,
    Message,
    TalkProtocol,
)

from sopchat.wire.frame import ASK_NUMBERS, GIVE_NUMBERS
from sopchat.wire.line import LINE_SIZE
from tests.faults.fuzz.display import assert_safe
from tests.faults.fuzz.doors import at_once
from tests.faults.fuzz.material import Material
from tests.faults.fuzz.targets import target


def assert_shown(messages: list[Message]) -> None:
    """Each is one safe line, and one JSON object that says the same."""
    for message in set(messages):
        line = render.as_line(message)
        assert line.endswith("\n")
        assert_safe(line[:-1])
        told = render.as_json(message)
        assert told.isascii()
        assert told.count("\n") == 1
        assert json.loads(told) == {"name": message.name, "text": message.text}


def read(protocol: ChatProtocol, pieces: list[bytes]) -> list[Message]:
    return [message for piece in pieces for message in protocol.feed(piece)]


@target()
def frame_messages(material: Material) -> None:
    """At any cuts the same messages come, one a frame, and each can be shown."""
    pieces = material.pieces()
    stream = b"".join(pieces)
    messages = read(FrameProtocol(), pieces)
    assert messages == read(FrameProtocol(), [stream])
    assert b"".join(one.raw for one in messages) == stream[: len(stream) // 512 * 512]
    assert_shown(messages)


@target()
def line_messages(material: Material) -> None:
    """At any cuts the same messages come, one a line, but for lines that are too long."""
    pieces = material.pieces()
    stream = b"".join(pieces)
    messages = read(LineProtocol(), pieces)
    if max(map(len, stream.split(b"\n"))) < LINE_SIZE:
        texts = [text.removesuffix(b"\r") for text in stream.split(b"\n")[:-1]]
        assert [one.raw for one in messages] == texts
        assert messages == read(LineProtocol(), [stream[: stream.rfind(b"\n") + 1]])
    assert_shown(messages)


@target()
def talk_messages(material: Material) -> None:
    """Every line that is not empty is a message, whatever stands in it."""
    pieces = material.pieces()
    messages = read(TalkProtocol(), pieces)
    lines = [line for piece in pieces for line in piece.split(b"\n") if line]
    assert [one.raw for one in messages] == lines
    assert_shown(messages)


@target()
def said_messages(material: Material) -> None:
    """What one client says another understands: the same texts, under the same name."""
    name = material.take(material.number(63)).translate(None, b"\0\r\n: ") or b"ann"
    text = material.stream().translate(None, b"\0\r").replace(b": ", b":")
    texts = [line for line in text.split(b"\n") if line]
    shown = [Message.from_bytes(name, text, b"").text for text in texts]
    for kind in (FrameProtocol, TalkProtocol):
        messages = kind().feed(kind().encode(name, texts))
        assert {one.name for one in messages} <= {Message.from_bytes(name, b"", b"").name}
        whole = b"".join(text for text in texts if kind is FrameProtocol or text.strip())
        if kind is FrameProtocol:
            pieces = [piece for text in texts for piece in kind().pieces(text)]
            assert b"".join(pieces) == whole
            assert len(messages) == len(pieces)
        else:
            assert [one.text for one in messages] == shown
    lines = LineProtocol().feed(LineProtocol().encode(name, texts)) if texts else []
    assert [one.text for one in lines] == (
        shown if max(map(len, texts), default=0) < 4096 else [one.text for one in lines]
    )


class PlayedServer:
    """A stream on whose other side a server has said all that it will."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = list(filter(None, pieces))

    async def send_all(self, data: bytes) -> None:
        """It takes everything."""

    async def receive_some(self, most: int) -> bytes:
        if not self.pieces:
            return b""
        piece = self.pieces.pop(0)
        if len(piece) > most:
            self.pieces.insert(0, piece[most:])
        return piece[:most]


@target()
def joining(material: Material) -> None:
    """Whatever answers, the client has joined or says in one safe line why not.

    It takes no byte of what comes behind the answer.
    """
    spoken = list(PROTOCOLS)[material.number(3)]
    protocol = PROTOCOLS[spoken]()
    key = b"key" if material.number(1) else None
    good, grants = material.number(1), material.number(1)
    pieces = material.pieces()
    rest = b"".join(pieces)
    if good:  # the right answer first
        asked = spoken == "numbered"
        behind = (GIVE_NUMBERS if grants else ASK_NUMBERS) if asked else b""
        answer = {
            FrameProtocol: b"ann".ljust(64, b"\0") + ((key or b"") + behind).ljust(448, b"\0"),
            LineProtocol: b"Your name: The key: Welcome.\r\n" if key else b"",
            TalkProtocol: b"Thank you for connecting",
        }[type(protocol)]
        pieces.insert(0, answer)
    stream = PlayedServer(pieces)
    try:
        at_once(protocol.join(stream, b"ann", key))  # type: ignore[arg-type]  # two calls of it
    except (CannotConnect, Refused) as error:
        assert not good
        assert str(error)
    else:
        if good:
            assert b"".join(stream.pieces) == rest


@target()
def json_line(material: Material) -> None:
    """A line is a text that can be said, nothing, or told to be neither; never anything else."""
    line = material.text().encode() if material.number(1) else material.rest()
    _parsed(from_json, line)
    _parsed(from_line, line)
    with_text = {"text": line.decode("utf-8", "ignore").replace("\0", ""), "more": [1, None]}
    assert from_json(json.dumps(with_text).encode()) == str(with_text["text"]).encode()


def _parsed(parse: Callable[[bytes], bytes | None], line: bytes) -> None:
    try:
        text = parse(line)
    except Unsayable as error:
        assert_safe(str(error))
        return
    if text is None:
        assert not line.strip()
    else:
        assert b"\0" not in text
        assert parse is not from_json or text.decode() is not None
    lines = [b'{"text": "a"}', line, b'{"text": "b"}']
    texts, fault = said(lines, parse)
    assert not fault
    assert len(texts) == (2 if text is None else 3)


@target()
def printed_lines(material: Material) -> None:
    """What a program prints is sent line by line; half a line only if it is all."""
    pieces = material.pieces()
    output = b"".join(pieces)
    *lines, last = output.split(b"\n")
    assert execute._lines(output, False) == lines
    assert execute._lines(output, True) == ([*lines, last] if last else lines)
    cutter = pipe._Lines()
    assert [line for piece in pieces for line in cutter.feed(piece)] == lines
    assert cutter.end() == ([last] if last else [])
