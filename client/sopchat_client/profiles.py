"""Profiles: rooms by name, as tables of a TOML file that is the user's own.

[work]
host = "chat.example.org"
port = 9000
name = "ann"
key-command = "pass show chat"
"""

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import attrs

from sopchat.arguments import UsageError, read_key, system_words
from sopchat.wire.fingerprint import read_fingerprint
from sopchat.wire.frame import NAME_SIZE, checked

# Checks what a key of a table says. Raises ValueError.
Validator: TypeAlias = Callable[[object, "attrs.Attribute[Any]", object], None]

PROTOCOLS = ("frame", "numbered", "line", "talk")
THEMES = ("light", "dark")


def _called(field: "attrs.Attribute[Any]") -> str:
    """What a field is called in the file."""
    return field.name.replace("_", "-")


def _is_text(_: object, field: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, str) or not value or "\0" in value:
        raise ValueError(f"{_called(field)} must be a string, not empty and without a NUL")


def _is_port(_: object, field: "attrs.Attribute[Any]", value: object) -> None:
    if type(value) is not int or not 1 <= value <= 65535:  # True is an int as well
        raise ValueError(f"{_called(field)} must be a number from 1 to 65535")


def _is_name(_: object, field: "attrs.Attribute[Any]", value: str) -> None:
    checked(value.encode(), NAME_SIZE, f"the {_called(field)}")


def _is_fingerprint(_: object, __: "attrs.Attribute[Any]", value: object) -> None:
    read_fingerprint(str(value))


def _is_one_of(
    choices: tuple[str, ...],
) -> Callable[[object, "attrs.Attribute[Any]", object], None]:
    def check(_: object, field: "attrs.Attribute[Any]", value: object) -> None:
        if value not in choices:
            quoted = ", ".join(f'"{choice}"' for choice in choices)
            raise ValueError(f"{_called(field)} must be one of {quoted}")

    return check


def _is_bool(_: object, field: "attrs.Attribute[Any]", value: object) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"{_called(field)} must be true or false")


_optional = attrs.validators.optional


@attrs.frozen(kw_only=True)
class Table:
    """What a table may say, and what each key takes; `-` in a key is `_` here.

    A key without a default must be there. One that is called like an option of the command line
    is that option's default. Raises ValueError.
    """

    host: str = attrs.field(validator=_is_text)
    port: int = attrs.field(validator=_is_port)
    name: str = attrs.field(validator=[_is_text, _is_name])
    protocol: str | None = attrs.field(default=None, validator=_optional(_is_one_of(PROTOCOLS)))
    key: str | None = attrs.field(default=None, validator=_optional(_is_text), repr=False)
    key_file: str | None = attrs.field(default=None, validator=_optional(_is_text))
    key_command: str | None = attrs.field(default=None, validator=_optional(_is_text))

    tls: bool | None = attrs.field(default=None, validator=_optional(_is_bool))
    fingerprint: str | None = attrs.field(default=None, validator=_optional(_is_fingerprint))
    ca: str | None = attrs.field(default=None, validator=_optional(_is_text))

    plain: bool | None = attrs.field(default=None, validator=_optional(_is_bool))
    theme: str | None = attrs.field(default=None, validator=_optional(_is_one_of(THEMES)))
    mouse: bool | None = attrs.field(default=None, validator=_optional(_is_bool))

    def __attrs_post_init__(self) -> None:
        if sum(key is not None for key in (self.key, self.key_file, self.key_command)) > 1:
            raise ValueError("one of key, key-file and key-command is enough")
        if self.fingerprint is not None and self.ca is not None:
            raise ValueError("one of fingerprint and ca is enough")
        if self.tls is False and (self.fingerprint is not None or self.ca is not None):
            raise ValueError("fingerprint and ca are for tls = true")


@attrs.frozen
class Profile:
    """A table, and where it stands."""

    _file: Path
    _name: str
    _table: Table

    def options(self) -> dict[str, object]:
        """The options that it says, by their names in the parser, all but the key itself."""
        said = attrs.asdict(self._table, filter=lambda field, value: value is not None)
        said.pop("key", None)
        said.pop("key_command", None)
        said["name"] = self._table.name.encode()
        if self._table.key_file is not None:
            said["key_file"] = self._file.parent / _expanded(self._table.key_file)
        if self._table.ca is not None:
            said["ca"] = self._file.parent / _expanded(self._table.ca)
        if self._table.fingerprint is not None:
            said["fingerprint"] = read_fingerprint(self._table.fingerprint)
        return said

    def key(self) -> bytes | None:
        """The key that it says or that its key-command prints; None if it does neither.

        Raises UsageError.
        """
        if self._table.key_command is not None:
            key = self._ask(self._table.key_command)
        elif self._table.key is not None:
            key = self._table.key.encode()
        else:
            return None
        try:
            return read_key(key, None)
        except UsageError as error:
            raise UsageError(f"{self._file}, [{self._name}]: {error}") from None

    def _ask(self, command: str) -> bytes:
        """The first line that the command prints. A person may have to answer it: no time limit.

        It may use the terminal. What is piped into the client are messages, and not for it.
        """
        terminal = sys.stdin is not None and sys.stdin.isatty()
        try:
            done = subprocess.run(  # noqa: S603  # the user's own file says what to run
                ["/bin/sh", "-c", command],
                stdin=None if terminal else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                check=False,
            )
        except OSError as error:
            reason = f"cannot be run: {system_words(error)}"
        else:
            if not done.returncode:
                return done.stdout.partition(b"\n")[0].removesuffix(b"\r")
            reason = f"failed with status {done.returncode}"
        raise UsageError(f"{self._file}, [{self._name}]: key-command {reason}")


def read(name: str) -> Profile:
    """The profile of that name. Raises UsageError, which names the file and the table."""
    file = _file()
    tables, is_private = _tables(file)
    if name not in tables:
        there = ", ".join(sorted(tables)) or "none"
        raise UsageError(f"no profile '{name}' in {file}; there are: {there}")
    try:
        table = _checked(tables[name])
        if table.key is not None and not is_private:
            command = f"chmod 600 {shlex.quote(str(file))}"
            raise ValueError(f"others can read the key that stands there: {command}")
    except ValueError as error:
        raise UsageError(f"{file}, [{name}]: {error}") from None
    return Profile(file, name, table)


def names() -> list[str]:
    """The profiles that there are; none where the file cannot be read."""
    try:
        return sorted(_tables(_file())[0])
    except UsageError:
        return []


def _checked(said: dict[str, Any]) -> Table:
    """Raises ValueError."""
    known = {_called(field): field for field in attrs.fields(Table)}
    for key in said:
        if key not in known:
            raise ValueError(f"unknown key '{key}'; known are: {', '.join(known)}")
    for key, field in known.items():
        if field.default is attrs.NOTHING and key not in said:
            raise ValueError(f"{key} is missing")
    return Table(**{known[key].name: value for key, value in said.items()})


def _file() -> Path:
    """Where the profiles are. Raises UsageError: nobody knows where the user is at home."""
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    # The XDG Base Directory Specification: a relative path is as good as none.
    where = Path(folder) if folder.startswith("/") else _expanded("~/.config")
    return where / "sop-chat" / "client.toml"


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UsageError(f"cannot find {path}: nobody knows what ~ is here") from None


def _tables(file: Path) -> tuple[dict[str, dict[str, Any]], bool]:
    """The tables of the file, and whether nobody but its owner can read it.

    Raises UsageError.
    """
    # Imported here: most command lines name no profile.
    import tomllib

    try:
        with file.open("rb") as opened:
            is_private = not os.fstat(opened.fileno()).st_mode & 0o044
            said = tomllib.load(opened)
    except OSError as error:
        raise UsageError(f"cannot read the profiles in {file}: {system_words(error)}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is no TOML: it is not UTF-8") from None
    except (ValueError, RecursionError) as error:  # the latter: thousands of brackets
        raise UsageError(f"{file} is no TOML: {error}") from None
    tables = {name: value for name, value in said.items() if isinstance(value, dict)}
    return tables, is_private
