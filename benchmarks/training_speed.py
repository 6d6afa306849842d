"""Steps per second of our training loop, beside the loops that people would write or take from a library.

    python benchmarks/training_speed.py [--rounds 7] [--epochs 10]

One network (20-128-128-2, ReLU), one table (50,000 x 20 float32), batches of 256, shuffled, AdamW, one thread. Each
loop lives in a process of its own; they take turns, one runs while the others wait, so that a machine whose speed
drifts does so for all. What a library does once before its first epoch is not counted against it; all of ours is, the
tracing of its step too. Ten epochs are a short training: ours would not even think of stopping before the eighth.
"""

import argparse
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

ROWS, FEATURES, HIDDEN, CLASSES, BATCH, LR = 50_000, 20, 128, 2, 256, 1e-3
STEPS = -(-ROWS // BATCH)  # in an epoch
OURS = "ours"
AIMS = {"dataloader": 2.7, "lightning": 3.4, "skorch": 3.3, "sklearn": 2.2}
ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

# Trains for some epochs and returns the seconds that they took.
Loop = Callable[[int], float]


def main() -> None:
    """Let each loop run once to warm up, then in turn, and print how they compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, help="turns of each loop")
    parser.add_argument("--epochs", type=int, default=10, help="epochs in a turn")
    words = parser.parse_args()
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    turns = {name: _Turns(name) for name in LOOPS}
    try:
        for turn in turns.values():
            turn.take(1)
        rates = {name: list[float]() for name in LOOPS}
        for _ in range(words.rounds):
            for name, turn in turns.items():
                rates[name].append(words.epochs * STEPS / turn.take(words.epochs))
    finally:
        for turn in turns.values():
            turn.end()
    _say(rates)


def _ours(x: np.ndarray, y: np.ndarray) -> Loop:
    """Our loop as training calls it; its validation, on one batch, is counted."""
    import torch
    from our_loop import mlp, seconds_of

    features, target = torch.from_numpy(x), torch.from_numpy(y)
    return lambda epochs: seconds_of(
        mlp(FEATURES, HIDDEN, CLASSES), features, target, batch=BATCH, lr=LR, epochs=epochs
    )


def _dataloader(x: np.ndarray, y: np.ndarray) -> Loop:
    """The loop of PyTorch's tutorials."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    loader = DataLoader(TensorDataset(torch.from_numpy(x), torch.from_numpy(y)), batch_size=BATCH, shuffle=True)

    def run(epochs: int) -> float:
        model, loss_of = _network(), torch.nn.CrossEntropyLoss()
        optimizer = torch.optim.AdamW(model.parameters(), lr=LR)
        start = time.perf_counter()
        for _ in range(epochs):
            for xb, yb in loader:
                optimizer.zero_grad()
                loss = loss_of(model(xb), yb)
                loss.backward()
                optimizer.step()
        return time.perf_counter() - start

    return run


def _lightning(x: np.ndarray, y: np.ndarray) -> Loop:
    """Lightning with all that costs and is not training turned off."""
    import logging

    import torch
    from lightning.pytorch import Callback, LightningModule, Trainer
    from torch.utils.data import DataLoader, TensorDataset

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    loader = DataLoader(TensorDataset(torch.from_numpy(x), torch.from_numpy(y)), batch_size=BATCH, shuffle=True)

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = _network()

        def training_step(self, batch: list[torch.Tensor], _number: int) -> torch.Tensor:
            return torch.nn.functional.cross_entropy(self.network(batch[0]), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), lr=LR)

    class Watch(Callback):
        started = ended = 0.0

        def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
            self.started = self.started or time.perf_counter()

        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
            self.ended = time.perf_counter()

    def run(epochs: int) -> float:
        watch = Watch()
        off = dict.fromkeys(
            ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary", "barebones"), False
        )
        Trainer(max_epochs=epochs, accelerator="cpu", callbacks=[watch], **off).fit(Module(), loader)
        return watch.ended - watch.started

    return run


def _skorch(x: np.ndarray, y: np.ndarray) -> Loop:
    import torch
    from skorch import NeuralNetClassifier

    def run(epochs: int) -> float:
        net = NeuralNetClassifier(
            _network,
            criterion=torch.nn.CrossEntropyLoss,
            optimizer=torch.optim.AdamW,
            lr=LR,
            batch_size=BATCH,
            train_split=None,
            iterator_train__shuffle=True,
            verbose=0,
            max_epochs=epochs,
        ).initialize()
        start = time.perf_counter()
        net.partial_fit(x, y)
        return time.perf_counter() - start

    return run


def _sklearn(x: np.ndarray, y: np.ndarray) -> Loop:
    """Its solver is Adam, in NumPy."""
    from sklearn.neural_network import MLPClassifier

    def run(epochs: int) -> float:
        net = MLPClassifier(
            (HIDDEN, HIDDEN), batch_size=BATCH, learning_rate_init=LR, max_iter=epochs, tol=0.0, n_iter_no_change=10**9
        )
        start = time.perf_counter()
        net.fit(x, y)
        return time.perf_counter() - start

    return run


LOOPS: dict[str, Callable[[np.ndarray, np.ndarray], Loop]] = {
    OURS: _ours,
    "dataloader": _dataloader,
    "lightning": _lightning,
    "skorch": _skorch,
    "sklearn": _sklearn,
}


def _network() -> Any:
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers = (nn.Linear(FEATURES, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES))
    return nn.Sequential(*layers)


class _Turns:
    """One loop in a process of its own, which runs when it is asked to."""

    def __init__(self, name: str) -> None:
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(name, theirs), daemon=True)
        self.process.start()
        theirs.close()

    def take(self, epochs: int) -> float:
        """The seconds of so many epochs. Raises EOFError when the process died; it has said why."""
        self.pipe.send(epochs)
        return float(self.pipe.recv())

    def end(self) -> None:
        self.pipe.close()
        self.process.join(10)


def _serve(name: str, pipe: Connection) -> None:
    import torch

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    chance = np.random.default_rng(0)
    x = chance.normal(size=(ROWS, FEATURES)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] + x[:, 2] + 0.5 * chance.normal(size=ROWS) > 0).astype(np.int64)
    run = LOOPS[name](x, y)
    while True:
        try:
            epochs = pipe.recv()
        except EOFError:
            return
        pipe.send(run(epochs))


def _say(rates: dict[str, list[float]]) -> None:
    lines = [f"{'loop':<12}{'best':>9}{'median':>9}  steps/s{'ours is':>14}"]
    for name, theirs in rates.items():
        line = f"{name:<12}{max(theirs):>9.0f}{statistics.median(theirs):>9.0f}"
        if name != OURS:
            ratio = statistics.median(a / b for a, b in zip(rates[OURS], theirs, strict=True))
            verdict = "met" if ratio >= AIMS[name] else "MISSED"
            line += f"{'':>9}{ratio:>9.2f}x turn by turn; aim {AIMS[name]}x: {verdict}"
        lines.append(line)
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
