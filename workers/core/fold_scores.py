"""What the kept model says with each of its folds, of rows that the fold had learnt from and of rows that it had not.

The average of the folds' models, which predicts in the end, would look better on the training part than any of the
models that are judged on the validation part: the two could not be compared.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from shared.specs import Task
from workers.core.auto import Fitted, blended_outputs
from workers.core.development import Development
from workers.core.metrics import Part
from workers.core.predictor import Member, NetMember, TreeMember, cooled, net_outputs, tree_outputs

LEARNT_ROWS = 5_000  # of each fold: the scores of the training part only say how much was learnt by heart
CHUNK_ROWS = 1_024


def held_out(rows: Development, values: np.ndarray, outputs: np.ndarray, temperature: float) -> list[Part]:
    """For each fold that `outputs` [rows, O] tell of, its validation rows: what they are, and what is said of them.

    `values` [rows of the matrix] are class numbers, or numbers in the unit of the target.
    """
    parts = []
    for fold in rows.data.folds:
        places = fold.validation.cpu().numpy()
        places = places[np.isfinite(outputs[places]).all(axis=1)]
        if len(places):
            parts.append((values[places], in_units(rows, torch.from_numpy(outputs[places]), temperature)))
    return parts


def kept_held_out(rows: Development, values: np.ndarray, fitted: Fitted) -> list[Part]:
    """`held_out` of what was kept of the candidates."""
    return held_out(rows, values, blended_outputs(fitted), fitted.choice.temperature)


def kept_learnt(
    rows: Development, values: np.ndarray, fitted: Fitted, check: Callable[[], None] = lambda: None
) -> list[Part]:
    """The same folds on their own training rows, at most `LEARNT_ROWS` of each. `check` is called now and then."""
    folds, outputs = rows.data.folds, blended_outputs(fitted)
    judged = [k for k, fold in enumerate(folds) if np.isfinite(outputs[fold.validation.cpu().numpy()]).any()]
    count = min(LEARNT_ROWS, *(len(fold.train) for fold in folds))
    places = torch.stack([fold.train[_spread(len(fold.train), count)] for fold in folds]).cpu()  # [K, count]
    members = [(fitted.candidates[name].member, weight) for name, weight in fitted.choice.weights.items()]
    chunks = []
    for start in range(0, count, CHUNK_ROWS):
        check()
        x = rows.data.x[places[:, start : start + CHUNK_ROWS].to(rows.data.x.device)].cpu()  # [K, chunk, D]
        with torch.inference_mode():
            said = [weight * fold_outputs(member, x) for member, weight in members]
        chunks.append(torch.stack(said).sum(dim=0))
    whole = torch.cat(chunks, dim=1)
    return [(values[places[k].numpy()], in_units(rows, whole[k], fitted.choice.temperature)) for k in judged]


def fold_outputs(member: Member, x: Tensor) -> Tensor:
    """What each fold of a member says of its rows, [K, N, D] to [K, N, O]; a member without folds says it for each."""
    if isinstance(member, TreeMember):
        raw = [
            booster.predict(one.numpy(), raw_score=True, num_threads=1)
            for booster, one in zip(member.boosters, x, strict=True)
        ]
        return torch.stack([tree_outputs(np.asarray(one), member.task) for one in raw])
    assert isinstance(member, NetMember)  # noqa: S101 - there is no other kind
    if member.folded:
        return net_outputs(member.body(x), member.task, membered=member.membered)
    return torch.stack([member.outputs(one) for one in x])


def in_units(rows: Development, said: Tensor, temperature: float) -> np.ndarray:
    """Outputs as people read them: probabilities after the temperature, or [n] numbers in the unit of the target."""
    if rows.data.task is Task.REGRESSION:
        return (said.double() * rows.sd + rows.mean).float().numpy()[:, 0]
    return (cooled(said, temperature) if temperature != 1.0 else said).numpy()


def _spread(length: int, count: int) -> Tensor:
    """`count` places of `length`, evenly."""
    return torch.arange(count) * length // count
