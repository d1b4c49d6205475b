import hashlib

import pytest

from sopchat.wire.fingerprint import fingerprint, read_fingerprint

DIGITS = hashlib.sha256(b"certificate").hexdigest()
USUAL = ":".join(DIGITS[place : place + 2] for place in range(0, 64, 2)).upper()


def test_a_fingerprint_is_the_sha256_as_openssl_shows_it() -> None:
    assert fingerprint(b"certificate") == USUAL


@pytest.mark.parametrize("text", [DIGITS, DIGITS.upper(), USUAL, USUAL.lower()])
def test_a_fingerprint_is_read_in_either_case_with_or_without_colons(text: str) -> None:
    assert read_fingerprint(text) == USUAL


@pytest.mark.parametrize(
    "text",
    [
        "",
        "AB",
        DIGITS[:-1],
        DIGITS + "00",
        "x" * 64,
        USUAL + ":",
        DIGITS[:2] + ":" + DIGITS[2:],
        " " + DIGITS,
        DIGITS[:30] + "  " + DIGITS[32:],
    ],
)
def test_anything_else_is_no_fingerprint(text: str) -> None:
    with pytest.raises(ValueError, match="64 hexadecimal digits"):
        read_fingerprint(text)
