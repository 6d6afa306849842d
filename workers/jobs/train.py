"""Train runs."""

import hashlib
from typing import Any, cast

from shared.datasets.address import called
from shared.documents.data_card import data_card
from shared.documents.model_card import About, model_card
from shared.specs import TrainSpec
from workers.jobs import Bench

NEEDS: tuple[str, ...] = ()


def work(bench: Bench) -> dict[str, Any]:
    """Fit a model on the run's dataset; one that replays another run follows its plan, and says what came of it.

    A run with seeds fits none: it gathers what they have reached.
    """
    spec = cast(TrainSpec, bench.spec)
    if spec.seeds is None:
        return _trained(bench, spec)
    from workers.core.seeds import gather

    old = bench.replays
    replays = None if old is None else (old.run, old.result)
    report = gather(bench.seeds, out=bench.out, lay_out=bench.lay_out, replays=replays)
    _write_documents(bench, spec, report)
    return report


def _trained(bench: Bench, spec: TrainSpec) -> dict[str, Any]:
    from workers.core.environment import packages
    from workers.core.replay import WEIGHTS, replay_facts
    from workers.core.report import write_report
    from workers.core.train import train

    old = bench.replays
    result = train(
        bench.data,
        spec if old is None else old.asked_as_then(spec),
        out=bench.out,
        report=bench.report,
        should_stop=bench.should_stop,
        plan=None if old is None else old.plan,
        checkpoints=bench.checkpoints,
    )
    _write_documents(bench, spec, result)
    if old is None:
        return result
    with (bench.out / WEIGHTS).open("rb") as file:
        weights_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    facts = replay_facts(old, result, weights_sha256=weights_sha256, packages=packages())
    return write_report(bench.out, {**result, "replay": facts})


def _write_documents(bench: Bench, spec: TrainSpec, report: dict[str, Any]) -> None:
    """What people read of the model and of its table."""
    about = About(dataset=called(spec.dataset), dataset_sha256=bench.data_sha256, name=spec.name)
    (bench.out / "model_card.md").write_text(model_card(report, about), encoding="utf-8")
    (bench.out / "data_card.md").write_text(data_card(report, about), encoding="utf-8")
