"""How a worker stops: it takes no more runs, and gives back the one that it has."""

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager


class Drain:
    """What the worker's main process and its forked pool process tell each other about stopping.

    The main process gets the signal, the pool process has the run: two bytes of memory that both see.
    """

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 2)

    def begin(self) -> None:
        """Stop taking runs; a worker that has none is gone at once, since Celery's own way takes four seconds."""
        self._shared[0] = 1
        if not self._shared[1]:
            os._exit(0)  # the pool process and the sweep die with their parent

    def begun(self) -> bool:
        """Whether this worker is stopping."""
        return self._shared[0] == 1

    @contextmanager
    def busy(self) -> Iterator[bool]:
        """A block in which a run may be had; gives whether one may still be taken."""
        self._shared[1] = 1
        try:
            yield not self.begun()
        finally:
            self._shared[1] = 0
