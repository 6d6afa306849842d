"""What people are told about an error that ended a run."""

import errno
from pathlib import Path

import pytest

from shared.errors import Problem, RunFailed
from workers.attempt_process import problem_of

HOME = Path("/home/of/lml")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "worker_package_missing", "`torch`"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full", "/home/of/lml"),
        (
            RuntimeError("parquet: underlying IO error: No space left on device (os error 28)"),
            "disk_full",
            "/home/of/lml",
        ),
        (MemoryError(), "out_of_memory", "memory"),
        (ZeroDivisionError("division by zero"), "internal_error", "ZeroDivisionError: division by zero"),
    ],
)
def test_every_error_becomes_a_problem_with_a_code_and_what_to_do(error: Exception, code: str, said: str) -> None:
    """The rule or the value met stands in the message, what to do in the hint."""
    problem = problem_of(error, home=HOME)
    assert problem.code == code
    assert said in problem.message
    assert problem.hint


def test_all_problems_of_a_failed_run_are_told() -> None:
    """The first one's code, every sentence."""
    error = RunFailed(Problem("target_unknown", "No `a`.", "Name `b`."), Problem("drop_unknown", "No `c`."))
    assert problem_of(error, home=HOME) == Problem("target_unknown", "No `a`.\nNo `c`.", "Name `b`.")
