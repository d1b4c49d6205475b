"""Every limit of the server, each with its reason."""

import attrs

# One read takes this many bytes at first: 128 whole frames, one system call for all of them.
READ_SIZE = 64 * 1024

# A member whose reads are full is read with ever larger ones, up to this many bytes: it is the
# system's work for each call that is saved. Larger ones still gained nothing.
MOST_READ_SIZE = 1024 * 1024

# Where text is formatted, for the console or for another door, they stay smaller (bytes): text
# full of what must be escaped costs up to 0.3 s for each MiB, in which nobody else is served.
SHOWN_READ_SIZE = 256 * 1024

# In a large room they stay smaller, so that what one read makes the room write to all its members
# is at most this much (bytes): a tenth of a second, in which nobody else is served.
RELAY_SIZE = 512 * 1024 * 1024

# Output is written to the console at most this often (seconds): a person sees no difference,
# and a busy room pays for a write per batch instead of one per message.
CONSOLE_INTERVAL = 0.02

# Frames kept before they are formatted for the console together (bytes): enough to share the
# cost among many, and formatted within some milliseconds.
CONSOLE_BATCH = 128 * 1024

# What several members said at once is joined for the others up to this many bytes: one write for
# each of them, at the price of one copy. A larger copy costs more than the writes it saves.
HOLD_SIZE = 64 * 1024

# Text that waits for a console that does not take it (bytes). Beyond it, lines are counted
# instead of kept.
CONSOLE_MARK = 8 * 1024 * 1024

# How long the end waits for a console that does not take the last lines (seconds).
CONSOLE_FAREWELL = 1.0

# How long an encrypted connection is kept to say goodbye to who does not take it at once (seconds):
# our client waits for it as long.
TLS_FAREWELL = 5.0

# Pause before accepting again when the system is out of descriptors or memory (seconds):
# long enough for somebody to leave, short enough not to be noticed.
ACCEPT_BACKOFF = 0.1

# Connections accepted before everybody else gets a turn: a crowd is let in quickly, and a stream
# of connections that never ends does not stop the room.
ACCEPTS = 16

# Connections the kernel completes while the server is busy. It takes the smaller of this and
# its own limit (net.core.somaxconn on Linux).
BACKLOG = 4096

# A dead peer that never said goodbye is noticed after KEEPALIVE_IDLE + KEEPALIVE_PROBES x
# KEEPALIVE_INTERVAL seconds of silence: two minutes, not the two hours that systems default to.
KEEPALIVE_IDLE = 60
KEEPALIVE_INTERVAL = 10
KEEPALIVE_PROBES = 6


@attrs.frozen
class Limits:
    """What the operator may set, and what tests make small."""

    # Members at once; docs/frame-protocol.md, "Limits and endings".
    max_clients: int = 4

    # Connections that have not authenticated yet. When one more comes, the oldest makes room:
    # an honest client authenticates within milliseconds, so connections that come and keep
    # silent only push out one another, unless they come faster than it can send its frame.
    max_pending: int = 64

    # Seconds a connection has for its authentication frame: enough for the slowest line,
    # even for a person who types the frame by hand.
    auth_timeout: float = 10.0

    # Seconds without a byte taken after which a member that has frames waiting is too slow:
    # longer than any hiccup of a healthy network, shorter than anybody's patience.
    stall_timeout: float = 5.0

    # Bytes that may wait for one member before everybody's reading pauses. High enough that
    # a member that stands still is cut before anybody pauses in an ordinary room.
    outbox_mark: int = 4 * 1024 * 1024

    @property
    def over_mark_timeout(self) -> float:
        """Seconds a member may stay over the mark, taking a trickle, while the others pause."""
        return 6 * self.stall_timeout
