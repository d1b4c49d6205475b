"""`sop-chat-client HOST PORT NAME KEY`: arguments and exit status."""

import argparse
import contextlib
import importlib.util
import os
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Sequence
from functools import partial

import trio

from sopchat.arguments import KEY_VARIABLE, UsageError, read_key, system_words
from sopchat.wire.display import printable
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
    Untrusted,
    first,
)
from sopchat_client.parser import ClientParser
from sopchat_client.trust import Tls, authorities

# So many texts that did not arrive are shown; of more, all are kept in a file.
_MOST_SHOWN = 20

# What line mode says where the full screen cannot be.
_MORE = "for the full screen: pip install 'sop-chat[tui]'\n"

_STATUS: dict[type[BaseException], int] = {
    InputFailed: 1,
    OutputFailed: 1,
    CannotConnect: 2,
    Refused: 3,
    ServerGone: 4,
    Untrusted: 6,
}


# The client itself is at fault.
_DEFECT = 5


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and give its exit status."""
    parser = ClientParser()
    options = parser.parse(arguments)
    try:
        if options.completion is not None:
            print(_completion(options.completion), end="")
            return 0
        checked(options.name, NAME_SIZE, "the name")
        key = _key(options)
        if options.ca is not None:
            authorities(options.ca)  # looked at before anything is connected
    except (UsageError, ValueError, CannotConnect) as error:
        parser.error(str(error))
    # Ctrl-C may come before a task has begun: nobody wants to know.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    status = 0
    try:
        if _full_screen(options):
            _talk_on_full_screen(options, key)
        else:
            trio.run(_talk, options, key)
    except* ChatError as group:
        end = first(group)
        status = next(status for kind, status in _STATUS.items() if isinstance(end, kind))
        _tell(str(end))
    except* BrokenPipeError:
        pass  # nobody reads the output any more, as `head` does: that is all they wanted
    except* KeyboardInterrupt:
        status = 130
    except* Exception as group:
        status = _DEFECT
        _tell(f"a defect ended it; the details {_kept(traceback.format_exception(group))}")
    return status


def _completion(shell: str) -> str:
    """What the shell evaluates. Raises UsageError."""
    try:
        from sopchat_client import completion
    except ModuleNotFoundError as error:
        raise UsageError(f"--completion needs {error.name}: pip install 'sop-chat[tui]'") from None
    return completion.script(shell)


def _key(options: argparse.Namespace) -> bytes | None:
    """The key, or None for a line or talk server where none is given. Raises UsageError."""
    given = options.key is not None or options.key_file is not None or KEY_VARIABLE in os.environ
    if options.protocol in ("line", "talk") and not given:
        return None
    return read_key(options.key, options.key_file)


async def _talk(options: argparse.Namespace, key: bytes | None) -> None:
    host, port = options.host, options.port
    tls = _tls(options, _tell)
    async with connect(host, port, options.name, key, options.protocol, tls) as chat:
        if options.exec is not None:
            # Imported here, as the prompt below: between pipes nobody waits for it.
            from sopchat_client import execute

            read = parse.from_json if options.json else parse.from_line
            await execute.talk(chat, options.exec, read, _tell)
        elif options.json:
            await pipe.talk(chat, parse.from_json, render.as_json, _tell)
        elif not _on_terminal():
            await pipe.talk(chat, parse.from_line, render.as_line, _tell)
        else:
            from sopchat_client import prompt

            line = render.as_line if os.environ.get("NO_COLOR") else render.as_coloured_line
            more = "" if options.plain or _has_textual() else _MORE
            await prompt.talk(chat, line, f"joined {host} port {port}; Ctrl-D leaves\n{more}")


def _tls(options: argparse.Namespace, tell: Callable[[str], None]) -> Tls | None:
    """Whether the connection is encrypted, and who is trusted."""
    if not options.tls and options.fingerprint is None and options.ca is None:
        return None
    return Tls(options.fingerprint, options.ca, tell)


def _kept(details: list[str]) -> str:
    """Put these details into a file for its owner alone, and say where they are."""
    data = "".join(details).encode("utf-8", "backslashreplace")
    try:
        with tempfile.NamedTemporaryFile(
            prefix="sop-chat-client-", suffix=".log", delete=False
        ) as file:
            file.write(data)
    except OSError as error:
        return f"cannot be kept: {system_words(error)}"
    return f"are in {file.name}"


def _tell(what: str) -> None:
    """One line on standard error, if it takes one: whoever does not read it misses no message."""
    with contextlib.suppress(OSError):
        print(f"sop-chat-client: {what}", file=sys.stderr)


def _on_terminal() -> bool:
    """Whether somebody sits there, at a terminal that can redraw a line."""
    streams = (sys.stdin, sys.stdout)
    people = all(stream is not None and stream.isatty() for stream in streams)
    return people and os.environ.get("TERM") != "dumb"


def _full_screen(options: argparse.Namespace) -> bool:
    """Whether the chat takes the whole terminal."""
    return (
        not (options.json or options.plain or options.exec is not None)
        and _on_terminal()
        and sys.stderr is not None
        and sys.stderr.isatty()  # Textual draws there
        and _has_textual()
    )


def _has_textual() -> bool:
    return importlib.util.find_spec("textual") is not None


def _talk_on_full_screen(options: argparse.Namespace, key: bytes | None) -> None:
    # Imported here: nobody else waits for Textual.
    from sopchat_client.link import Link
    from sopchat_client.tui import run
    from sopchat_client.tui.conversation import Conversation
    from sopchat_client.tui.theme import background_is_light

    host, port, name = options.host, options.port, options.name
    conversation = Conversation(printable(name), f"{host}:{port}")
    tls = _tls(options, conversation.notice)
    chat = Link(partial(connect, host, port, name, key, options.protocol, tls), conversation.tell)
    light = options.theme == "light" if options.theme else background_is_light()
    try:
        run.talk(chat, conversation, _tell, light=light, mouse=options.mouse)
    finally:
        _tell_texts("may not have arrived", conversation.unsettled)
        _tell_texts("not sent", conversation.unsent)


def _tell_texts(what: str, texts: list[str]) -> None:
    """Nothing that was typed is lost without a word."""
    for text in texts[:_MOST_SHOWN]:
        _tell(f"{what}: {text}")
    if len(texts) > _MOST_SHOWN:
        kept = _kept([text + "\n" for text in texts])
        _tell(f"{what}: {len(texts)} texts; they {kept}")
