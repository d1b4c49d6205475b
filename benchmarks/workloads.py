"""What is measured, and how. A workload gives one figure for each turn of each peer."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import attrs

from benchmarks.peers import (
    ASYNCIO,
    LIMITED,
    LOGGED,
    LOGGED_QUIET,
    NATS,
    NCAT,
    PEERS,
    QUIET,
    QUIET_DOORS,
    RELAY,
    SHOWN,
    SHOWN_DOORS,
    TRIO,
    UVLOOP,
    Peer,
    Server,
    running,
)

# What a turn gives: the figure itself as `value`, and what else is worth keeping.
Figures = dict[str, float]


@attrs.frozen
class Effort:
    """How much is done for a figure."""

    rounds: int
    flood: float  # seconds of sending
    pings: int  # frames in flight one after another, to 3
    crowd_pings: int  # the same, to 1,000 and more
    turns: int  # in a round, of what is measured in many short ones
    talk: float  # seconds
    joins: int
    idle: int
    quiet: float  # seconds of nothing
    sizes: tuple[int, ...]  # of the growth curve


FULL = Effort(5, 1.0, 2000, 60, 3, 5.0, 1000, 5000, 10.0, (4, 16, 64, 256, 1000, 4000))
QUICK = Effort(1, 0.2, 400, 15, 1, 0.6, 300, 1000, 1.0, (4, 256))


@attrs.frozen
class Workload:
    """One thing to measure, for each of some peers."""

    title: str
    # Of the figure: "/s", "us", "ms", "s" or "B".
    unit: str
    peers: tuple[Peer, ...]
    # None: what is measured is how long the peer takes to start.
    measure: Callable[[Server], Figures] | None
    # Turns within a round. Delays take many short ones with all servers running: a shared
    # machine changes its pace within seconds.
    turns: int = 1
    # Members of whom one sends: a point of the growth curve. 0 where it is none.
    size: int = 0
    # Connections that it needs at each end.
    members: int = 4


def workloads(effort: Effort) -> Iterator[Workload]:
    """Everything that is measured, in the order of the tables."""
    large = tuple(peer for peer in PEERS if peer is not NCAT)  # which takes a hundred members
    lossless = tuple(peer for peer in PEERS if peer is not TRIO)
    yield Workload("4 flooding one another", "/s", lossless, partial(_flood, 4, 4, effort.flood))
    yield Workload("1 flooding 3", "/s", lossless, partial(_flood, 4, 1, effort.flood))
    yield Workload(
        "4 flooding one another, with a room log",
        "/s",
        (SHOWN, LOGGED, LIMITED, QUIET, LOGGED_QUIET),
        partial(_flood, 4, 4, effort.flood),
        turns=effort.turns,
    )
    yield Workload(
        "one frame to 3, with a room log, p50",
        "us",
        (SHOWN, LOGGED, LIMITED),
        partial(_ping, 4, effort.pings),
        turns=effort.turns,
    )
    yield Workload(
        "1 flooding 1,000",
        "/s",
        (RELAY, NATS, ASYNCIO, UVLOOP, SHOWN, QUIET),
        partial(_flood, 1001, 1, effort.flood),
        members=1001,
    )
    yield Workload(
        "4 flooding through all doors",
        "/s",
        (SHOWN_DOORS, QUIET_DOORS),
        partial(_flood, 4, 3, effort.flood),
    )
    yield Workload(
        "one frame to 3, p50", "us", PEERS, partial(_ping, 4, effort.pings), turns=effort.turns
    )
    yield Workload(
        "one frame to 1,000, p50",
        "us",
        large,
        partial(_ping, 1001, effort.crowd_pings),
        turns=effort.turns,
        members=1001,
    )
    yield Workload(
        "living room of 100, p99", "us", large, partial(_talk, 100, 10, effort.talk), members=100
    )
    yield Workload(
        "joins",
        "/s",
        large,
        partial(_join, effort.joins),
        members=effort.joins,
    )
    yield Workload(
        "memory per idle connection",
        "B",
        (RELAY, NATS, ASYNCIO, UVLOOP, TRIO, SHOWN),
        partial(_memory, effort.idle),
        members=effort.idle,
    )
    yield Workload(
        "one of 4 never reads, 100,000 frames to the others",
        "s",
        (NATS, SHOWN),
        partial(_stuck, 100_000),
    )
    yield Workload(
        "processor time of 4 idle members in 10 s", "s", (NATS, SHOWN), partial(_idle, effort.quiet)
    )
    yield Workload("start to listening", "ms", PEERS, None, turns=effort.turns)
    for size in effort.sizes:
        point = partial(Workload, peers=(RELAY, NATS, QUIET), size=size, members=size)
        pings = effort.pings if size < 100 else effort.crowd_pings
        yield point(f"{size:,}: p50", "us", measure=partial(_ping, size, pings))
        yield point(f"{size:,}: delivered", "/s", measure=partial(_flood, size, 1, effort.flood))


IMPORT_TRIO = Peer('python -c "import trio"', (sys.executable, "-c", "import trio"))


def start(peer: Peer) -> Figures:
    """Milliseconds from the command to a connection."""
    begin = time.perf_counter()
    with running(peer):
        return {"value": (time.perf_counter() - begin) * 1e3}


def run_to_end(peer: Peer) -> Figures:
    """Milliseconds of a command that ends by itself."""
    begin = time.perf_counter()
    subprocess.run(peer.command, check=True)
    return {"value": (time.perf_counter() - begin) * 1e3}


def _flood(members: int, senders: int, seconds: float, server: Server) -> Figures:
    figures = server.load("flood", members, senders, seconds)
    return figures | {"value": figures["delivered"] / figures["seconds"]}


def _ping(members: int, times: int, server: Server) -> Figures:
    figures = server.load("ping", members, times)
    return figures | {"value": figures["p50"]}


def _talk(members: int, rate: int, seconds: float, server: Server) -> Figures:
    figures = server.load("talk", members, rate, seconds)
    return figures | {"value": figures["p99"]}


def _join(members: int, server: Server) -> Figures:
    figures = server.load("join", members, 32)
    return figures | {"value": figures["joins"] / figures["seconds"]}


def _memory(members: int, server: Server) -> Figures:
    before = server.memory()
    with server.staying(members):
        return {"value": (server.memory() - before) / members}


def _stuck(frames: int, server: Server) -> Figures:
    return {"value": server.load("stuck", 4, frames)["seconds"]}


def _idle(seconds: float, server: Server) -> Figures:
    with server.staying(4):
        before = server.processor_time()
        time.sleep(seconds)
        return {"value": (server.processor_time() - before) / seconds * 10}
