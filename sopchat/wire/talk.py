"""Talk messages: `<name> says: <text>` (docs/talk-protocol.md).

The protocol has no frames: a message is what one read took.
"""

from collections.abc import Iterable

from sopchat.wire.display import printable
from sopchat.wire.frame import NAME_SIZE

# The most that one read takes (bytes).
READ_SIZE = 1024

GREETING = b"Thank you for connecting"
UNKNOWN = b"<unknown>"

_SAYS = b" says: "
_WHO = b"/who:"


def parse(message: bytes) -> tuple[bytes | None, bytes]:
    """The name that stands before a message and the text, without its line end.

    The name is None where none stands there, or one that no frame can hold.
    """
    name, found, text = message.partition(_SAYS)
    if not found or not 0 < len(name) <= NAME_SIZE or b"\n" in name or b"\0" in name:
        return None, message.rstrip(b"\r\n")
    return name, text.rstrip(b"\r\n")


def says(name: bytes, text: bytes) -> bytes:
    """A message as a client sends it."""
    return name + _SAYS + text


def asks_who(text: bytes) -> bool:
    """Whether a text is the question who is there."""
    return text.strip() == _WHO


def who(members: Iterable[tuple[bytes, str]]) -> bytes:
    """The answer to `/who:`: how many are connected, and a line for each name and address.

    A name of another door may hold anything: it is shown as it is everywhere.
    """
    lines = [
        printable(name).encode()
        + b" connected from "
        + address.rpartition(":")[0].strip("[]").encode()
        + b", "
        + address.rpartition(":")[2].encode()
        + b"."
        for name, address in members
    ]
    return b"%d clients connected.\n" % len(lines) + b"".join(line + b"\n" for line in lines)
