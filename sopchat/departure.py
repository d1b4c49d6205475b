"""Why a member left: a value that the console shows and tests compare, not a log line."""

import enum
import errno
import ssl

import attrs


class Reason(enum.Enum):
    """Why a connection ended. The value is how the console says it."""

    CLOSED = "closed the connection"
    BROKEN_PIPE = "broken pipe (EPIPE)"
    RESET = "connection reset (ECONNRESET)"
    LOST = "connection lost"
    NO_TLS = "does not speak TLS as it is spoken here"
    DISTRUSTS = "does not trust the certificate"
    TOO_SLOW = "too slow for what the others say"
    AUTH_DEADLINE = "did not authenticate in time"
    CROWDED_OUT = "had not authenticated and made room for a newer connection"
    WRONG_KEY = "wrong key"
    BAD_OFFER = "what it offers cannot be a name and a key"
    ADDRESS_FULL = "too many connections from its address"
    REFUSED = "too many wrong keys from its address"
    ROOM_FULL = "the room is full"
    STOPPING = "the server is stopping"
    FAULT = "internal error"


_BY_ERRNO = {errno.EPIPE: Reason.BROKEN_PIPE, errno.ECONNRESET: Reason.RESET}


# The alerts of who looked at our certificate, as OpenSSL calls them.
_DISTRUSTS = (
    "UNKNOWN_CA",
    "BAD_CERTIFICATE",
    "CERTIFICATE_UNKNOWN",
    "CERTIFICATE_EXPIRED",
    "UNSUPPORTED_CERTIFICATE",
)


@attrs.frozen
class Departure:
    """How one connection ended."""

    reason: Reason
    # What the reason alone does not say, for the console.
    detail: str = ""
    # Bytes of a frame that was not whole when the connection ended, 0 to 511; dropped.
    half: int = 0

    @classmethod
    def from_error(cls, error: OSError) -> "Departure":
        """The departure that a failed read or write means."""
        if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return cls(Reason.CLOSED)
        if isinstance(error, ssl.SSLError):
            said = error.reason or str(error)
            if "_ALERT_" in said and said.endswith(_DISTRUSTS):
                return cls(Reason.DISTRUSTS)
            return cls(Reason.NO_TLS, said.replace("_", " ").lower())
        reason = _BY_ERRNO.get(error.errno or 0, Reason.LOST)
        return cls(reason, (error.strerror or str(error)) if reason is Reason.LOST else "")

    @property
    def told(self) -> str:
        """What the client itself is told: nothing of what went wrong inside."""
        return self.reason.value if self.reason is Reason.FAULT else str(self)

    def __str__(self) -> str:
        text = self.reason.value
        if self.detail:
            text += f": {self.detail}"
        if self.half:
            text += f", in the middle of a frame: {self.half} bytes dropped"
        return text
