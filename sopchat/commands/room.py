"""The whole room with what an operator puts around it, until a signal ends it."""

import argparse
import contextlib
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import attrs
import trio

from sopchat.arguments import UsageError, read_key
from sopchat.commands import descriptors
from sopchat.commands.limit_options import read_limits
from sopchat.commands.log_options import last_said
from sopchat.commands.running import run_until_signal
from sopchat.commands.tls_options import read_identity
from sopchat.console import Console
from sopchat.doors import Door
from sopchat.doors.frame import FrameDoor
from sopchat.doors.line import LineDoor
from sopchat.doors.talk import TalkDoor
from sopchat.limits import Limits
from sopchat.log.room_log import RoomLog
from sopchat.server import Server
from sopchat.service import Notifier
from sopchat.tls import Identity


@attrs.frozen
class Settings:
    """What is read anew on SIGHUP."""

    key: bytes
    limits: Limits
    identity: Identity | None

    @classmethod
    def read(cls, options: argparse.Namespace) -> "Settings":
        """What the options and the files they name ask for. Raises UsageError."""
        key = read_key(options.key, options.key_file)
        return cls(key, read_limits(options), read_identity(options))


@attrs.define(eq=False)
class RunningRoom:
    """A server, its log, and the service manager that watches it."""

    _options: argparse.Namespace
    _console: Console
    _log: RoomLog | None
    _server: Server
    _notifier: Notifier = attrs.field(factory=Notifier.from_environment)
    _reload_asked: trio.Event = attrs.field(factory=trio.Event, init=False)

    @classmethod
    def build(
        cls,
        options: argparse.Namespace,
        settings: Settings,
        console: Console,
        log: RoomLog | None,
    ) -> "RunningRoom":
        """Put it together. Raises CannotLog."""
        tls = settings.identity.context if settings.identity else None
        server = Server(settings.key, console, settings.limits, tls, options.history)
        if log is not None:
            server.room.watchers = [*server.room.watchers, log]
            server.room.sequence = log.next - 1
            server.room.history.add(last_said(options))
        room = cls(options, console, log, server)
        room._tell(settings)
        return room

    def run(self, entrances: Mapping[str, Sequence[socket.socket]]) -> int:
        """Run until a signal, by the listeners of each door; the exit status."""
        makers: dict[str, Callable[[], Door]] = {
            "frame": FrameDoor,
            "line": LineDoor,
            "talk": partial(TalkDoor, self._server.roster),
        }
        doors = {makers[name](): listeners for name, listeners in entrances.items()}
        others = {signal.SIGHUP: self._ask_reload, signal.SIGUSR1: self._show_metrics}
        return run_until_signal(self._console, self._serve, doors, stop=self._stop, others=others)

    async def _serve(self, doors: Mapping[Door, Sequence[socket.socket]]) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._notifier.watchdog)
            nursery.start_soon(self._reload_when_asked)
            self._notifier.ready()  # the sockets listen already
            async with self._log.running() if self._log else contextlib.nullcontext():
                await self._server.serve(doors)
            nursery.cancel_scope.cancel()

    def _stop(self) -> None:
        self._notifier.stopping()
        self._server.stop()

    def _ask_reload(self) -> None:
        self._reload_asked.set()

    async def _reload_when_asked(self) -> None:
        """One at a time, and in a thread: a file may be one that keeps its reader waiting."""
        while True:
            await self._reload_asked.wait()
            self._reload_asked = trio.Event()
            self._notifier.reloading()
            try:
                settings = await trio.to_thread.run_sync(
                    Settings.read, self._options, abandon_on_cancel=True
                )
            except UsageError as error:
                self._console.show(f"not reloaded, and all goes on as it was: {error}")
            else:
                tls = settings.identity.context if settings.identity else None
                self._server.change(settings.key, settings.limits, tls)
                self._console.show(self._reloaded())
                self._tell(settings)
            self._notifier.ready()
            self._notifier.status(self._metrics())

    def _reloaded(self) -> str:
        """What there was to be read again."""
        options = self._options
        read = [
            what
            for what, file in (
                ("the key", options.key_file),
                ("the limits", options.limits),
                ("the certificate", options.tls_cert or options.tls),
            )
            if file
        ]
        if not read:
            return "nothing to reload: there is no --key-file, --limits, --tls or --tls-cert"
        return f"reloaded: {', '.join(read)}"

    def _show_metrics(self) -> None:
        """To who reads the console, and to who asks the service manager."""
        self._console.show(self._metrics())
        self._notifier.status(self._metrics())

    def _metrics(self) -> str:
        """How the room is, in a line."""
        room, log = self._server.room, self._log
        waiting = sum(member.outbox.waiting for member in room)
        parts = [
            f"{len(room)}/{room.limit} members",
            f"{self._server.pending} not authenticated",
            f"{room.sequence} frames so far",
            f"{waiting} bytes wait for members",
        ]
        if log is not None:
            parts += [
                f"room log: {log.written} frames written",
                f"{log.missing} missing",
                f"{log.waiting} bytes wait for the disk",
                f"{log.failures + log.sync_failures} failures",
            ]
        return ", ".join(parts)

    def _tell(self, settings: Settings) -> None:
        """What the operator should know of the settings."""
        if settings.identity is not None:
            self._console.encrypted(settings.identity.fingerprint)
        if trouble := descriptors.make_room(settings.limits):
            self._console.show(trouble)
