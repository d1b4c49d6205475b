"""What the screen shows, kept without a screen: the scrollback, the connection, what is new.

The chat tells it what happens, in its own time; the screen is told once that something has, and
looks when it comes to it.
"""

import math
import re
import time
from collections.abc import Callable

import attrs

from sopchat.wire.display import escape
from sopchat_client import link
from sopchat_client.chat import SILENCE
from sopchat_client.link import Delivery, Saying
from sopchat_client.protocols import Message
from sopchat_client.tui.scrollback import Entry, Kind, Scrollback

# What arrives so soon after joining (seconds) is a replay of what was said before: it rings no
# bell.
REPLAY = 1.0

# So many of those who have spoken are known: a member may use another name in every frame.
_MOST_NAMES = 100

# In the place of a name where there is none.
_NOBODY = "—"


@attrs.define(eq=False)
class Conversation:
    """One chat as its member sees it."""

    name: str
    place: str
    # Called when there is something new to show.
    changed: Callable[[], None] = attrs.field(default=lambda: None)
    scrollback: Scrollback = attrs.field(factory=Scrollback, init=False)
    # The last thing known of the connection, and when it was (seconds, monotonic).
    connection: link.Connecting | link.Joined | link.Lost = attrs.field(
        factory=link.Connecting, init=False
    )
    since: float = attrs.field(factory=time.monotonic, init=False)
    # Whether to ring since the screen looked.
    bell: bool = attrs.field(default=False, init=False)
    # Messages that came while the reader was away or further up.
    unseen: int = attrs.field(default=0, init=False)
    # Those who have said something, who spoke last at the end.
    names: dict[str, None] = attrs.field(factory=dict, init=False)
    # What was typed and could not be sent, when all is over.
    unsent: list[str] = attrs.field(factory=list, init=False)
    # What was sent and may not have arrived, when all is over.
    unsettled: list[str] = attrs.field(factory=list, init=False)
    _reader_is_here: bool = attrs.field(default=True, init=False)
    _unread: Entry | None = attrs.field(default=None, init=False)
    # Of what was said oneself, how much was lost perhaps with the connection.
    _uncertain: int = attrs.field(default=0, init=False)
    # When the program ran, and when somebody was heard (seconds since the epoch).
    _alive_at: float = attrs.field(default=math.inf, init=False)
    _heard_at: float = attrs.field(default=-math.inf, init=False)
    _lost_at: str = attrs.field(default="", init=False)
    _day: str = attrs.field(default="", init=False)
    _mention: re.Pattern[str] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._mention = re.compile(rf"(?<!\w){re.escape(self.name)}(?!\w)", re.IGNORECASE)

    def tell(self, event: link.Event) -> None:
        """Take in what the chat says."""
        match event:
            case link.Arrived(messages):
                for message in messages:
                    self._arrived(message)
            case link.Moved(saying):
                self._uncertain += saying.delivery is Delivery.UNCERTAIN
            case link.Connecting() | link.Joined() | link.Lost():
                self._connection(event)
        self.changed()

    def notice(self, text: str) -> None:
        """Something that is nobody's message."""
        self._append(Kind.NOTICE, text)
        self.changed()

    def said(self, saying: Saying) -> None:
        """The member has said something."""
        self._append(Kind.OWN, saying.text, self.name, saying=saying)
        self.changed()

    def alive(self) -> None:
        """The program is running: called every second, but for when it is stopped."""
        if isinstance(self.connection, link.Joined):
            self._alive_at = time.time()

    def reader(self, here: bool) -> None:
        """Whether somebody looks at the newest messages."""
        self._reader_is_here = here
        if here:
            self.unseen = 0

    def _arrived(self, message: Message) -> None:
        name = escape(message.name) or _NOBODY
        self._heard_at = time.time()
        mention = bool(self.name and self._mention.search(message.text))
        if not self._reader_is_here:
            if not self.unseen:
                self._mark_unread()
            self.unseen += 1
        self._append(Kind.MESSAGE, message.text, name, mention=mention)
        self.names.pop(name, None)
        self.names[name] = None
        if len(self.names) > _MOST_NAMES:
            del self.names[next(iter(self.names))]
        if mention and time.monotonic() - self.since > REPLAY:
            self.bell = True

    def _mark_unread(self) -> None:
        if self._unread is not None:
            self.scrollback.remove(self._unread)
        self._unread = self._append(Kind.UNREAD, "unread from here")

    def _connection(self, event: link.Connecting | link.Joined | link.Lost) -> None:
        self.connection, self.since = event, time.monotonic()
        match event:
            case link.Joined() if self._lost_at:
                now = time.strftime("%H:%M:%S")
                missing = f"what was said from {self._lost_at} to {now} may be missing here"
                self._append(Kind.NOTICE, f"joined again; {missing}")
                self._lost_at = ""
            case link.Joined():
                self._append(Kind.NOTICE, f"joined {self.place} as {self.name}")
            case link.Lost(reason) if not self._lost_at:
                # A network that is cut is noticed late, and so is anything after a pause.
                since = min(self._alive_at, max(self._heard_at, time.time() - SILENCE))
                self._lost_at = time.strftime("%H:%M:%S", time.localtime(since))
                doubt = "; what is marked ? may not have arrived" if self._uncertain else ""
                self._uncertain = 0
                self._append(Kind.NOTICE, f"connection lost: {reason}{doubt}")
            case link.Lost(reason, math.inf):
                self._append(Kind.NOTICE, f"not trying any more: {reason}")

    def _append(
        self,
        kind: Kind,
        text: str,
        name: str = "",
        *,
        mention: bool = False,
        saying: Saying | None = None,
    ) -> Entry:
        """Put an entry at the end, below the new day if one has begun."""
        now = time.localtime()
        day = time.strftime("%A %d %B %Y", now)
        if day != self._day:
            self._day = day
            self.scrollback.append(Entry(Kind.DAY, "", day))
        entry = Entry(kind, time.strftime("%H:%M", now), escape(text), name, mention, saying)
        self.scrollback.append(entry)
        return entry
