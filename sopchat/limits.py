"""Every limit of the server, each with its reason."""

import sys

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

# So many are kept at once; beyond that one is closed without.
TLS_GOODBYES = 32

# The room log is written at most this often (seconds): what a server that is killed loses of it,
# and a busy room pays for a batch instead of for every frame.
LOG_INTERVAL = 0.02

# One batch of the room log (bytes); one that is full is written at once. A slow disk shows within
# the stall timeout that it moves.
LOG_BATCH = 8 * 1024 * 1024

# Of what a flood has written to the room log, so much stays in the system's cache (bytes): a few
# batches, of which the disk has time to take the older ones.
LOG_CACHE = 32 * 1024 * 1024

# Frames that wait for the room log's disk (bytes). Beyond it readers wait: a disk that is slower
# than the room slows it down, and hiccups of a second do not.
LOG_MARK = 64 * 1024 * 1024

# A disk that takes nothing for so long (seconds) while frames over the mark wait is stuck: the room
# goes on without its log.
LOG_STALL = 5.0

# With `--sync second`, what was written is on disk after this time (seconds) and one sync.
LOG_SYNC_INTERVAL = 1.0

# How long the end waits for the room log's last frames (seconds).
LOG_FAREWELL = 5.0

# Chunks of more frames than this share one checksum in each page of the room log: only a flood
# reads so many at once, and a checksum for each would cost it a third of its pace.
LOG_ALONE = 8

# Pause before accepting again when the system is out of descriptors or memory (seconds):
# long enough for somebody to leave, short enough not to be noticed.
ACCEPT_BACKOFF = 0.1

# Connections accepted before everybody else gets a turn: a crowd is let in quickly, and a stream
# of connections that never ends does not stop the room.
ACCEPTS = 16

# A stop waits this long for what is queued to reach its members (seconds): they have it within
# milliseconds, unless they are stuck; and how often it looks whether they have.
DRAIN_TIMEOUT = 1.0
DRAIN_LOOK = 0.005

# From so many wrong keys on, each is answered later than the one before, beginning with this delay
# and doubling it up to the second (seconds). A person who mistypes notices nothing; the connection
# that waits takes one of the places for those who have not authenticated.
WRONG_KEYS_FREE = 10
WRONG_KEY_DELAY = 0.25
WRONG_KEY_MOST_DELAY = 4.0

# How long an address is refused that has offered too many wrong keys, and how long without one it
# is remembered (seconds): guessing slows down to one key in some seconds.
REFUSAL = 60.0

# Addresses whose wrong keys are remembered; the one whose last was longest ago is forgotten first.
MOST_ADDRESSES = 10_000

# Frames that a member may say at once though it keeps to its rate: this many seconds' worth.
BURST = 4.0

# Frames of history at most: 2 MiB, which a newcomer on a thin line has in a minute.
MOST_HISTORY = 4096

# Descriptors that are none of clients' connections: listeners, standard streams, the event loop's,
# the room log's.
OTHER_DESCRIPTORS = 64

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

    # Connections of one address at once, members included; 0 for any number. Not limited at first:
    # a class behind one address is a room like any other.
    max_per_address: int = 0

    # Wrong keys of one address before it is refused for a while; 0 for any number. Guessing is
    # over soon, and a person who mistypes does not get there.
    max_wrong_keys: int = 20

    # Frames a member may say in a second for long, and at once; 0 for any number. Who says more is
    # told, if its protocol can, and read more slowly: nothing is lost.
    rate: float = 0
    burst: int = 0

    # Seconds a connection has for its authentication frame: enough for the slowest line,
    # even for a person who types the frame by hand.
    auth_timeout: float = 10.0

    # Seconds without a byte taken after which a member that has frames waiting is too slow:
    # longer than any hiccup of a healthy network, shorter than anybody's patience.
    stall_timeout: float = 5.0

    # Bytes that may wait for one member before everybody's reading pauses. High enough that
    # a member that stands still is cut before anybody pauses in an ordinary room.
    outbox_mark: int = 4 * 1024 * 1024

    # Bytes that may wait for all members together, each piece counted for every member it waits
    # for; 0 for any number. It makes the mark of each smaller in a room of more than 4096. What is
    # said is kept once for all of a door, so this is memory only where each has something of its
    # own waiting; a small mark lets two who work together, a flood and a trickle, stop the others.
    max_in_flight: int = 16 * 1024 * 1024 * 1024

    @property
    def mark(self) -> int:
        """Bytes over which what waits for one member makes everybody's reading pause."""
        if not self.max_in_flight:
            return self.outbox_mark
        share = max(self.max_in_flight // self.max_clients, READ_SIZE)
        return min(self.outbox_mark, share)

    @property
    def over_mark_timeout(self) -> float:
        """Seconds a member may stay over the mark, taking a trickle, while the others pause."""
        return 6 * self.stall_timeout


# The sister exercises know no such rules: whoever connects is a member.
UNLIMITED = Limits(max_clients=sys.maxsize, max_pending=sys.maxsize, max_in_flight=0)
