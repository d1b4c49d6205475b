"""What the commands keep for their user from one run to the next: small files, nobody else's."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sopchat.arguments import UsageError


def state_folder() -> Path:
    """`$XDG_STATE_HOME/sop-chat`, or `~/.local/state/sop-chat`; it may not be there yet.

    Raises UsageError: nobody knows where the user is at home.
    """
    folder = os.environ.get("XDG_STATE_HOME", "")
    if not folder.startswith("/"):  # the specification: a relative path is as good as none
        try:
            folder = str(Path("~/.local/state").expanduser())
        except RuntimeError:
            raise UsageError("cannot find ~/.local/state: nobody knows what ~ is here") from None
    return Path(folder) / "sop-chat"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make the folder if it is not there, and be the only process that changes files in it.

    Raises OSError.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def keep(file: Path, data: bytes) -> None:
    """Put `data` into the file, all of it or nothing; only its owner may read it.

    Raises OSError.
    """
    descriptor, name = tempfile.mkstemp(prefix=f"{file.name}.", dir=file.parent)
    try:
        with open(descriptor, "wb") as new:  # noqa: PTH123 - a descriptor has no path
            new.write(data)
            new.flush()
            os.fsync(new.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
