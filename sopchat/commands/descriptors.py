"""How many descriptors the process may have: as many as the members need, if the system lets it."""

import contextlib
import resource

from sopchat.limits import OTHER_DESCRIPTORS, Limits


def make_room(limits: Limits) -> str:
    """Raise the descriptor limit (RLIMIT_NOFILE) as far as the limits need and the system allows.

    Gives what the operator should know: nothing where that is enough.
    """
    needed = limits.max_clients + limits.max_pending + OTHER_DESCRIPTORS
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if _enough(allowed, needed):
        return ""
    wanted = (needed, most if _enough(most, needed) else needed)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, wanted)
    except (OSError, ValueError):  # only the superuser goes beyond the hard limit
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        return (
            f"the system allows {most} open files and {limits.max_clients} members need {needed}:"
            " not all will find room (ulimit -n, or LimitNOFILE= of systemd)"
        )
    return ""


def _enough(limit: int, needed: int) -> bool:
    return limit == resource.RLIM_INFINITY or limit >= needed
