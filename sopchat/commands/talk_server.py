"""`talk-server [-v] [-p PORT]`: the talk exercise by itself (docs/talk-protocol.md)."""

import sys
from collections.abc import Sequence

from sopchat.arguments import Parser, port_number, system_words
from sopchat.commands.running import console_on_stdout, run_until_signal
from sopchat.doors.tcp import open_listeners
from sopchat.exercises import talk

_DESCRIPTION = "A chat server for clients that put their name before what they say."

_EPILOG = """\
A client that sends /who: is told who is there. Ctrl-C ends it with status 0."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and give its exit status."""
    parser = Parser("talk-server", "[-v] [-p port]", _DESCRIPTION, _EPILOG)
    parser.add_argument(
        "-p", "--port", type=port_number, default=12345, help="TCP port (default: %(default)s)"
    )
    parser.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="a line for every connection, departure, resend and /who:",
    )
    options = parser.parse(arguments)
    try:
        listeners = open_listeners(options.port)
    except OSError as error:
        words = system_words(error)
        print(f"talk-server: cannot listen on port {options.port}: {words}", file=sys.stderr)
        return 1
    log = console_on_stdout(silent=not options.verbose)
    return run_until_signal(log, talk.serve, listeners, log)
