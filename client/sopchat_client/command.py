"""`sop-chat-client HOST PORT NAME KEY`: arguments and exit status."""

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence

import trio

from sopchat.arguments import KEY_VARIABLE, Parser, UsageError, port_number, read_key
from sopchat.wire.frame import NAME_SIZE, checked
from sopchat_client import parse, pipe, render
from sopchat_client.chat import connect
from sopchat_client.errors import (
    CannotConnect,
    ChatError,
    InputFailed,
    OutputFailed,
    Refused,
    ServerGone,
)

_DESCRIPTION = """\
Joins a chat room. On a terminal it edits the line being typed and shows messages above it;
between pipes every line in is one message out, and every message in is one line out."""

_EPILOG = f"""\
A key or name that begins with - stands behind --.

examples:
  sop-chat-client localhost 9000 ann key              talk; Ctrl-D or Ctrl-C leaves
  uptime | sop-chat-client localhost 9000 bot key     say something and leave
  sop-chat-client --exec ./bot localhost 9000 bot key run a program for every message
  sop-chat-client --json localhost 9000 log key       JSON objects, one a line, both ways
  {KEY_VARIABLE}=key sop-chat-client localhost 9000 ann      the key is not in the process list

exit status:
  0    left: end of input, Ctrl-D, Ctrl-C while typing, SIGTERM with --exec, or nobody
       reads the output
  1    wrong use, a line that cannot be sent (it holds a NUL byte, or is no JSON object
       where it must be one), or an input or output that fails
  2    cannot connect
  3    refused: wrong key or full room (the server closes for both without a word,
       so they cannot be told apart)
  4    the server went away
  130  Ctrl-C between pipes or with --exec"""

_STATUS: dict[type[BaseException], int] = {
    InputFailed: 1,
    OutputFailed: 1,
    CannotConnect: 2,
    Refused: 3,
    ServerGone: 4,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and give its exit status."""
    parser = _parser()
    options = parser.parse(arguments)
    try:
        checked(options.name, NAME_SIZE, "the name")
        key = _key(options)
    except (UsageError, ValueError) as error:
        parser.error(str(error))
    status = 0
    try:
        trio.run(_talk, options, key)
    except* ChatError as group:
        end = _first(group)
        status = _STATUS[type(end)]
        _tell(str(end))
    except* BrokenPipeError:
        pass  # nobody reads the output any more, as `head` does: that is all they wanted
    except* KeyboardInterrupt:
        status = 130
    return status


def _parser() -> Parser:
    parser = Parser("sop-chat-client", "host port name key", _DESCRIPTION, _EPILOG)
    parser.add_argument("host", help="where the room is: a name or an address")
    parser.add_argument("port", type=port_number, help="its TCP port")
    parser.add_argument(
        "name", type=os.fsencode, help=f"your name, at most {NAME_SIZE} bytes of UTF-8"
    )
    parser.add_key()
    parser.add_argument(
        "--protocol",
        choices=("frame", "line", "talk"),
        default="frame",
        help="what the port speaks; line and talk servers may have no key (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="messages as JSON objects, in and out")
    parser.add_argument(
        "--exec",
        metavar="COMMAND",
        help="run COMMAND in a shell for every message, a JSON object on its standard input,"
        " and send what it prints; standard input is not read",
    )
    return parser


def _key(options: argparse.Namespace) -> bytes | None:
    """The key, or None for a line or talk server where none is given. Raises UsageError."""
    given = options.key is not None or options.key_file is not None or KEY_VARIABLE in os.environ
    if options.protocol != "frame" and not given:
        return None
    return read_key(options.key, options.key_file)


async def _talk(options: argparse.Namespace, key: bytes | None) -> None:
    host, port = options.host, options.port
    async with connect(host, port, options.name, key, options.protocol) as chat:
        if options.exec is not None:
            # Imported here, as the prompt below: between pipes nobody waits for it.
            from sopchat_client import execute

            read = parse.from_json if options.json else parse.from_line
            await execute.talk(chat, options.exec, read, _tell)
        elif options.json:
            await pipe.talk(chat, parse.from_json, render.as_json)
        elif not _on_terminal():
            await pipe.talk(chat, parse.from_line, render.as_line)
        else:
            from sopchat_client import prompt

            line = render.as_line if os.environ.get("NO_COLOR") else render.as_coloured_line
            await prompt.talk(chat, line, f"joined {host} port {port}; Ctrl-D leaves\n")


def _tell(what: str) -> None:
    """One line on standard error, if it takes one: whoever does not read it misses no message."""
    with contextlib.suppress(OSError):
        print(f"sop-chat-client: {what}", file=sys.stderr)


def _on_terminal() -> bool:
    """Whether somebody sits there, at a terminal that can redraw a line."""
    streams = (sys.stdin, sys.stdout)
    people = all(stream is not None and stream.isatty() for stream in streams)
    return people and os.environ.get("TERM") != "dumb"


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first exception of a group, however deep."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
