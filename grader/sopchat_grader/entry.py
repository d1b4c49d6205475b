"""The command's entry point, light to import: it tells what is missing, and Ctrl-C is quiet."""

import importlib
import importlib.util
import signal
import sys

_NEEDED = ("jinja2", "rich")


def main() -> int:
    """`sop-chat-grade`."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        print(
            f"sop-chat-grade: {' and '.join(missing)} must be installed:"
            " pip install 'sop-chat[grader]'",
            file=sys.stderr,
        )
        return 2
    if sys.platform != "linux":
        print("sop-chat-grade: it runs on Linux, and not here", file=sys.stderr)
        return 2
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    run = importlib.import_module("sopchat_grader.command").main
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):  # a platform's time-out: nothing is left behind
        signal.signal(number, _end)
    try:
        return int(run())
    except KeyboardInterrupt:
        print("sop-chat-grade: interrupted", file=sys.stderr)
        return 128 + signal.SIGINT


def _end(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)
