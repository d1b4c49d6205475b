"""A chat that comes back: it joins again when the connection is lost, and says nothing twice."""

import contextlib
import enum
import math
import random
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TypeAlias

import attrs
import trio

from sopchat_client.chat import LEAVE_TIMEOUT, Chat
from sopchat_client.errors import CannotConnect, ChatError, Refused, ServerGone, first
from sopchat_client.protocols import Message

# Before joining again it waits so long at first, twice as long after each failure, and never
# longer than the last (seconds); each time a quarter more or less, so that the members of a
# server that was restarted do not all come at once.
FIRST_DELAY = 1.0
LONGEST_DELAY = 60.0
JITTER = 0.25

# A connection that held so long (seconds) was a good one: the delays begin anew.
GOOD = 10.0

# Closed so soon after joining (seconds) is as good as refused.
TOO_SOON = 1.0

# After so many refusals in a row it does not try by itself any more: the key is another now.
MOST_REFUSALS = 5

# What is said goes out in a burst of so many frames, and then so many a second: a long paste is no
# flood for the others, and stays below what servers allow.
BURST = 20
PACE = 25.0

# What the server's system has confirmed, and the server has had so long to read (seconds),
# counts as said.
_SETTLED = 1.0
_LOOK_EVERY = 0.25


class Delivery(enum.Enum):
    """How far something that was said has come."""

    WAITING = enum.auto()
    SENT = enum.auto()
    # The connection was lost right after it was sent: nobody can know whether it arrived.
    UNCERTAIN = enum.auto()
    TAKEN_BACK = enum.auto()


@attrs.define(eq=False)
class Saying:
    """A text on its way."""

    text: str
    delivery: Delivery = Delivery.WAITING


@attrs.frozen
class Connecting:
    """It is about to join."""


@attrs.frozen
class Joined:
    """It is a member now."""


@attrs.frozen
class Arrived:
    """Others said something."""

    messages: list[Message]


@attrs.frozen
class Moved:
    """A saying's delivery has changed."""

    saying: Saying


@attrs.frozen
class Lost:
    """It is no member, and tries again in so many seconds; infinite: when `again` is called."""

    reason: str
    again_in: float


Event: TypeAlias = Connecting | Joined | Arrived | Moved | Lost


@attrs.define(eq=False)
class Link:
    """Keeps a place in a room until `leave`.

    `connect` makes a connection, as `chat.connect` does; `tell` is called, in Trio's thread, with
    everything that happens. All but `run` may be used from outside of Trio.
    """

    # It holds the key, which has no place in any message.
    _connect: Callable[[], AbstractAsyncContextManager[Chat]] = attrs.field(repr=False)
    _tell: Callable[[Event], None]
    _token: trio.lowlevel.TrioToken | None = attrs.field(default=None, init=False)
    _changed: trio.Event = attrs.field(factory=trio.Event, init=False)
    _leaving: bool = attrs.field(default=False, init=False)
    # Ends everything, some time after `leave`.
    _scope: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)
    _is_member: bool = attrs.field(default=False, init=False)
    # Why it is no member any more.
    _end: ChatError | None = attrs.field(default=None, init=False)
    _hurry: bool = attrs.field(default=False, init=False)
    _waiting: deque[Saying] = attrs.field(factory=deque, init=False)
    # What was sent and when, as long as it may be lost with the connection.
    _unsettled: deque[tuple[Saying, float]] = attrs.field(factory=deque, init=False)
    # When all that was sent would have gone out at an even pace; a burst may be ahead of it.
    _paced_until: float = attrs.field(default=-math.inf, init=False)

    @property
    def unsent(self) -> list[str]:
        """The texts that have not been sent yet."""
        return [saying.text for saying in self._waiting]

    @property
    def on_the_way(self) -> int:
        """How many texts have not been sent whole."""
        return len(self._begun) + len(self._waiting)

    @property
    def _begun(self) -> list[Saying]:
        return [saying for saying, sent_at in self._unsettled if sent_at == math.inf]

    @property
    def unsettled(self) -> list[str]:
        """The texts that were sent last, of which nobody knows whether they have arrived."""
        return [saying.text for saying, _ in self._unsettled]

    def say(self, text: str) -> Saying:
        """Say a text, without NUL, as soon as the pace and the connection allow."""
        saying = Saying(text)
        self._waiting.append(saying)
        self._call(self._pulse)
        return saying

    def take_back(self) -> list[Saying]:
        """Do not send what still waits, nor the rest of what is being sent; give it."""
        taken = [*self._begun, *self._waiting]
        self._waiting.clear()
        for saying in taken:
            saying.delivery = Delivery.TAKEN_BACK
        return taken

    def again(self) -> None:
        """Do not wait any longer before joining again."""
        self._hurry = True
        self._call(self._pulse)

    def give_up(self) -> None:
        """Leave without waiting for the server."""
        self._leaving = True
        self._call(self._scope.cancel)

    def leave(self) -> None:
        """Leave the room. What waits for the pace or the connection is not sent."""
        self._leaving = True
        self._call(self._bound_leaving)

    async def run(self) -> None:
        """Be a member until `leave`.

        Raises CannotConnect or Refused if joining fails the first time; Refused or ServerGone if it
        was not a member in the end, or if the server did not confirm that it has everything. Who
        leaves before having joined gets no error.
        """
        self._token = trio.lowlevel.current_trio_token()
        try:
            with self._scope:
                await self._run()
            if self._is_member:
                raise ServerGone("the server has not taken everything")
            if self._end is not None:
                raise self._end if isinstance(self._end, Refused) else ServerGone(str(self._end))
        finally:
            self._token = None

    async def _run(self) -> None:
        """Join, and again, until `leave`; `_is_member` says whether it is one when this is cut."""
        delay, refusals, was_member = FIRST_DELAY, 0, False
        while not self._leaving:
            self._tell(Connecting())
            start = math.inf
            try:
                async with self._connect() as chat:
                    self._is_member = was_member = True
                    start = trio.current_time()
                    self._tell(Joined())
                    await self._take_part(chat)
                self._is_member, self._end = False, None
                # The server has everything but the rest of a text in whose middle it was left.
                self._unsettled = deque((saying, math.inf) for saying in self._begun)
                return
            except (CannotConnect, Refused, ServerGone) as error:
                if not was_member:
                    raise
                self._is_member, self._end = False, error
            self._doubt()
            held = trio.current_time() - start
            refused = isinstance(self._end, Refused) or 0 <= held < TOO_SOON
            refusals = refusals + 1 if refused else 0
            if held > GOOD:
                delay = FIRST_DELAY
            if not self._leaving:
                wait = delay * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - no secret
                await self._pause(str(self._end), wait if refusals < MOST_REFUSALS else math.inf)
                delay = min(delay * 2, LONGEST_DELAY)

    async def _pause(self, reason: str, seconds: float) -> None:
        self._hurry = False
        self._tell(Lost(reason, seconds))
        with trio.move_on_after(seconds):
            await self._until(lambda: self._hurry or self._leaving)

    async def _take_part(self, chat: Chat) -> None:
        """Receive and send until the server has closed. Raises ServerGone."""
        end: BaseException | None = None
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send, chat)
                nursery.start_soon(self._settle, chat)
                while messages := await chat.receive():
                    self._tell(Arrived(messages))
                nursery.cancel_scope.cancel()
        except* ServerGone as group:
            end = first(group)
        if end is not None:
            raise end

    async def _send(self, chat: Chat) -> None:
        """Send what waits, then leave if that is wanted."""
        while True:
            await self._until(lambda: bool(self._waiting) or self._leaving)
            if not self._waiting or not await self._say(chat, self._waiting[0]):
                break
        await chat.leave()

    async def _say(self, chat: Chat, saying: Saying) -> bool:
        """Send a text as the pace allows, message by message; False if `leave` stopped it."""
        begun = False
        for piece in chat.pieces(saying.text):
            if not await self._keep_pace():
                return False
            if saying.delivery is Delivery.TAKEN_BACK:
                if begun:
                    self._unsettled.pop()
                return True
            if not begun:
                self._unsettled.append((self._waiting.popleft(), math.inf))
                begun = True
            self._paced_until = max(self._paced_until, trio.current_time()) + 1 / PACE
            await chat.send(piece)
        self._unsettled[-1] = (saying, trio.current_time())
        self._move(saying, Delivery.SENT)
        return True

    async def _keep_pace(self) -> bool:
        """Wait until the next message may go; False if `leave` is called before."""
        due = self._paced_until - (BURST - 1) / PACE  # a burst may be ahead of the even pace
        with trio.move_on_at(due):
            await self._until(lambda: self._leaving)
        return trio.current_time() >= due

    async def _settle(self, chat: Chat) -> None:
        """Watch what was sent until the server must have it."""
        while True:
            await trio.sleep(_LOOK_EVERY)
            # Who leaves is told by the server's close, which is certain.
            if not self._leaving and chat.unacknowledged() == 0:
                before = trio.current_time() - _SETTLED
                while self._unsettled and self._unsettled[0][1] < before:
                    self._unsettled.popleft()

    def _doubt(self) -> None:
        """The connection is lost, and what was sent last perhaps with it."""
        for saying, _ in self._unsettled:
            if saying.delivery is not Delivery.TAKEN_BACK:
                self._move(saying, Delivery.UNCERTAIN)
        if not self._leaving:
            self._unsettled.clear()

    def _move(self, saying: Saying, delivery: Delivery) -> None:
        saying.delivery = delivery
        self._tell(Moved(saying))

    def _call(self, function: Callable[[], None]) -> None:
        """Call in Trio, if anybody is still there."""
        if self._token is not None:
            with contextlib.suppress(trio.RunFinishedError):
                self._token.run_sync_soon(function)

    def _bound_leaving(self) -> None:
        """What is being sent may take as long as the server then takes to close; no join is for."""
        seconds = 2 * LEAVE_TIMEOUT if self._is_member else 0.0
        self._scope.deadline = trio.current_time() + seconds
        self._pulse()

    def _pulse(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            await self._changed.wait()
