"""Honest members: what they say and hear, compared with one order as it comes.

All of them live in one loop that the experiment turns. The first one never says anything: what
this witness hears is the order, and everybody else must hear the same, without their own words.
"""

import contextlib
import re
import selectors
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Self

import attrs

from sopchat.limits import Limits
from tests.faults.room import Room, join_talk
from tests.support.clients import PATIENCE
from tests.support.frames import FRAME, frame

# What an honest member says: its number among what it said, and when (nanoseconds).
_WORD = re.compile(rb"(honest-\d+)\0+(\d+ \d+)x*\0")
_LINE = re.compile(rb"(honest-\d+)(?:: | says: )(\d+ \d+)x*\r?\n")
# When it was said, if it has no filler: what is said in floods waits for itself.
_SAID_AT = re.compile(rb"honest-\d+(?:\0+|: | says: )\d+ (\d+)[\0\r\n]")

# A member that takes a trickle makes everybody wait for so long, when others flood; and some more.
_PATIENCE = Limits().over_mark_timeout + PATIENCE

# Bytes of the order that are kept for those who hear it later than others.
_KEPT = 16 * 1024 * 1024


class PromiseBroken(AssertionError):
    """A member heard something else than the others, or its connection ended."""


@attrs.define(eq=False)
class Member:
    """Somebody who keeps to the rules, at one of the doors."""

    name: bytes
    door: str
    socket: socket.socket
    said: int = 0
    # Where it is in the order: bytes, or words at the doors that have no frames. Who came when
    # others were speaking already is nowhere until something is heard.
    place: int | None = 0
    # What it heard beyond what the witness did.
    ahead: bytearray = attrs.field(factory=bytearray)
    unsent: bytearray = attrs.field(factory=bytearray)
    # When it last heard something (seconds), and the longest that it heard nothing.
    heard_at: float = attrs.field(factory=time.monotonic)
    longest_silence: float = 0.0


@attrs.define(eq=False)
class Party:
    """The honest members of a room."""

    room: Room
    # Where they connect, if not at the room: a proxy's port, by door.
    port_of: Callable[[str], int] = attrs.field(
        default=attrs.Factory(lambda self: self.room.port_of, takes_self=True)
    )
    # Seconds from each word without filler to each who heard it.
    delays: list[float] = attrs.field(factory=list)
    members: list[Member] = attrs.field(factory=list, init=False)
    # Frames that honest members said, and the last frames of the order with how many bytes were
    # before; words of honest members in the order.
    said: int = attrs.field(default=0, init=False)
    _order: bytearray = attrs.field(factory=bytearray, init=False)
    _dropped: int = attrs.field(default=0, init=False)
    _words: list[tuple[bytes, bytes]] = attrs.field(factory=list, init=False)
    _scanned: int = attrs.field(default=0, init=False)
    _names: int = attrs.field(default=0, init=False)
    _selector: selectors.BaseSelector = attrs.field(factory=selectors.DefaultSelector, init=False)

    def __enter__(self) -> Self:
        self.join()
        return self

    def __exit__(self, *exception: object) -> None:
        for member in list(self.members):
            self.leave(member)
        self._selector.close()

    @property
    def witness(self) -> Member:
        """Who says nothing."""
        return self.members[0]

    @property
    def heard(self) -> int:
        """Frames in the order so far, those of others included."""
        return (self._dropped + len(self._order)) // FRAME

    def join(self, door: str = "frame", port: int | None = None) -> Member:
        """One more honest member."""
        self._names += 1
        name = b"honest-%d" % self._names
        connection = _JOIN[door](port or self.port_of(door), name)
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        member = Member(name, door, connection)
        if self.heard or self.said:
            assert door == "frame", "who comes late hears frames, or its place is not known"
            member.place = None
        self.members.append(member)
        self._selector.register(connection, selectors.EVENT_READ, member)
        return member

    def leave(self, member: Member) -> None:
        """A member leaves, whatever it had not heard yet."""
        self.members.remove(member)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(member.socket)
        member.socket.close()

    def say(self, member: Member, times: int = 1, filler: bytes = b"") -> None:
        """A member says so many things; what its socket does not take goes out later."""
        assert member is not self.witness
        for _ in range(times):
            text = b"%d %d%s" % (member.said, time.monotonic_ns(), filler)
            if member.door == "frame":
                member.unsent += frame(member.name, text)
            elif member.door == "line":
                member.unsent += text + b"\r\n"
            else:
                member.unsent += member.name + b" says: " + text + b"\n"
            member.said += 1
            self.said += 1
        self._send(member)

    def turn(self, wait: float = 0.0) -> None:
        """Hear what there is, after at most `wait` seconds."""
        for key, events in self._selector.select(wait):
            member: Member = key.data
            if events & selectors.EVENT_WRITE:
                self._send(member)
            if events & selectors.EVENT_READ:
                self._hear(member)
        self._follow_all()

    def last(
        self, seconds: float, rate: float = 0.0, speakers: Sequence[Member] | None = None
    ) -> None:
        """Let time pass; `speakers` speak in turns meanwhile, `rate` words a second in all."""
        start = time.monotonic()
        spoken = 0
        speakers = speakers or self.members[1:]
        while (now := time.monotonic() - start) < seconds:
            while rate and spoken < now * rate:
                self.say(speakers[spoken % len(speakers)])
                spoken += 1
            self.turn(min(0.05, 1 / rate) if rate else 0.05)

    def until(self, holds: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
        """Turn until something holds."""
        end = time.monotonic() + patience
        while not holds():
            if time.monotonic() > end:
                raise PromiseBroken(what)
            self.turn(0.02)

    def settle(self, patience: float = _PATIENCE) -> None:
        """All that was said has been heard by everybody who is here, in one order."""
        wanted = self.said

        def settled() -> bool:
            return len(self._words) >= wanted and all(map(self._has_heard_all, self.members[1:]))

        try:
            self.until(settled, f"{wanted} words were said", patience)
        except PromiseBroken as broken:
            late = [member for member in self.members[1:] if not self._has_heard_all(member)]
            unsent = sum(len(member.unsent) for member in self.members)
            raise PromiseBroken(
                f"{broken}, {len(self._words)} heard by the witness; {unsent} bytes were not taken;"
                f" {len(late)} members are behind, for instance {late[:1]}"
            ) from None

    def _has_heard_all(self, member: Member) -> bool:
        """Whether it stands where the witness does, or only others' words are between."""
        if member.place is None:
            return True
        if member.door != "frame":
            return member.place >= len(self._words)
        rest = bytes(self._order[member.place - self._dropped :])
        return all(word[0] == member.name for word in _WORD.findall(rest))

    def _send(self, member: Member) -> None:
        try:
            sent = member.socket.send(member.unsent) if member.unsent else 0
        except BlockingIOError:
            sent = 0
        except OSError as error:
            raise PromiseBroken(f"{member.name!r} could not speak: {error}") from None
        del member.unsent[:sent]
        more = selectors.EVENT_WRITE if member.unsent else 0
        self._selector.modify(member.socket, selectors.EVENT_READ | more, member)

    def _hear(self, member: Member) -> None:
        try:
            data = member.socket.recv(256 * 1024)
        except BlockingIOError:
            return
        except OSError as error:
            raise PromiseBroken(f"{member.name!r} was disconnected: {error}") from None
        if not data:
            raise PromiseBroken(f"{member.name!r} was disconnected, {member.place} heard")
        now = time.monotonic()
        member.longest_silence = max(member.longest_silence, now - member.heard_at)
        member.heard_at = now
        self._measure(member, data)
        if member is self.witness:
            self._order += data
        else:
            member.ahead += data

    def _measure(self, member: Member, data: bytes) -> None:
        now = time.monotonic_ns()
        self.delays += [(now - int(said)) / 1e9 for said in _SAID_AT.findall(data)]

    def _follow_all(self) -> None:
        whole = len(self._order) - len(self._order) % FRAME
        start = self._scanned - self._dropped
        self._words += _WORD.findall(bytes(self._order[start:whole]))
        self._scanned = self._dropped + whole
        for member in self.members[1:]:
            if member.door == "frame":
                self._follow(member)
            else:
                self._follow_lines(member)
        if len(self._order) > 2 * _KEPT:
            places = [m.place for m in self.members[1:] if m.door == "frame" and m.place]
            drop = min([*places, self._scanned - _KEPT]) - self._dropped
            drop -= drop % FRAME
            if drop > 0:
                del self._order[:drop]
                self._dropped += drop

    def _follow(self, member: Member) -> None:
        """Compare what a member heard with the order, as far as the witness heard that."""
        if member.place is None and not self._find(member):
            return
        assert member.place is not None
        start = member.place - self._dropped
        if not member.said:
            size = min(len(member.ahead), len(self._order) - start)
            size -= size % FRAME
            if member.ahead[:size] != self._order[start : start + size]:
                raise self._other_order(member, start)
            del member.ahead[:size]
            member.place += size
            return
        own = member.name + b"\0"
        done = 0
        for place in range(start, len(self._order) - FRAME + 1, FRAME):
            if self._order.startswith(own, place):
                member.place += FRAME
                continue
            if len(member.ahead) - done < FRAME:
                break
            if member.ahead[done : done + FRAME] != self._order[place : place + FRAME]:
                raise self._other_order(member, place, done)
            done += FRAME
            member.place += FRAME
        del member.ahead[:done]

    def _other_order(self, member: Member, place: int, heard: int = 0) -> PromiseBroken:
        while self._order[place : place + FRAME] == member.ahead[heard : heard + FRAME]:
            place, heard = place + FRAME, heard + FRAME
        return PromiseBroken(
            f"{member.name!r} heard {bytes(member.ahead[heard : heard + FRAME])!r}"
            f" where the witness heard {bytes(self._order[place : place + FRAME])!r}"
        )

    def _find(self, member: Member) -> bool:
        """Where in the order somebody came in: seen by the first word of an honest member.

        What others say may be the same twice.
        """
        word = _WORD.search(member.ahead)
        if word is None or len(member.ahead) < word.start() + FRAME:
            return False
        place = self._order.find(member.ahead[word.start() : word.start() + FRAME])
        if place < 0:
            return False
        member.place = self._dropped + place - word.start()
        return True

    def _follow_lines(self, member: Member) -> None:
        """The same at the doors without frames: what the honest said is compared."""
        assert member.place is not None
        whole = member.ahead.rfind(b"\n") + 1
        heard = _LINE.findall(bytes(member.ahead[:whole]))
        taken = 0
        for word in heard:
            while member.place < len(self._words) and self._words[member.place][0] == member.name:
                member.place += 1
            if member.place >= len(self._words):
                break
            if word != self._words[member.place]:
                expected = self._words[member.place]
                raise PromiseBroken(f"{member.name!r} heard {word!r} instead of {expected!r}")
            member.place += 1
            taken += 1
        while member.place < len(self._words) and self._words[member.place][0] == member.name:
            member.place += 1
        if taken == len(heard):
            del member.ahead[:whole]
        else:
            ends = [match.end() for match in _LINE.finditer(bytes(member.ahead[:whole]))]
            del member.ahead[: ends[taken - 1] if taken else 0]


def _join_frame(port: int, name: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    connection.sendall(frame(name, b"key"))
    echo = b""
    while len(echo) < FRAME and (more := connection.recv(FRAME - len(echo))):
        echo += more
    if echo != frame(name, b"key"):
        raise PromiseBroken(f"{name!r} joins and hears {echo!r}")
    return connection


def _join_line(port: int, name: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    for question, answer in ((b"name: ", name + b"\r\n"), (b"key: ", b"key\r\n"), (b".\r\n", b"")):
        heard = b""
        while not heard.endswith(question):
            more = connection.recv(1)
            if not more:
                raise PromiseBroken(f"{name!r} joins and hears {heard!r}")
            heard += more
        connection.sendall(answer)
    return connection


def _join_talk(port: int, name: bytes) -> socket.socket:
    return join_talk(port, name)[0]


_JOIN = {
    "frame": _join_frame,
    "line": _join_line,
    "talk": _join_talk,
}


@contextlib.contextmanager
def party_of(room: Room, *doors: str) -> Iterator[Party]:
    """The witness, and one member at each of the doors."""
    with Party(room) as party:
        for door in doors:
            party.join(door)
        yield party
