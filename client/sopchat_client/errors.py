"""What can end a chat, as one small tree.

ChatError
├── CannotConnect   nobody listens there, or the network says no
├── Refused         closed instead of echoing: the key, a full room, or turned away for now
├── Untrusted       encrypted, and not the server that it should be
├── ServerGone      the connection ended while it was in use
├── InputFailed     what was to be said cannot be read, or not be said
└── OutputFailed    what arrives cannot be written any more
"""


class ChatError(Exception):
    """The chat cannot begin or go on. The message says why."""


class CannotConnect(ChatError):
    """No connection could be made."""


class Refused(ChatError):
    """The server closed the connection instead of echoing the authentication frame.

    The frame protocol closes without a byte for a wrong key, for a full room and for an address
    that is turned away for now, so nobody can tell which of them it was.
    """


class Untrusted(ChatError):
    """The server's certificate is not trusted, or not the one that it was: it heard nothing."""


class InputFailed(ChatError):
    """Standard input cannot be read, or holds what cannot be said."""


class OutputFailed(ChatError):
    """Standard output does not take what arrives: a full disk, say."""


class ServerGone(ChatError):
    """The server closed the connection, or it broke."""


def first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first exception of a group, however deep."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
