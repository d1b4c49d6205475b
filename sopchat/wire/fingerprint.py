"""A certificate's fingerprint: its SHA-256 as people compare and write it."""

import hashlib

_SIZE = hashlib.sha256().digest_size


def fingerprint(certificate: bytes) -> str:
    """The fingerprint of a certificate in DER: `AB:CD:…`, 32 bytes in upper case."""
    return hashlib.sha256(certificate).digest().hex(":").upper()


def read_fingerprint(text: str) -> str:
    """A fingerprint as `fingerprint` gives it, from upper or lower case, with or without colons.

    Raises ValueError.
    """
    digits = text.replace(":", "")
    pairs = [digits[place : place + 2] for place in range(0, len(digits), 2)]
    canonical = ":".join(pairs).upper()
    try:
        whole = len(bytes.fromhex(digits)) == _SIZE and len(digits) == 2 * _SIZE
    except ValueError:
        whole = False
    if not whole or text.upper() not in (digits.upper(), canonical):
        raise ValueError(
            f"'{text}' is no SHA-256 fingerprint: 64 hexadecimal digits are, with or without a"
            " colon after every two"
        )
    return canonical
