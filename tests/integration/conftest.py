"""What the tests share that run the real command and worker."""

from collections.abc import Callable

import pytest
from support.place import Place


@pytest.fixture(scope="module")
def place(make_place: Callable[..., Place]) -> Place:
    """A place with a worker."""
    made = make_place()
    made.start_worker()
    return made
