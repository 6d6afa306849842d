"""A linear model's weights in the units of the file."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from shared.specs import Task
from workers.core.encode import Feature, category_features, number_features, text_features
from workers.core.layers import Dense, Expand
from workers.core.predictor import NetMember, Predictor

_PHASES = ("year sin", "year cos", "week sin", "week cos", "day sin", "day cos")


def coefficients(predictor: Predictor, features: Sequence[Feature], classes: Sequence[str]) -> dict[str, Any]:
    """`coefficients` (a list of feature, weight and, for several classes, class) and `intercept` (`intercepts` of
    several classes); empty where the model is not one linear layer.

    A prediction, or the log odds of the second class, is the intercept + the sum of weight x cell; a missing number
    counts as the median, a word of a text as the logarithm of 1 + how often it stands there.
    """
    member = predictor.members[0]
    if len(predictor.members) > 1 or not isinstance(member, NetMember) or not _is_linear(member):
        return {}
    expand, dense = member.body[0], member.body[1]  # type: ignore[index]
    weight, bias = dense.weight.detach().double(), dense.bias.detach().double()
    if member.folded:  # the average of linear models is the linear model of the averages
        weight, bias = weight.mean(dim=0), bias.mean(dim=0)[0]
    weight, bias = weight.numpy(), bias.numpy()
    names, scales, shifts = _inputs(predictor, expand, features)
    intercept = bias - (weight * (shifts / scales)[:, None]).sum(axis=0)
    weight = weight / scales[:, None]
    sd, mean = float(predictor.target_sd), float(predictor.target_mean)
    if predictor.task is Task.REGRESSION:
        return _plain(names, weight[:, 0] * sd, float(intercept[0] * sd + mean))
    if predictor.task is Task.BINARY:
        return _plain(names, weight[:, 1] - weight[:, 0], float(intercept[1] - intercept[0]))
    return {
        "coefficients": [
            {"feature": name, "class": label, "weight": float(weight[k, c])}
            for c, label in enumerate(classes)
            for k, name in enumerate(names)
        ],
        "intercepts": {label: float(value) for label, value in zip(classes, intercept, strict=True)},
    }


def _is_linear(member: NetMember) -> bool:
    body = list(member.body.children())
    return len(body) == 2 and isinstance(body[0], Expand) and isinstance(body[1], Dense)


def _plain(names: Sequence[str], weights: np.ndarray, intercept: float) -> dict[str, Any]:
    pairs = zip(names, weights, strict=True)
    return {"coefficients": [{"feature": n, "weight": float(w)} for n, w in pairs], "intercept": intercept}


def _inputs(
    predictor: Predictor, expand: Expand, features: Sequence[Feature]
) -> tuple[list[str], np.ndarray, np.ndarray]:
    """The name of each input of the layer, and the deviation and mean by which it was standardised."""
    fitted, numbers = predictor.preprocess, number_features(features)
    kept, flagged = expand.kept.numpy(), expand.flagged.numpy()
    names = [numbers[k].name for k in kept] + [f"{numbers[k].name} is missing" for k in flagged]
    scales = [*fitted.sd.numpy()[kept], *np.ones(len(flagged))]
    shifts = [*fitted.mean.numpy()[kept], *np.zeros(len(flagged))]
    others = _phase_names(predictor, numbers) + _slot_names(expand, category_features(features))
    others += [f"{text.name}: {word}" for text in text_features(features) for word in text.words]
    return names + others, np.array(scales + [1.0] * len(others)), np.array(shifts + [0.0] * len(others))


def _phase_names(predictor: Predictor, numbers: Sequence[Feature]) -> list[str]:
    dates = [numbers[k].name for k in predictor.preprocess.dates]
    timed = [numbers[k].name for k in predictor.preprocess.timed]
    return [f"{name}, {phase}" for phase in _PHASES[:4] for name in dates] + [
        f"{name}, {phase}" for phase in _PHASES[4:] for name in timed
    ]


def _slot_names(expand: Expand, categories: Sequence[Feature]) -> list[str]:
    names = []
    for column, code in zip(expand.slot_column.tolist(), expand.slot_code.to(torch.int64).tolist(), strict=True):
        feature = categories[column - expand.layout.coded.start]
        if code < len(feature.words):
            names.append(f"{feature.name} = {feature.words[code]}")
        else:
            names.append(f"{feature.name} is {'missing' if code == feature.missing else 'another word'}")
    return names
