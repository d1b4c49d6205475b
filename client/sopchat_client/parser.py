"""The client's command line, and what a profile says in its place.

It must not wait for Trio: a shell that completes a command line uses it as well.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from sopchat.arguments import KEY_VARIABLE, Parser, UsageError, port_number
from sopchat.wire.fingerprint import read_fingerprint
from sopchat.wire.frame import NAME_SIZE
from sopchat_client import profiles

_DESCRIPTION = """\
Joins a chat room. On a terminal it takes the full screen, with help behind F1; between pipes
every line in is one message out, and every message in is one line out."""

_EPILOG = f"""\
A key or name that begins with - stands behind --.

examples:
  sop-chat-client localhost 9000 ann key              talk; Ctrl-D or Ctrl-C leaves
  uptime | sop-chat-client localhost 9000 bot key     say something and leave
  sop-chat-client --exec ./bot localhost 9000 bot key run a program for every message
  sop-chat-client --json localhost 9000 log key       JSON objects, one a line, both ways
  sop-chat-client @work                               a room of ~/.config/sop-chat/client.toml
  {KEY_VARIABLE}=key sop-chat-client localhost 9000 ann      the key is not in the process list

exit status:
  0    left: end of input, Ctrl-D, Ctrl-C while typing, SIGTERM with --exec, or nobody
       reads the output
  1    wrong use, a line that cannot be sent (it holds a NUL byte, or is no JSON object
       where it must be one), or an input or output that fails
  2    cannot connect
  3    refused: wrong key or full room, or it turns this address away for now (the
       server closes for each without a word, so they cannot be told apart)
  4    the server went away
  5    a defect of the client
  6    encrypted, and not the server that it should be: it was told nothing
  130  Ctrl-C between pipes or with --exec"""


class ClientParser(Parser):
    """`sop-chat-client HOST PORT NAME KEY`, or `sop-chat-client @PROFILE`."""

    def __init__(self) -> None:
        super().__init__("sop-chat-client", "host port name key", _DESCRIPTION, _EPILOG)
        self.usage = (
            "sop-chat-client [options] host port name [key]\n"
            "       sop-chat-client [options] @profile"
        )
        # All may be left out here, since a profile says them; `parse` asks for them.
        self.add_argument(
            "host",
            nargs="?",
            help="where the room is: a name or an address; or @ and a profile's name",
        )
        self.add_argument("port", nargs="?", help="its TCP port")
        self.add_argument(
            "name",
            nargs="?",
            type=os.fsencode,
            help=f"your name, at most {NAME_SIZE} bytes of UTF-8",
        )
        self.add_key()
        self.add_argument(
            "--protocol",
            choices=profiles.PROTOCOLS,
            default="frame",
            help="what the port speaks: numbered is frame with the number of every message;"
            " line and talk servers may have no key (default: %(default)s)",
        )
        self.add_argument(
            "--json", action="store_true", help="messages as JSON objects, in and out"
        )
        self.add_argument(
            "--exec",
            metavar="COMMAND",
            help="run COMMAND in a shell for every message, a JSON object on its standard input,"
            " and send what it prints; standard input is not read",
        )
        tls = self.add_argument_group("encrypted (docs/tls.md)")
        tls.add_argument(
            "--tls",
            action="store_true",
            help="the server is one that the system trusts, or the one that was there the first"
            " time",
        )
        tls.add_argument(
            "--fingerprint",
            type=_fingerprint,
            metavar="SHA256",
            help="the server is the one with this certificate, as its console says; implies --tls",
        )
        tls.add_argument(
            "--ca",
            type=Path,
            metavar="FILE",
            help="the server is one for whom these authorities vouch (PEM); implies --tls",
        )
        screen = self.add_argument_group("on a terminal")
        screen.add_argument(
            "--plain",
            action=argparse.BooleanOptionalAction,
            default=False,
            help="a line to type, and no full screen",
        )
        screen.add_argument(
            "--theme", choices=profiles.THEMES, help="the colours of the full screen"
        )
        screen.add_argument(
            "--mouse",
            action=argparse.BooleanOptionalAction,
            default=True,
            help="without it the terminal selects and copies as everywhere",
        )
        self.add_argument(
            "--completion",
            choices=("bash", "zsh", "fish"),
            help="print what this shell evaluates to complete the arguments, and end",
        )

    def parse(self, arguments: Sequence[str] | None) -> argparse.Namespace:
        """Parse; what a profile says stands where the command line says nothing.

        `key` is the profile's, if no other is given, for which its key-command may run.
        """
        options = super().parse(arguments)
        if options.completion is not None:  # all that it needs
            return options
        try:
            if options.fingerprint is not None and options.ca is not None:
                raise UsageError("one of --fingerprint and --ca is enough")
            if options.host is not None and options.host.startswith("@"):
                return self._with_profile(options, arguments)
            self._require(options)
        except (UsageError, argparse.ArgumentTypeError) as error:
            self.error(str(error))
        return options

    def _with_profile(
        self, options: argparse.Namespace, arguments: Sequence[str] | None
    ) -> argparse.Namespace:
        """Raises UsageError."""
        if options.port is not None:  # the arguments come in order: then name and key may be, too
            raise UsageError(
                f"{options.host} says host, port, name and key: only options may stand beside it"
            )
        profile = profiles.read(options.host[1:])
        said = profile.options()
        if options.fingerprint is not None or options.ca is not None:
            said = {key: value for key, value in said.items() if key not in ("fingerprint", "ca")}
        self.set_defaults(**said)
        options = super().parse(arguments)
        options.host = said["host"]
        if options.key_file is None:
            options.key = profile.key()
        return options

    def _require(self, options: argparse.Namespace) -> None:
        """Raises UsageError, ArgumentTypeError."""
        missing = [name for name in ("host", "port", "name") if getattr(options, name) is None]
        if missing:
            raise UsageError(f"the following arguments are required: {', '.join(missing)}")
        options.port = port_number(options.port)


def _fingerprint(text: str) -> str:
    """An argument type. Raises ArgumentTypeError."""
    try:
        return read_fingerprint(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
