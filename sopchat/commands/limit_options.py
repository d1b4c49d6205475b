"""The limits an operator may set: as options, or in a file that is read again on SIGHUP."""

import argparse
import tomllib
from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs

from sopchat.arguments import Parser, UsageError, at_least, byte_size, system_words
from sopchat.limits import Limits

_bytes = byte_size(0)
_SECONDS = {"s": 1, "min": 60, "h": 3600}


def per_second(text: str) -> float:
    """A rate, `50/s`, `600/min` or `1000/h`, in each second. Raises ArgumentTypeError."""
    number, _, unit = text.partition("/")
    try:
        return at_least(0.0, float)(number) / _SECONDS[unit or "s"]
    except (ArgumentTypeError, KeyError):
        raise ArgumentTypeError(f"'{text}' is no rate: one like 50/s or 600/min is") from None


@attrs.frozen
class _Option:
    """One limit: how it is written and what it does."""

    metavar: str
    type: Callable[[str], float]
    help: str

    def shown(self, value: float) -> str:
        """A value as it would be written."""
        if self.type is _bytes:
            return f"{value // 1024**2:g}M"
        return f"{value:g}/s" if self.type is per_second else f"{value:g}"


# By the name of the limit.
_OPTIONS: Mapping[str, _Option] = {
    "max_clients": _Option("N", at_least(1, int), "members at most"),
    "max_pending": _Option(
        "N",
        at_least(1, int),
        "connections without authentication at most; one more pushes out the oldest",
    ),
    "auth_timeout": _Option("SECONDS", at_least(0.001, float), "time to authenticate"),
    "stall_timeout": _Option(
        "SECONDS", at_least(0.001, float), "time after which who takes nothing is too slow"
    ),
    "max_per_address": _Option(
        "N", at_least(0, int), "connections of one address at most, 0 for any number"
    ),
    "max_wrong_keys": _Option(
        "N",
        at_least(0, int),
        "wrong keys of one address before it is refused for a minute, 0 for any number",
    ),
    "rate": _Option("N/s", per_second, "what a member may say for long, 0/s for all it can"),
    "burst": _Option("N", at_least(0, int), "what it may say at once, 0 for 4 seconds' worth"),
    "max_in_flight": _Option(
        "SIZE", _bytes, "bytes that may wait for all members together, 0 for any number"
    ),
}


def add_limits(parser: Parser) -> None:
    """Add an option for every limit, and the file."""
    group = parser.add_argument_group("limits")
    default = Limits()
    for name, option in _OPTIONS.items():
        group.add_argument(
            f"--{name.replace('_', '-')}",
            type=option.type,
            metavar=option.metavar,
            help=f"{option.help} (default: {option.shown(getattr(default, name))})",
        )
    group.add_argument(
        "--limits",
        type=Path,
        metavar="FILE",
        help="limits in a file, lines like max-clients = 10; what is given here goes before it",
    )


def read_limits(options: argparse.Namespace) -> Limits:
    """The limits that the options and the file they name ask for.

    Raises UsageError: the file cannot be read, or what it says is no limit.
    """
    given: dict[str, Any] = _read_file(options.limits) if options.limits else {}
    given |= {
        name: getattr(options, name) for name in _OPTIONS if getattr(options, name) is not None
    }
    return attrs.evolve(Limits(), **given)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            said = tomllib.load(file)
    except OSError as error:
        raise UsageError(f"cannot read the limits in {path}: {system_words(error)}") from None
    except (ValueError, RecursionError) as error:  # the latter: thousands of brackets
        raise UsageError(f"cannot read the limits in {path}: {error}") from None
    return {name.replace("-", "_"): _value(path, name, value) for name, value in said.items()}


def _value(path: Path, name: str, value: object) -> float:
    option = _OPTIONS.get(name.replace("-", "_"))
    if option is None:
        known = ", ".join(known.replace("_", "-") for known in _OPTIONS)
        raise UsageError(f"'{name}' in {path} is no limit: {known} are")
    try:
        return option.type(str(value))
    except ArgumentTypeError as error:
        raise UsageError(f"{name} in {path}: {error}") from None
