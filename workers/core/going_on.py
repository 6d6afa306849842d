"""Lets a training save what it has learnt, and go on from what an earlier attempt of the run had saved."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import lightgbm
import numpy as np
import scipy
import torch

from shared.events import Resumed
from shared.specs import TrainSpec
from workers.core.checkpoints import Checkpoints
from workers.core.development import digest
from workers.core.keeper import Keeper
from workers.core.loop import Data
from workers.core.progress import Progress

# Words that change nothing that is learnt, or that are compared as what came of them.
_NO_MATTER = {"dataset", "name", "device"}


def go_on(
    progress: Progress, checkpoints: Checkpoints, data: Data, spec: TrainSpec, follow: Mapping[str, Any] | None
) -> None:
    """From here on stages find what was saved, with as many threads as it was learnt with, and save in their turn."""
    keeper = Keeper(checkpoints, lambda: _fits(data, spec, follow), threads=torch.get_num_threads())
    progress.keeper = keeper
    found = keeper.open()
    if found is not None:
        torch.set_num_threads(found.threads)
        progress.report(Resumed(detail=found.detail))


def _fits(data: Data, spec: TrainSpec, follow: Mapping[str, Any] | None) -> dict[str, str]:
    """What has to be equal, or the weights would be others than those of a run that nothing interrupted."""
    words = spec.model_dump(mode="json", exclude=_NO_MATTER, exclude_defaults=True)
    versions = [torch.__version__, lightgbm.__version__, scipy.__version__, np.__version__]
    return {
        "table": digest(data),
        "command": _hash(words),
        "plan": _hash(follow),
        "device": data.x.device.type,
        "version of a package": ", ".join(versions),
    }


def _hash(plain: Any) -> str:
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
