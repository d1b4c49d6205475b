"""A client's passage through each door: its offer, then chunks, at any cuts."""

from collections.abc import Coroutine, Sequence
from typing import TypeVar

import attrs

from sopchat.departure import Departure, Reason
from sopchat.doors import BadOffer, Chunk, Door, Doorway, Offer
from sopchat.doors.frame import FrameDoor
from sopchat.doors.line import LineDoor
from sopchat.doors.talk import TalkDoor
from sopchat.limits import READ_SIZE
from sopchat.wire.frame import name_fields_and_texts
from sopchat.wire.line import LINE_SIZE
from tests.faults.fuzz.display import assert_safe
from tests.faults.fuzz.material import Material
from tests.faults.fuzz.targets import target
from tests.support.connection import PlayedConnection

Result = TypeVar("Result")


def roster() -> list[tuple[bytes, str]]:
    return [(b"ann", "192.0.2.1:5000")]


FRAMES, LINES, TALK = FrameDoor(), LineDoor(), TalkDoor(roster)
DOORS: tuple[Door, ...] = (FRAMES, LINES, TALK)


class ReadyConnection(PlayedConnection):
    """One that never lets anybody wait: it needs no event loop."""

    async def send(self, pieces: Sequence[bytes | memoryview]) -> int:
        return self.send_now(b"".join(pieces))

    async def wait_readable(self) -> None:
        assert self.incoming, "it waits for what will never come"


def at_once(coroutine: Coroutine[object, None, Result]) -> Result:
    """The result of a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        result: Result = end.value
        return result
    raise AssertionError("it waits")


@attrs.define
class Passage:
    """What became of a stream at a door."""

    doorway: Doorway
    offer: Offer | None = None
    refused: bool = False
    chunks: list[Chunk] = attrs.field(factory=list)
    # What the offer took was before what the chunks hold.
    raw: bytes = b""
    said: bytes = b""

    def relay(self, chunk: Chunk | None) -> None:
        """A chunk is of whole frames, each from who sent it and safe at every door."""
        if chunk is None:
            return
        self.chunks.append(chunk)
        self.raw += chunk.raw
        assert len(chunk.frames) % 512 == 0
        if not chunk.frames:
            return
        names, texts = name_fields_and_texts(chunk.frames)
        self.said += b"".join(texts)
        assert len(names) == len(texts) == len(chunk.frames) // 512
        for door in DOORS[1:]:
            *lines, last = door.render(chunk.frames, 1).decode().split("\n")
            assert not last
            assert len(lines) == len(texts)
            for line in set(lines):
                assert_safe(line.removesuffix("\r"))


def passage(door: Door, pieces: list[bytes], most_held: int) -> Passage:
    """Lead a stream through a door, a piece a read, as a session does."""
    connection, doorway = ReadyConnection(), door.enter()
    passed = Passage(doorway)
    for piece in filter(None, pieces):
        connection.say(piece, BlockingIOError())
    connection.say(b"")
    try:
        passed.offer = at_once(doorway.receive_offer(connection))
    except BadOffer as error:
        passed.refused = True
        assert_safe(str(error))
    if passed.offer is None:
        return passed
    assert len(passed.offer.name) <= 64
    assert len(passed.offer.key) <= 448
    assert b"\0" not in passed.offer.name + passed.offer.key
    passed.relay(doorway.feed(b""))
    while True:
        most = doorway.most(READ_SIZE)
        assert 0 < most <= READ_SIZE
        try:
            data = connection.receive_now(most)
        except BlockingIOError:
            continue
        if not data:
            break
        passed.relay(doorway.feed(data))
        assert doorway.half <= most_held
    passed.relay(doorway.flush())
    door.farewell(Departure(Reason.BAD_OFFER, half=doorway.half)).decode()
    return passed


@target(512)
def frame_doorway(material: Material) -> None:
    """The first 512 bytes are the offer and its echo; all whole frames behind go through."""
    pieces = material.pieces()
    stream = b"".join(pieces)
    passed = passage(FRAMES, pieces, 511)
    assert not passed.refused
    assert (passed.offer is None) == (len(stream) < 512)
    if passed.offer is not None:
        assert passed.offer.welcome == stream[:512]
        assert passed.raw == stream[512 : len(stream) // 512 * 512]
        assert all(chunk.frames == chunk.raw for chunk in passed.chunks)
    assert passed.doorway.half == len(stream) % 512


@target(512)
def line_doorway(material: Material) -> None:
    """Two answers, then lines: nothing of them is changed or lost, and little is held back."""
    keyed = bool(material.number(1))
    pieces = material.pieces()
    stream = b"".join(pieces)
    passed = passage(LineDoor(keyed), pieces, LINE_SIZE)
    if keyed and passed.offer is not None:
        name, key, stream = stream.split(b"\n", 2)
        assert passed.offer.name == name.removesuffix(b"\r")
        assert passed.offer.key == key.removesuffix(b"\r")
    if passed.offer is not None:
        assert passed.raw == stream
        assert passed.doorway.half == 0
        for chunk in passed.chunks:
            texts = [text.removesuffix(b"\r") for text in chunk.raw.split(b"\n")]
            _, said = name_fields_and_texts(chunk.frames)
            assert b"".join(said) == b"".join(texts).replace(b"\0", b"\\x00")
    elif not passed.refused:
        assert stream.count(b"\n") < 2


@target(512)
def talk_doorway(material: Material) -> None:
    """A message carries the key, the rest is said, and only who asks `/who:` gets an answer."""
    keyed = bool(material.number(1))
    pieces = [piece[:1024] for piece in material.pieces() if piece]
    passed = passage(TalkDoor(roster, keyed), list(pieces), 0)
    assert passed.doorway.half == 0
    assert 0 < len(passed.doorway.name) <= 64
    if passed.offer is None:
        assert keyed
        return
    sent = pieces[1:] if keyed else pieces
    kept = [line for piece in sent for line in piece.splitlines(True) if b"/who:" not in line]
    for line in kept:
        assert line in passed.raw
    assert len(passed.raw) >= sum(map(len, kept))
    asked = any(chunk.reply for chunk in passed.chunks)
    assert not asked or any(b"/who:" in piece for piece in sent)
    if not any(b"/who:" in piece for piece in sent):
        assert passed.raw == b"".join(sent)
