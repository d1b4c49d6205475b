import errno
import os

import pytest

from sopchat.departure import Departure, Reason


@pytest.mark.parametrize(
    ("number", "reason"),
    [(errno.EPIPE, Reason.BROKEN_PIPE), (errno.ECONNRESET, Reason.RESET)],
)
def test_the_errors_of_the_exercise_have_reasons_of_their_own(number: int, reason: Reason) -> None:
    assert Departure.from_error(OSError(number, os.strerror(number))) == Departure(reason)


def test_any_other_error_is_told_in_the_words_of_the_system() -> None:
    departure = Departure.from_error(OSError(errno.ETIMEDOUT, "Connection timed out"))
    assert departure.reason is Reason.LOST
    assert str(departure) == "connection lost: Connection timed out"


def test_a_half_frame_is_mentioned() -> None:
    assert str(Departure(Reason.CLOSED, half=17)) == (
        "closed the connection, in the middle of a frame: 17 bytes dropped"
    )
    assert str(Departure(Reason.CLOSED)) == "closed the connection"
