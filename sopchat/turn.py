"""One turn of the event loop: the readers it has woken.

Who relays what was read can tell from it whether more is about to come in the same turn.
"""

import trio


class Turn(trio.abc.Instrument):
    """Knows which reading tasks have been woken and have not run yet.

    It learns that from Trio, once it is installed with `trio.lowlevel.add_instrument`; otherwise
    nobody is ever woken.
    """

    def __init__(self) -> None:
        self._readers: set[trio.lowlevel.Task] = set()
        # Every one of them runs before the loop waits again.
        self.woken: set[trio.lowlevel.Task] = set()

    def add_reader(self) -> trio.lowlevel.Task:
        """The current task is a reader, until `remove_reader`."""
        task = trio.lowlevel.current_task()
        self._readers.add(task)
        return task

    def remove_reader(self, task: trio.lowlevel.Task) -> None:
        """It is none any more."""
        self._readers.discard(task)
        self.woken.discard(task)

    def ran(self, task: trio.lowlevel.Task) -> None:
        """It runs: called after everything a reader waits for."""
        self.woken.discard(task)

    def task_scheduled(self, task: trio.lowlevel.Task) -> None:
        """Trio is going to run a task."""
        if task in self._readers:
            self.woken.add(task)
