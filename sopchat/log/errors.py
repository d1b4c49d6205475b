"""Why a room log cannot be used."""


class LogError(Exception):
    """The file is no room log, or another server writes it. The message says which file and why."""
