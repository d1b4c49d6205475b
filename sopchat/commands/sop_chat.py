"""`sop-chat PORT KEY`: the room (docs/frame-protocol.md, "The command line")."""

import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from sopchat.arguments import Parser, UsageError
from sopchat.commands.entrances import (
    CannotListen,
    add_entrances,
    entrances_handed_over,
    open_entrances,
)
from sopchat.commands.limit_options import add_limits
from sopchat.commands.log_options import CannotLog, add_log, check_log, open_log
from sopchat.commands.room import RunningRoom, Settings
from sopchat.commands.running import console_on_stdout, run_until_signal
from sopchat.commands.tls_options import add_tls
from sopchat.console import Console
from sopchat.stages import stage1, stage2, stage3

_DESCRIPTION = """\
A private chat room: listens on a TCP port, lets in who knows the key, shows every
message and relays it to all other members."""

_EPILOG = """\
example:
  sop-chat 9000 key                          the room
  sop-chat-client localhost 9000 ann key     joins it, in another terminal
  sop-chat 9000 key --tls auto               encrypted; sop-chat-client --tls joins it

A key that begins with - stands behind --.

Ctrl-C or SIGTERM ends the room with status 0, once what is queued has been sent; a second
one ends it at once. SIGHUP reads the key file, the limits and the certificate again;
SIGUSR1 shows how the room is, in figures. Wrong use, a file that cannot be read and a
port that is taken or forbidden end with status 1.
Colours are used on a terminal only, and not where NO_COLOR is set."""


# Options that the first three stages do not know.
_WHOLE = ("line", "talk", "unix", "history", "log", "tls", "tls-cert", "tls-key")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and give its exit status."""
    parser = _parser()
    options = parser.parse(arguments)
    for name in _WHOLE:
        if options.stage < 4 and getattr(options, name.replace("-", "_")):
            parser.error(f"--{name} belongs to the whole room, not to a stage")
    try:
        entrances = entrances_handed_over(options)
        if options.stage < 4 and options.port is None:
            raise UsageError("a stage has the frame door of its port alone")
        check_log(options)
        settings = Settings.read(options)
    except UsageError as error:
        parser.error(str(error))
    console = console_on_stdout(show_messages=not options.quiet, show_keys=not options.hide_keys)
    try:
        if options.stage < 4:
            listeners = open_entrances(options, entrances)["frame"]
            return run_until_signal(console, _stage(options.stage, listeners, settings, console))
        log = open_log(options, console)
        room = RunningRoom.build(options, settings, console, log)
        return room.run(open_entrances(options, entrances))
    except (CannotListen, CannotLog) as error:
        print(f"sop-chat: {error}", file=sys.stderr)
        return 1


def _parser() -> Parser:
    parser = Parser("sop-chat", "port key", _DESCRIPTION, _EPILOG)
    add_entrances(parser)
    parser.add_argument("--quiet", action="store_true", help="show no messages")
    parser.add_argument("--hide-keys", action="store_true", help="show no keys")
    parser.add_argument(
        "--stage",
        type=int,
        choices=(1, 2, 3, 4),
        default=4,
        help="be the server of this stage of the exercise (default: %(default)s, the whole)",
    )
    add_log(parser)
    add_tls(parser)
    add_limits(parser)
    return parser


def _stage(
    number: int, listeners: Sequence[socket.socket], settings: Settings, console: Console
) -> Callable[[], Awaitable[None]]:
    """The server of one of the first three stages."""
    if number == 1:
        return partial(stage1.serve, listeners, console)
    if number == 2:
        return partial(stage2.serve, listeners, settings.key, console)
    return partial(stage3.serve, listeners, settings.key, console, settings.limits)
