"""The servers that were met before, and the certificate each of them showed: a file of the user.

A line for each: host, port, fingerprint.
"""

from pathlib import Path

from sopchat.arguments import UsageError, system_words
from sopchat.state import keep, locked, state_folder
from sopchat.wire.fingerprint import read_fingerprint
from sopchat_client.errors import CannotConnect, Untrusted


def file() -> Path:
    """Where they are. Raises CannotConnect."""
    try:
        return state_folder() / "known-servers"
    except UsageError as error:
        raise CannotConnect(str(error)) from None


def known(host: str, port: int) -> str | None:
    """The fingerprint of the server there; None where it was never met.

    Raises CannotConnect: who cannot read the file cannot tell whether it is the same server.
    """
    return _read(file()).get((host.lower(), port))


def remember(host: str, port: int, fingerprint: str) -> None:
    """Keep the fingerprint of the server there.

    Raises CannotConnect; Untrusted, if somebody has met another one there meanwhile.
    """
    where = file()
    try:
        with locked(where.parent):
            servers = _read(where)
            if servers.setdefault((host.lower(), port), fingerprint) != fingerprint:
                raise Untrusted(f"{host} port {port} has just shown two certificates: try again")
            lines = (f"{host} {port} {print_}\n" for (host, port), print_ in servers.items())
            keep(where, "".join(lines).encode())
    except OSError as error:
        raise CannotConnect(
            f"cannot remember the server in {where}: {system_words(error)}"
        ) from None


def _read(where: Path) -> dict[tuple[str, int], str]:
    """Raises CannotConnect."""
    servers = {}
    try:
        lines = where.read_text().splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        words = system_words(error) if isinstance(error, OSError) else "it is not UTF-8"
        raise CannotConnect(f"cannot read {where}: {words}") from None
    for number, line in enumerate(lines, 1):
        try:
            host, port, fingerprint = line.split()
            servers[host, int(port)] = read_fingerprint(fingerprint)
        except ValueError:
            raise CannotConnect(
                f"{where}, line {number} is no server: host, port and fingerprint are"
            ) from None
    return servers
