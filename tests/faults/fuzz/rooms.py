"""The room's promise: one order for all, nothing lost, nothing twice."""

import errno
from collections import defaultdict

import attrs
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from sopchat.admission import Admission
from sopchat.console import Console
from sopchat.departure import Departure
from sopchat.doors import Chunk
from sopchat.limits import Limits
from sopchat.outbox import Outbox
from sopchat.room import Member, Room
from sopchat.session import Session
from tests.faults.fuzz.doors import FRAMES, LINES, TALK, ReadyConnection
from tests.faults.fuzz.material import Material
from tests.faults.fuzz.targets import target
from tests.support.connection import PlayedConnection
from tests.support.frames import frame

# So much is done with a room at most.
_STEPS = 60


@attrs.define
class Witness:
    """A watcher that knows what each member should have got, and what each has said."""

    due: dict[Member, bytes] = attrs.field(factory=dict)
    said: defaultdict[Member, bytes] = attrs.field(factory=lambda: defaultdict(bytes))

    def joined(self, room: Room, member: Member) -> None:
        self.due[member] = b""

    def relayed(self, member: Member, frames: bytes) -> None:
        self.said[member] += frames
        for other in self.due:
            if other is not member:
                self.due[other] += other.door.render(frames, 1)

    def left(self, room: Room, member: Member, departure: Departure) -> None:
        del self.due[member]


@target(256)
def room(material: Material) -> None:
    """Whoever is there gets all that is relayed meanwhile, in one order, whatever is held back."""
    room, witness = Room(8), Witness()
    room.watchers = [witness]
    connections: dict[Member, ReadyConnection] = {}
    wakes = {trio.lowlevel.Task.__new__(trio.lowlevel.Task) for _ in range(3)}
    number = 0
    for _ in range(_STEPS):
        if not material:
            break
        step, members = material.number(5), list(room)
        member = members[material.number(7) % len(members)] if members else None
        if step == 0 and not room.full:
            connection = ReadyConnection(512 * material.number(3) if material.number(1) else 2**60)
            door = (FRAMES, LINES, TALK)[material.number(2)]
            outbox = Outbox(connection, room.pressure, Limits())
            member = Member(b"member %d" % len(connections), "peer", door, outbox)
            connections[member] = connection
            room.join(member)
        elif step == 1:
            room.turn.woken |= set(list(wakes)[: material.number(3)])
        elif step == 2:
            room.turn.woken.clear()
            room.settle()
        elif member is None:
            continue
        elif step == 3:
            room.leave(member, Departure.from_error(OSError(errno.EPIPE, "")))
        else:
            count, texts = 1 + material.number(40), material.take(8)
            frames = b"".join(
                frame(member.name, b"%d %b" % (number + n, texts.replace(b"\0", b"")))
                for n in range(count)
            )
            number += count
            room.broadcast(member, Chunk(frames, member.door.render(frames, 1)))
    room.turn.woken.clear()
    room.settle()
    for member, due in witness.due.items():
        taken = bytes(connections[member].taken)
        assert due.startswith(taken)
        assert member.outbox.waiting == len(due) - len(taken)


@target(256)
def sessions(material: Material) -> None:
    """However members speak, stop, stand still and go, the others get all of it in one order."""
    clock = MockClock(autojump_threshold=0)
    trio.run(_meet, material, clock=clock, strict_exception_groups=True)


async def _meet(material: Material) -> None:
    room, witness = Room(4), Witness()
    admission = Admission(b"key", Limits(max_pending=4))
    room.watchers = [witness]
    trio.lowlevel.add_instrument(room.turn)
    connections: list[PlayedConnection] = []
    sent: list[bytes] = []
    halted: set[int] = set()
    async with trio.open_nursery() as nursery:

        def come() -> None:
            connection = PlayedConnection()
            session = Session(connection, FRAMES, room, admission, Console(None))
            nursery.start_soon(session.run)
            connection.peer = f"peer {len(connections)}"
            connections.append(connection)
            sent.append(b"")

        def say(number: int, data: bytes) -> None:
            if data and not connections[number].closed and number not in halted:
                connections[number].say(data)
                sent[number] += data

        for number in range(2 + material.number(2)):
            come()
            say(number, frame(f"member {number}", "key"))
        await wait_all_tasks_blocked()
        for _ in range(_STEPS):
            if not material:
                break
            step, number = material.number(7), material.number(3) % len(connections)
            if step < 3:
                text = material.take(material.number(15)).replace(b"\0", b"0")
                frames = b"".join(frame(b"%d" % number, b"%d %b" % (n, text)) for n in range(5))
                start = material.number(2560)
                say(number, frames[start : start + material.number(2560)])
            elif step == 3:
                connections[number].window = material.number(1500)
            elif step == 4:
                connections[number].open_window()
            elif step == 5:
                await wait_all_tasks_blocked()
            elif step == 6 and number:
                end = OSError(errno.ECONNRESET, "reset") if material.number(1) else b""
                connections[number].say(end)
                halted.add(number)
            elif len(connections) < 8:
                come()
                say(len(connections) - 1, frame(f"member {len(connections)}", "key"))
        for connection in connections:
            connection.open_window()
        await wait_all_tasks_blocked()
        by_peer = {connection.peer: number for number, connection in enumerate(connections)}
        for member, due in witness.due.items():
            number = by_peer[member.peer]
            assert bytes(connections[number].taken) == sent[number][:512] + due
        for member, frames in witness.said.items():
            said = sent[by_peer[member.peer]]
            assert frames == said[512 : len(said) // 512 * 512]
        assert not room.pressure.over
        nursery.cancel_scope.cancel()
    assert all(connection.closed for connection in connections)
    assert len(room) == len(admission.pending) == 0
