"""A trained model as it predicts: preprocessing, one member or several, how they are blended, and the output."""

import re
from collections.abc import Callable, Sequence
from typing import Protocol

import lightgbm
import numpy as np
import torch
from torch import Tensor, nn

from shared.specs import Task
from workers.core.features import Preprocess


class Member(Protocol):
    """One model of a blend."""

    def outputs(self, x: Tensor) -> Tensor:
        """Rows of the matrix [N, D] to probabilities [N, classes] or deviations of the target [N, 1], float32."""
        ...


class NetMember(nn.Module):
    """A body of layers; where it has folds or members, the average of what they say."""

    def __init__(self, body: nn.Module, task: Task, *, folded: bool = False, membered: bool = False) -> None:
        """`folded`: the body's output has folds as first dimension; `membered`: members as the last but one."""
        super().__init__()
        self.body, self.task, self.folded, self.membered = body, task, folded, membered

    def outputs(self, x: Tensor) -> Tensor:
        """See `Member`."""
        out = net_outputs(self.body(x), self.task, membered=self.membered)
        return out.mean(dim=0) if self.folded else out


class TreeMember:
    """Gradient-boosted trees, one model for each fold; their raw scores are averaged."""

    def __init__(self, boosters: Sequence[lightgbm.Booster], task: Task, *, classes: int) -> None:
        self.boosters, self.task, self.classes = list(boosters), task, classes

    def outputs(self, x: Tensor) -> Tensor:
        """See `Member`."""
        rows = x.numpy()
        raw = np.mean([booster.predict(rows, raw_score=True, num_threads=1) for booster in self.boosters], axis=0)
        return tree_outputs(raw, self.task)


class Predictor(nn.Module):
    """Preprocessing, members and output of one model."""

    def __init__(  # noqa: PLR0913 - one value for each of its parts
        self,
        preprocess: Preprocess,
        members: Sequence[Member],
        weights: Sequence[float],
        task: Task,
        *,
        temperature: float = 1.0,
        mean: float = 0.0,
        sd: float = 1.0,
    ) -> None:
        super().__init__()
        self.preprocess, self.task, self.temperature = preprocess, task, temperature
        self.members, self.weights = list(members), tuple(float(weight) for weight in weights)
        self.nets = nn.ModuleList(member for member in members if isinstance(member, NetMember))
        # Regression is learnt in deviations; kept in float64, because a target such as a year has a small spread.
        self.register_buffer("target_mean", torch.tensor(mean, dtype=torch.float64))
        self.register_buffer("target_sd", torch.tensor(sd, dtype=torch.float64))

    target_mean: Tensor
    target_sd: Tensor

    def blended(self, x: Tensor) -> Tensor:
        """Rows of the matrix [N, D] to probabilities [N, classes] or deviations [N, 1]."""
        outs = [weight * member.outputs(x) for member, weight in zip(self.members, self.weights, strict=True)]
        out = torch.stack(outs).sum(dim=0) if len(outs) > 1 else self.members[0].outputs(x)
        if self.task is Task.REGRESSION or self.temperature == 1.0:
            return out
        return cooled(out, self.temperature)

    def predict(self, x: Tensor, *, chunk_rows: int = 2048, check: Callable[[], None] = lambda: None) -> np.ndarray:
        """Rows of the matrix [N, D] to probabilities [N, classes], or predictions in the unit of the target [N, 1].
        `check` is called between the chunks and may end the work by raising.
        """
        outputs = []
        with torch.inference_mode():
            for start in range(0, max(1, len(x)), chunk_rows):
                check()
                out = self.blended(x[start : start + chunk_rows])
                if self.task is Task.REGRESSION:
                    out = (out.double() * self.target_sd + self.target_mean).float()
                outputs.append(out.numpy())
        return np.concatenate(outputs)


def parameter_count(predictor: Predictor) -> int:
    """How many numbers were fitted: weights of layers, in all folds and members, and leaves and thresholds of trees."""
    weights = sum(weight.numel() for weight in predictor.nets.parameters())
    texts = [
        booster.model_to_string()
        for member in predictor.members
        if isinstance(member, TreeMember)
        for booster in member.boosters
    ]
    leaves = [int(count) for text in texts for count in re.findall(r"^num_leaves=(\d+)$", text, re.MULTILINE)]
    return weights + sum(2 * count - 1 for count in leaves)


def net_outputs(out: Tensor, task: Task, *, membered: bool = False) -> Tensor:
    """[..., N, (members,) O] of a body to probabilities or deviations [..., N, O]: never logits are averaged."""
    values = out if task is Task.REGRESSION else out.softmax(dim=-1)
    return values.mean(dim=-2) if membered else values


def tree_outputs(raw: np.ndarray, task: Task) -> Tensor:
    """Raw scores of trees, [N] or [N, classes] float64, to probabilities [N, classes] or deviations [N, 1]."""
    scores = torch.from_numpy(np.ascontiguousarray(raw, dtype=np.float32))
    match task:
        case Task.REGRESSION:
            return scores[:, None]
        case Task.BINARY:
            positive = scores.sigmoid()
            return torch.stack([1.0 - positive, positive], dim=1)
        case Task.MULTICLASS:
            return scores.softmax(dim=1)


def cooled(probabilities: Tensor, temperature: float) -> Tensor:
    """Probabilities [N, classes] after temperature scaling (Guo et al. 2017) of their logarithms."""
    return (probabilities.clamp(1e-7, 1.0).log() / temperature).softmax(dim=1)
