"""Runs of the past for tests of the log: trained, failed, compared, by whom and on what."""

from dataclasses import replace
from typing import Any

from shared.access import Principal, Visibility
from shared.log import attempts, runs
from shared.log.engine import Log
from shared.log.runs import NewRun
from shared.specs import AnySpec, CompareSpec, TrainSpec
from support.log_acts import ADA, OUTCOME, PROBLEM, asked, change, claimed

EVE = replace(ADA, user_id="U0EVE")


def trained(
    log: Log,
    score: float | None = 0.9,
    *,
    dataset: str = "churn.csv",
    by: Principal = ADA,
    data: str = "a",
    target: str = "churned",
    half: float | None = 0.01,
    visibility: Visibility = Visibility.TEAM,
    tags: tuple[str, ...] = (),
    **result: Any,
) -> int:
    """A train run that succeeded with this area under the curve, and an interval of twice `half` around it."""
    spec = TrainSpec(dataset=dataset, target=target, name=result.pop("name", None))
    new = NewRun(
        spec=spec, words=f"train {dataset}", principal=by, visibility=visibility, dataset_name=dataset, tags=tags
    )
    scores = {"roc_auc": score, "accuracy": score and score - 0.1, "log_loss": score and 1 - score}
    told = None if half is None or score is None else {"test": {"roc_auc": [score - half, score + half]}}
    facts = {
        "dataset": {"content_sha256": result.pop("content", data * 64)},
        "target": target,
        "task": "binary",
        "split_sha256": "5" * 64,
        "model": "mlp",
        "headline": "roc_auc",
        "metrics": {"test": scores},
        "intervals": told,
        "timing_s": {"train": 2.5},
        **result,
    }
    return ended(log, new, facts, {"test": scores}, data)


def compared(log: Log, *numbers: int, by: Principal = ADA, **result: Any) -> int:
    """A comparison that succeeded."""
    spec = CompareSpec(runs=numbers)
    new = NewRun(spec=spec, words="compare", principal=by, parents=numbers)
    return ended(log, new, {"runs": [{"run": number} for number in numbers], **result}, {}, None)


def ended(log: Log, new: NewRun, facts: dict[str, Any], scores: Any, data: str | None) -> int:
    """A run that succeeded."""
    number = asked(log, new)
    change(log, lambda c: runs.queue(c, number, dataset_sha256=data and data * 64, dataset_size_bytes=7))
    attempt = claimed(log)
    assert attempt.run == number
    change(log, lambda c: attempts.succeed(c, attempt, replace(OUTCOME, result=facts, metrics=scores)))
    return number


def failed(log: Log, *, dataset: str = "churn.csv", by: Principal = ADA) -> int:
    """A train run that failed."""
    spec: AnySpec = TrainSpec(dataset=dataset)
    number = asked(log, NewRun(spec=spec, words=f"train {dataset}", principal=by, dataset_name=dataset))
    change(log, lambda c: runs.fail_waiting(c, number, PROBLEM))
    return number
