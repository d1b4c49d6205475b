"""What the commands share: how wrong use and errors are told, ports, and where a key is."""

import argparse
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

from sopchat import __version__
from sopchat.wire.frame import TEXT_SIZE, checked

# Larger numbers than anybody means, which systems cannot count with.
_MOST = 2**31 - 1

Value = TypeVar("Value", int, float)

KEY_VARIABLE = "SOPCHAT_KEY"

# Exit status of wrong use, for every command.
USAGE_STATUS = 1


class UsageError(Exception):
    """Wrong use of a command. The message says what was wrong and what is right."""


class Parser(argparse.ArgumentParser):
    """Ends wrong use with a line `USAGE: ...`, then what was wrong, and status 1."""

    def __init__(self, prog: str, short_usage: str, description: str, epilog: str) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        self._short_usage = f"{prog} {short_usage}"
        self.add_argument("--version", action="version", version=f"{prog} {__version__}")

    def parse(self, arguments: Sequence[str] | None) -> argparse.Namespace:
        """Parse; options may stand anywhere, also between the arguments."""
        return self.parse_intermixed_args(arguments)

    def error(self, message: str) -> NoReturn:
        """Wrong use: what `argparse` found, or the command itself."""
        self.exit(USAGE_STATUS, f"USAGE: {self._short_usage}\n{self.prog}: {message}\n")

    def add_key(self) -> None:
        """The key: as the last argument, in a file, or in the environment."""
        self.add_argument(
            "key", nargs="?", type=os.fsencode, help=f"the room's key, 1 to {TEXT_SIZE} bytes"
        )
        self.add_argument(
            "--key-file",
            type=Path,
            metavar="FILE",
            help=f"read the key from the first line of FILE; without KEY and FILE it is"
            f" ${KEY_VARIABLE}: then it does not stand in the process list",
        )


def read_key(key: bytes | None, key_file: Path | None) -> bytes:
    """The room's key: `key`, or the first line of `key_file`, or what SOPCHAT_KEY says.

    Raises UsageError: none or two are given, the file cannot be read, or what it says cannot
    be a key (empty, over 448 bytes, with a NUL byte).
    """
    if key is not None and key_file is not None:
        raise UsageError("the key is given twice: as an argument and with --key-file")
    if key_file is not None:
        source = f"the key in {key_file}"
        try:
            with key_file.open("rb") as file:
                key = file.readline(TEXT_SIZE + 2).removesuffix(b"\n").removesuffix(b"\r")
        except OSError as error:
            raise UsageError(
                f"cannot read the key file {key_file}: {system_words(error)}"
            ) from None
    elif key is not None:
        source = "the key"
    else:
        source = f"the key in ${KEY_VARIABLE}"
        key = os.environb.get(KEY_VARIABLE.encode())
        if key is None:
            raise UsageError(
                f"no key: give it as an argument, with --key-file, or in ${KEY_VARIABLE}"
            )
    if not key:
        raise UsageError(f"{source} is empty, and needs 1 to {TEXT_SIZE} bytes")
    try:
        return checked(key, TEXT_SIZE, source)
    except ValueError as error:
        raise UsageError(str(error)) from None


def system_words(error: OSError | UnicodeError) -> str:
    """What the system says of an error, without the address that Python and Trio add to it.

    A UnicodeError is Python's way to say that a text can be no host's name.
    """
    if isinstance(error, UnicodeError):
        return "that is no host name"
    if isinstance(error, socket.gaierror) or error.errno is None:  # of a name look-up: no errno
        return error.strerror or str(error)
    return os.strerror(error.errno)


def port_number(text: str) -> int:
    """A TCP port in decimal digits. Raises ArgumentTypeError for anything else."""
    digits = text.lstrip("0") if text.isascii() and text.isdigit() else ""
    if not 1 <= len(digits) <= 5 or int(digits) > 65535:
        raise argparse.ArgumentTypeError(f"'{text}' is no port: a number from 1 to 65535 is")
    return int(digits)


def at_least(least: Value, kind: Callable[[str], Value]) -> Callable[[str], Value]:
    """An argument type: a number of that kind, not below `least`, and not beyond all bounds."""

    def number(text: str) -> Value:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= _MOST:
            most = "" if value is None or value < least else f" and at most {_MOST}"
            raise argparse.ArgumentTypeError(f"'{text}' is no number of at least {least}{most}")
        return value

    return number


def byte_size(least: int) -> Callable[[str], int]:
    """An argument type: a number of bytes, `K`, `M` or `G` behind it for KiB, MiB or GiB."""

    def size(text: str) -> int:
        digits, unit = (text[:-1], text[-1:].upper()) if text[-1:].isalpha() else (text, "")
        power = ("", "K", "M", "G").index(unit) if unit in ("", "K", "M", "G") else None
        if not (digits.isascii() and digits.isdigit()) or len(digits) > 12 or power is None:
            raise argparse.ArgumentTypeError(f"'{text}' is no size: one is 500000, 64M or 2G")
        if (number := int(digits) << 10 * power) < least:
            raise argparse.ArgumentTypeError(f"{text} is too small: at least {least} bytes")
        return number

    return size
