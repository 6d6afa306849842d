"""Where a training by mini-batches stands between two steps: all that changes while it learns, so that one that was
interrupted goes on from there as if nothing had happened.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from workers.core.checkpoints import Part
from workers.core.progress import Clock

# An improvement smaller than this share of the loss, or than this much, does not reset the patience; noise would keep a
# run alive for ever.
LEAST_GAIN, LEAST_LOSS_GAIN = 1e-4, 1e-5


class Standing:
    """Counts what a training does, and writes all of it down (`part`) or reads it back (`restore`)."""

    def __init__(
        self,
        body: nn.Module,
        optimizer: torch.optim.Optimizer,
        shuffler: torch.Generator,
        schedule: dict[str, Any],
        clock: Clock,
        *,
        folds: int,
    ) -> None:
        self.best = Best(body, folds)
        self.optimizer, self.shuffler, self.schedule, self.clock = optimizer, shuffler, schedule, clock
        self.epoch, self.batches, self.seen = 1, 0, 0  # the epoch that it is in, and what it has learnt from in it
        self.updates, self.stale = 0, 0  # steps; those since the last improvement
        self.is_cut, self.ended = False, "epochs"  # whether time ended the epoch; why the training ended
        self.sum_of_losses = torch.zeros((), device=shuffler.device)  # of the epoch
        self.shuffled_from = shuffler.get_state()  # before the order of this epoch was drawn
        self.untrained: list[float] = []
        self.curve: list[tuple[float, float]] = []

    def step(self, loss: Tensor, size: int) -> None:
        """Count a step that learnt from `size` rows of each fold."""
        self.sum_of_losses.add_(loss, alpha=size)
        self.seen, self.batches = self.seen + size, self.batches + 1
        self.updates, self.stale = self.updates + 1, self.stale + 1

    def begin_epoch(self) -> None:
        """Begin the next one."""
        self.epoch, self.batches, self.seen = self.epoch + 1, 0, 0
        self.sum_of_losses.zero_()
        self.shuffled_from = self.shuffler.get_state()

    def part(self) -> Part:
        """All of it. Waits for the device."""
        arrays = {f"weights.{k}": tensor for k, tensor in enumerate(self.best.state)}
        arrays |= {
            f"moments.{k}.{name}": tensor
            for k, parameter in enumerate(self._parameters())
            for name, tensor in self.optimizer.state.get(parameter, {}).items()
        }
        arrays |= {"sum_of_losses": self.sum_of_losses, "shuffled_from": self.shuffled_from}
        arrays["chance"] = torch.get_rng_state()
        if self.shuffler.device.type == "cuda":
            arrays["chance.cuda"] = torch.cuda.get_rng_state(self.shuffler.device)
        learnt = self.learnt()
        return Part({**learnt.arrays, **_as_arrays(arrays)}, learnt.plain, learnt.detail)

    def learnt(self) -> Part:
        """What is still needed of it when it has ended."""
        kept = {f"best.{k}": tensor for k, tensor in enumerate(self.best.kept)}
        plain = {name: getattr(self, name) for name in _PLAIN}
        plain |= {"best": self.best.marks(), "schedule": dict(self.schedule), "clock": self.clock.mark()}
        return Part(_as_arrays(kept), plain, f"epoch {len(self.curve)}")

    def restore(self, part: Part) -> None:
        """Go on from what `part` or `learnt` said."""
        for name in _PLAIN:
            setattr(self, name, part.plain[name])
        self.curve = [(learning, watching) for learning, watching in part.plain["curve"]]
        self.schedule.update(part.plain["schedule"])
        self.clock.go_on(part.plain["clock"])
        tensors = {name: torch.tensor(array) for name, array in part.arrays.items()}
        self.best.go_on(part.plain["best"], tensors)
        if "chance" not in tensors:  # it had ended
            return
        for k, parameter in enumerate(self._parameters()):
            start = f"moments.{k}."
            moments = {name.removeprefix(start): t for name, t in tensors.items() if name.startswith(start)}
            if moments:  # there are none before the first step
                self.optimizer.state[parameter] = {name: t.to(parameter.device) for name, t in moments.items()}
        self.sum_of_losses.copy_(tensors["sum_of_losses"])
        self.shuffled_from = tensors["shuffled_from"]
        self.shuffler.set_state(self.shuffled_from)
        torch.set_rng_state(tensors["chance"])
        if self.shuffler.device.type == "cuda":
            torch.cuda.set_rng_state(tensors["chance.cuda"], self.shuffler.device)

    def _parameters(self) -> list[Tensor]:
        return [parameter for group in self.optimizer.param_groups for parameter in group["params"]]


class Best:
    """The best weights of each fold so far; `losses` and `epochs` say what they reached, and when."""

    def __init__(self, body: nn.Module, folds: int) -> None:
        self.state = [*body.parameters(), *(b for name, b in body.named_buffers() if "running" in name)]
        self.kept = [tensor.detach().clone() for tensor in self.state]
        self.losses, self.epochs = [math.inf] * folds, [0] * folds
        self.gained_from = [math.inf] * folds  # the losses that the last gains reached

    def keep(self, losses: Sequence[float], epoch: int) -> bool:
        """Keep the weights of the folds that got better; whether any of them got better by more than noise."""
        gained = False
        for k, loss in enumerate(losses):
            if loss < self.losses[k]:
                self.losses[k], self.epochs[k] = loss, epoch
                self._copy(k)
            least = self.gained_from[k] - max(LEAST_GAIN * self.gained_from[k], LEAST_LOSS_GAIN)
            if epoch == 1 or loss < least:
                self.gained_from[k], gained = loss, True
        return gained

    def restore(self) -> None:
        """Put the best weights back."""
        with torch.no_grad():
            for tensor, kept in zip(self.state, self.kept, strict=True):
                tensor.copy_(kept)

    def marks(self) -> dict[str, Any]:
        """What they reached, in plain values."""
        return {"losses": list(self.losses), "epochs": list(self.epochs), "gained_from": list(self.gained_from)}

    def go_on(self, marks: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """From the marks and tensors `best.0` ... of an earlier attempt; `weights.0` ... are those of its last step."""
        self.losses, self.epochs = list(marks["losses"]), list(marks["epochs"])
        self.gained_from = list(marks["gained_from"])
        with torch.no_grad():
            for k, (tensor, kept) in enumerate(zip(self.state, self.kept, strict=True)):
                kept.copy_(tensors[f"best.{k}"])
                tensor.copy_(tensors.get(f"weights.{k}", kept))

    def _copy(self, k: int) -> None:
        one = len(self.losses) == 1
        with torch.no_grad():
            for now, kept in zip(self.state, self.kept, strict=True):
                (kept if one else kept[k]).copy_(now if one else now[k])


_PLAIN = ("epoch", "batches", "seen", "updates", "stale", "is_cut", "ended", "untrained", "curve")


def _as_arrays(tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: tensor.detach().cpu().contiguous().numpy() for name, tensor in tensors.items()}
