"""TLS in between somebody who listens, changes, cuts and adds."""

import contextlib
import ssl

import attrs

from sopchat.wire.tls import ALERT, TlsCodec
from tests.faults.fuzz.material import Material
from tests.faults.fuzz.targets import target
from tests.support.tls import client_side, server_side

# What TLS may have to send that nobody put into it (bytes): a handshake, or an alert.
_MOST_ANSWERS = 16 * 1024

_HELLO = TlsCodec(client_side(), server=False, server_name="localhost")
_HELLO.handshake()
_RECORDED = _HELLO.outgoing()

# Records that anybody can make: goodbye, an alert, a change of ciphers.
_FORGED = [
    b"\x15\x03\x03\x00\x02\x01\x00",
    b"\x15\x03\x03\x00\x02\x02\x28",
    b"\x14\x03\x03\x00\x01\x01",
]


def spoilt(material: Material, data: bytes) -> bytes:
    """The same bytes, or what somebody in between makes of them."""
    step = material.number(7)
    if step < 3:
        return data
    place = material.number(65535) % (len(data) + 1)
    if step == 3 and place < len(data):
        flipped = data[place] ^ (1 + material.number(254))
        return data[:place] + bytes([flipped]) + data[place + 1 :]
    if step == 4:
        return data[:place]
    if step == 5:
        return data[:place] + material.take(material.number(15)) + data[place:]
    if step == 6:
        return data + data[place:]
    return _FORGED[material.number(2)] + data


@target(800)
def tls_garbage(material: Material) -> None:
    """Whatever comes instead of a handshake, there is none: more is waited for, or it is refused.

    Little is answered, and who does not speak TLS gets an alert.
    """
    server = bool(material.number(1))
    codec = TlsCodec(
        server_side() if server else client_side(),
        server=server,
        server_name=None if server else "localhost",
    )
    recorded = spoilt(material, _RECORDED) if material.number(1) else b""
    ends = material.number(1)
    stream = [*filter(None, [recorded, *material.pieces()]), *[b""] * ends]
    codec.handshake()
    answered = len(codec.outgoing())
    with contextlib.suppress(ssl.SSLError):
        for piece in stream:
            codec.feed(piece)
            assert not codec.handshake()
            answered += len(codec.outgoing())
    told = codec.outgoing()
    first = b"".join(stream)[:1]
    if server and first and codec.speaks_tls is False and told:
        assert told.startswith(ALERT)
    assert codec.speaks_tls in (None, first in (b"\x15", b"\x16"))
    assert answered + len(told) <= _MOST_ANSWERS
    assert not codec.waiting


@attrs.define
class Side:
    """One side, and what it was told to say, has sent and has heard."""

    codec: TlsCodec
    said: bytes = b""
    heard: bytes = b""
    ended: bool = False
    # Its codec raised: nothing is asked of it any more.
    broken: bool = False
    # The other side is heard no more.
    deaf: bool = False

    def hear(self, data: bytes, most: int) -> None:
        """Take what came; shake hands or decrypt."""
        try:
            if not self.deaf:
                self.deaf = not data
                self.codec.feed(data)
            if self.codec.handshake():
                self._decrypt(most)
        except ssl.SSLError:
            self.broken = True

    def _decrypt(self, most: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while piece := self.codec.decrypt(most):
                assert len(piece) <= most
                self.heard += piece

    def say(self, data: bytes) -> None:
        if self.codec.ready and not self.ended and not self.broken:
            try:
                self.codec.encrypt(data)
                self.said += data
            except ssl.SSLError:
                self.broken = True

    def end(self) -> None:
        if self.codec.ready and not self.broken:
            self.codec.end()
            self.ended = True


@target(200)
def tls_talk(material: Material) -> None:
    """Whatever is done to the bytes in between, each side hears how what was said begins.

    Where nothing is done, it hears all of it. Nobody is made to believe in a goodbye that was not
    said. Nothing is raised but what the codec says, and little is answered.
    """
    server = Side(TlsCodec(server_side(), server=True))
    client = Side(TlsCodec(client_side(), server=False, server_name="localhost"))
    most, calm = 1 + material.number(65535), material.number(1)
    client.codec.handshake()
    teller, listener, touched = client, server, False
    for _ in range(16):
        step = material.number(7)
        if step == 1:
            teller.say(material.take(8) * (1 + material.number(4000)))
        elif step == 2:
            teller.end()
        data = teller.codec.outgoing()
        assert len(data) <= _MOST_ANSWERS + 2 * len(teller.said)
        sent = spoilt(material, data) if step > 4 and not calm else data
        touched = touched or sent != data
        if step == 3:
            place = material.number(65535) % (len(sent) + 1)
            if sent[:place] and not listener.broken:
                listener.hear(sent[:place], most)
            sent = sent[place:]
        elif step == 4 and not calm:
            touched = touched or not listener.deaf
            sent = b""
            if not listener.broken:
                listener.hear(b"", most)
        if sent and not listener.broken:
            listener.hear(sent, most)
        teller, listener = listener, teller
    for side, other in ((server, client), (client, server)):
        assert other.said.startswith(side.heard)
        assert not side.codec.said_goodbye or other.ended
        assert touched or not side.broken
        assert touched or side.codec.waiting or other.codec.waiting or side.heard == other.said
        assert other.codec.waiting <= _MOST_ANSWERS + 2 * len(other.said)
