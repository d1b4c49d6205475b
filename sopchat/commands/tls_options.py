"""Whether the room is encrypted, and what it shows of itself (docs/tls.md)."""

import argparse
from pathlib import Path

from sopchat.arguments import Parser, UsageError
from sopchat.tls import Identity, identity, own_identity


def add_tls(parser: Parser) -> None:
    """Add --tls, --tls-cert and --tls-key."""
    tls = parser.add_argument_group("encrypted, by every door (docs/tls.md)")
    tls.add_argument(
        "--tls",
        choices=("auto",),
        help="with a certificate of our own, made at first use; its fingerprint is shown",
    )
    tls.add_argument(
        "--tls-cert", type=Path, metavar="FILE", help="with this certificate (PEM, the chain)"
    )
    tls.add_argument(
        "--tls-key",
        type=Path,
        metavar="FILE",
        help="its key, where it is not in the same file",
    )


def read_identity(options: argparse.Namespace) -> Identity | None:
    """What an encrypted room shows of itself, if it is to be one. Raises UsageError."""
    if options.tls_cert is not None:
        if options.tls is not None:
            raise UsageError("the certificate is given twice: with --tls auto and --tls-cert")
        return identity(options.tls_cert, options.tls_key)
    if options.tls_key is not None:
        raise UsageError("--tls-key is the key of a certificate, which --tls-cert says")
    return None if options.tls is None else own_identity()
