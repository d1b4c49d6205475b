"""What can end a chat, as one small tree.

ChatError
├── CannotConnect   nobody listens there, or the network says no
├── Refused         closed instead of echoing: the key, or a full room
└── ServerGone      the connection ended while it was in use
"""


class ChatError(Exception):
    """The chat cannot begin or go on. The message says why."""


class CannotConnect(ChatError):
    """No connection could be made."""


class Refused(ChatError):
    """The server closed the connection instead of echoing the authentication frame.

    The frame protocol closes without a byte both for a wrong key and for a full room, so
    nobody can tell which of the two it was.
    """


class ServerGone(ChatError):
    """The server closed the connection, or it broke."""
