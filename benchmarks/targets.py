"""What has to hold between the figures of one run: ratios, because machines differ."""

import attrs

from benchmarks.peers import LIMITED, LOGGED, NATS, PLAIN, QUIET, RELAY, SHOWN, UVLOOP, Peer
from benchmarks.workloads import IMPORT_TRIO


@attrs.frozen
class Target:
    """The figure of `peer` is at least, or at most, `bound` times that of `beside`.

    Without `beside` the bound is absolute; with `plus` it is added to the other's figure.
    """

    workload: str
    peer: Peer
    bound: float
    beside: Peer | None = None
    most: bool = False
    plus: bool = False

    def limit(self, beside: float) -> float:
        """The figure that must be reached, or not passed."""
        if self.beside is None:
            return self.bound
        return beside + self.bound if self.plus else beside * self.bound

    def met(self, own: float, beside: float) -> bool:
        """Whether the medians hold to it."""
        limit = self.limit(beside)
        return own <= limit if self.most else own >= limit

    @property
    def words(self) -> str:
        """As a person says it."""
        side = "at most" if self.most else "at least"
        if self.beside is None:
            return f"{side} {self.bound:,.0f}"
        by = f"{self.bound:g} above" if self.plus else f"{self.bound:g} times"
        return f"{side} {by} {self.beside.name}"


TARGETS = (
    Target("4 flooding one another", SHOWN, 8, PLAIN),
    Target("4 flooding one another", SHOWN, 1.3, NATS),
    Target("4 flooding one another", QUIET, 14, PLAIN),
    Target("4 flooding one another", QUIET, 1.5, RELAY),
    Target("4 flooding one another", QUIET, 2.7, NATS),
    Target("4 flooding one another", QUIET, 0.7, UVLOOP),
    Target("1 flooding 3", SHOWN, 5, PLAIN),
    Target("1 flooding 3", QUIET, 1.5, RELAY),
    Target("1 flooding 3", QUIET, 2.5, NATS),
    Target("4 flooding one another, with a room log", LOGGED, 0.8, SHOWN),
    Target("4 flooding one another, with a room log", LIMITED, 0.75, SHOWN),
    Target("one frame to 3, with a room log, p50", LIMITED, 1.33, SHOWN, most=True),
    Target("one frame to 3, p50", SHOWN, 1, NATS, most=True),
    Target("one frame to 3, p50", QUIET, 1.2, RELAY, most=True),
    Target("one frame to 1,000, p50", QUIET, 1.15, RELAY, most=True),
    Target("one frame to 1,000, p50", QUIET, 0.8, NATS, most=True),
    Target("1 flooding 1,000", QUIET, 1.3, RELAY),
    Target("1 flooding 1,000", QUIET, 2.7, NATS),
    Target("living room of 100, p99", SHOWN, 1, NATS, most=True),
    Target("joins", SHOWN, 2.2, NATS),
    Target("memory per idle connection", SHOWN, 8 * 1024, most=True),
    Target("memory per idle connection", SHOWN, 0.5, NATS, most=True),
    Target("start to listening", SHOWN, 120, IMPORT_TRIO, most=True, plus=True),
)
