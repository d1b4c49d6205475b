"""The commands' entry points, light to import.

A command imports for a good while before it can handle a signal. Ctrl-C within that time ends it
at once and quietly, as it ends any program, instead of with a traceback.
"""

import importlib
import os
import signal


def sop_chat() -> int:
    """`sop-chat PORT KEY`."""
    return _run("sopchat.commands.sop_chat")


def chat_server() -> int:
    """`chat-server PORT`."""
    return _run("sopchat.commands.chat_server")


def talk_server() -> int:
    """`talk-server [-v] [-p PORT]`."""
    return _run("sopchat.commands.talk_server")


def sop_chat_log() -> int:
    """`sop-chat-log FILE`."""
    return _run("sopchat.commands.sop_chat_log")


def sop_chat_client() -> int:
    """`sop-chat-client HOST PORT NAME KEY`, or the answer to a shell that completes that."""
    asked = "_ARGCOMPLETE" in os.environ
    return _run("sopchat_client.completion" if asked else "sopchat_client.command")


def _run(module: str) -> int:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    main = importlib.import_module(module).main
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return int(main())
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
