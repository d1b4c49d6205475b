"""What a shell needs to complete the command line, and the answers when it asks, by argcomplete."""

import argparse
import os
from collections.abc import Iterable

import argcomplete
from argcomplete.completers import BaseCompleter, FilesCompleter
from argcomplete.shell_integration import shellcode

from sopchat_client import profiles
from sopchat_client.parser import ClientParser

_WORD_BREAKS = "_ARGCOMPLETE_COMP_WORDBREAKS"


def script(shell: str) -> str:
    """What bash, zsh or fish evaluates so that it asks."""
    # Where we know nothing bash must not offer files or hosts: -o default is left out.
    return shellcode(["sop-chat-client"], shell=shell, complete_arguments=["-o", "nospace"])


def main() -> int:
    """Answer a shell that asks, and end."""
    # Bash breaks words at an @, but leaves it in the word that is to be completed. argcomplete,
    # which cuts off a word up to a break, must not take it for one.
    breaks = os.environ.get(_WORD_BREAKS, "")
    os.environ[_WORD_BREAKS] = breaks.replace("@", "")
    argcomplete.autocomplete(ClientParser(), default_completer=_Values())
    return 0


class _Values(BaseCompleter):
    """The values of an argument, where the parser does not know them."""

    def __call__(
        self,
        *,
        prefix: str,
        action: argparse.Action,
        parser: argparse.ArgumentParser,
        parsed_args: argparse.Namespace,
    ) -> Iterable[str]:
        if action.dest == "host":
            return [f"@{name}" for name in profiles.names()]
        if action.dest in ("key_file", "exec", "ca"):
            return FilesCompleter()(prefix)
        return []
