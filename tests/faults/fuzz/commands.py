"""Arguments, key files and profiles: right, or told in words what is wrong."""

import argparse
import contextlib
import io
import json
import math
import os

import attrs
import pytest
from sopchat_client import profiles
from sopchat_client.parser import ClientParser

from sopchat.arguments import UsageError, at_least, byte_size, port_number, read_key
from sopchat.commands.limit_options import per_second, read_limits
from sopchat.limits import Limits
from tests.faults.fuzz.files import file
from tests.faults.fuzz.material import Material
from tests.faults.fuzz.targets import target


@target(64)
def port(material: Material) -> None:
    """A text is a port in decimal digits, or refused in words that show it."""
    text = material.text()
    try:
        number = port_number(text)
    except argparse.ArgumentTypeError as error:
        assert text in str(error)
        assert not (text.isascii() and text.isdigit()) or not 1 <= int(text) <= 65535
    else:
        assert 1 <= number <= 65535
        assert text.lstrip("0") == str(number)


@target(64)
def least_number(material: Material) -> None:
    """A text is a finite number that is not too small, or refused."""
    whole = bool(material.number(1))
    least = material.number(3)
    text = material.text()
    with contextlib.suppress(argparse.ArgumentTypeError):
        number = at_least(least, int)(text) if whole else at_least(float(least), float)(text)
        assert isinstance(number, int if whole else float)
        assert number >= least
        assert math.isfinite(number)


@target(600)
def key_file(material: Material) -> None:
    """The first line of any file is a key of 1 to 448 bytes without NUL, or refused."""
    data = material.stream()
    line = data.partition(b"\n")[0].removesuffix(b"\r")
    with file("key", data) as path:
        try:
            key = read_key(None, path)
        except UsageError:
            assert not 1 <= len(line) <= 448 or b"\0" in line
        else:
            assert key == line
            assert 1 <= len(key) <= 448
            assert b"\0" not in key


@target(64)
def size(material: Material) -> None:
    """A text is a number of bytes, as digits with or without a unit, or refused."""
    text = material.text()
    with contextlib.suppress(argparse.ArgumentTypeError):
        number = byte_size(1)(text)
        digits = text.rstrip("kKmMgG")
        assert number >= 1
        assert number == int(digits) << 10 * " kmg".index(text[len(digits) :].lower() or " ")


@target(64)
def rate(material: Material) -> None:
    """A text is a rate that is finite and not below 0, or refused in words that show it."""
    text = material.text()
    try:
        number = per_second(text)
    except argparse.ArgumentTypeError as error:
        assert text in str(error)
    else:
        assert number >= 0
        assert math.isfinite(number)


@target(400)
def limits_file(material: Material) -> None:
    """Whatever a file of limits says, it is limits that can be lived with, or told in words."""
    data = material.rest()
    with file("limits", data) as path:
        options = argparse.Namespace(**dict.fromkeys(attrs.fields_dict(Limits)), limits=path)
        try:
            limits = read_limits(options)
        except UsageError as error:
            assert str(path) in str(error)
        else:
            assert limits.max_clients >= 1
            assert limits.max_pending >= 1
            assert limits.auth_timeout > 0
            assert limits.mark > 0
            assert isinstance(limits.burst, int)


_PRINT = json.dumps("ab" * 32)
_KEYS = [field.name.replace("_", "-") for field in attrs.fields(profiles.Table)]


@target(512)
def profile(material: Material) -> None:
    """Any file is profiles, or refused in words; what they say is what the parser takes."""
    if material.number(1):
        lines = ["[a]", 'host = "h"', "port = 1", 'name = "n"'][: material.number(4)]
        while material and len(lines) < 20:
            key = _KEYS[material.number(len(_KEYS) - 1)]
            kind, value = material.number(5), material.take(material.number(70)).decode("latin-1")
            lines.append(
                f"{key} = {(json.dumps(value), len(value), 'true', value, '[]', _PRINT)[kind]}"
            )
        data = "\n".join(lines).encode()
    else:
        data = material.text().encode() if material.number(1) else material.rest()
    with file("sop-chat/client.toml", data) as path, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(path.parent.parent))
        for name in profiles.names() or ["a"]:
            try:
                options = profiles.read(name).options()
            except UsageError as error:
                assert str(error)
                continue
            assert isinstance(options["host"], str)
            assert type(options["port"]) is int
            assert 1 <= options["port"] <= 65535
            assert isinstance(options["name"], bytes)
            assert 1 <= len(options["name"]) <= 64
            assert options.get("fingerprint") in (None, ":".join(["AB"] * 32))
            assert not ("fingerprint" in options and "ca" in options)
            assert options.get("tls", True) or not {"fingerprint", "ca"} & options.keys()


_PARSER = ClientParser()


@target(256)
def client_arguments(material: Material) -> None:
    """Any arguments are options, or wrong use with status 1; never anything else."""
    known = [option for action in _PARSER._actions for option in action.option_strings]
    arguments = ["host", "9000", "ann", "key"][: material.number(4)]
    while material and len(arguments) < 8:
        choice = material.number(len(known))
        if choice < len(known):
            arguments.append(known[choice])
        else:
            arguments.append(os.fsdecode(material.take(material.number(15)).replace(b"\0", b"")))
    silent = io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(silent),
        contextlib.redirect_stderr(silent),
    ):
        patch.setenv("XDG_CONFIG_HOME", "/nowhere")
        try:
            options = _PARSER.parse(arguments)
        except SystemExit as end:
            assert end.code in (0, 1)
            assert end.code == 0 or silent.getvalue().startswith("USAGE: sop-chat-client ")
        else:
            assert options.completion or 1 <= options.port <= 65535
