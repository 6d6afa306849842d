"""Time of one training step on a GPU: our loop beside an eager DataLoader loop and Lightning.

    python benchmarks/gpu.py [--rounds 5] [--epochs 5] [--out FILE]

The same networks of our layers, the same table (50,000 x 20 float32), AdamW: `mlp` 20-128-128-2 and `tabm` with 32
members of width 512, batches of 256 and of 1024. A step's time is the difference between a long and a short run over
their difference in steps, so what a loop does once (a CUDA graph, Lightning's set-up) is not counted. `busy` is the
share of that time in which kernels and copies run, by the profiler. Without a GPU nothing is measured.
"""

import argparse
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from our_loop import L2, OBJECTIVE, mlp, seconds_of, tabm
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

ROWS, FEATURES, CLASSES, LR = 50_000, 20, 2, 1e-3
NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "mlp": lambda: mlp(FEATURES, 128, CLASSES),
    "tabm": lambda: tabm(FEATURES, 512, CLASSES),
}
BATCHES = (256, 1024)
OURS = "ours"

# Trains a fresh network for some epochs and returns the seconds that they took.
Loop = Callable[[int], float]


def main() -> None:
    """Measure each network and batch, the loops in turn, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="turns of each loop")
    parser.add_argument("--epochs", type=int, default=5, help="epochs in a long run")
    parser.add_argument("--device", default="cuda", help="cpu: to try this script, without the share")
    parser.add_argument("--out", type=Path, help="a file for the table")
    words = parser.parse_args()
    if words.device == "cuda" and not torch.cuda.is_available():
        sys.stdout.write("gpu: skipped, PyTorch finds no CUDA device on this machine.\n")
        return
    warnings.filterwarnings("ignore")
    device = torch.device(words.device)
    name = torch.cuda.get_device_name() if device.type == "cuda" else "CPU"
    lines = [
        f"{name}, PyTorch {torch.__version__}, {ROWS} rows, {words.rounds} rounds of {words.epochs} epochs.",
        "",
        "| network | batch | loop | median us a step | best | busy | ours is |",
        "|---|---|---|---|---|---|---|",
    ]
    for network in NETWORKS:
        for batch in BATCHES:
            lines += _rows(network, batch, device, rounds=words.rounds, epochs=words.epochs)
            sys.stderr.write("\n".join(lines[-len(LOOPS) :]) + "\n")
    table = "\n".join(lines) + "\n"
    sys.stdout.write(table)
    if words.out:
        words.out.write_text(table, encoding="utf-8")


def _rows(network: str, batch: int, device: torch.device, *, rounds: int, epochs: int) -> list[str]:
    x, y = _table(device)
    loops = {name: make(NETWORKS[network], x, y, batch) for name, make in LOOPS.items()}
    steps = -(-ROWS // batch)
    for loop in loops.values():
        loop(1)
    taken = {name: list[float]() for name in loops}
    for _ in range(rounds):
        for name, loop in loops.items():
            short = loop(1)
            taken[name].append((loop(1 + epochs) - short) / (epochs * steps) * 1e6)
    rows = []
    for name, loop in loops.items():
        median = statistics.median(taken[name])
        busy = f"{_busy_us(loop, epochs) / (epochs * steps) / median:.0%}" if device.type == "cuda" else "-"
        ratio = statistics.median(theirs / ours for ours, theirs in zip(taken[OURS], taken[name], strict=True))
        shown = "" if name == OURS else f"{ratio:.1f}x"
        rows.append(f"| {network} | {batch} | {name} | {median:.0f} | {min(taken[name]):.0f} | {busy} | {shown} |")
    return rows


def _busy_us(loop: Loop, epochs: int) -> float:
    """Microseconds of kernels and copies that `epochs` more epochs add.

    Only the device is recorded, since recording the host would slow down what is measured.
    """
    totals = []
    for length in (1, 1 + epochs):
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
            loop(length)
        totals.append(sum(event.self_device_time_total for event in profile.key_averages()))
    return float(totals[1] - totals[0])


def _table(device: torch.device) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(0)
    x = torch.randn(ROWS, FEATURES, generator=chance)
    y = (x[:, 0] * x[:, 1] + x[:, 2] + 0.5 * torch.randn(ROWS, generator=chance) > 0).long()
    return x.to(device), y.to(device)


def _ours(make: Callable[[], nn.Module], x: Tensor, y: Tensor, batch: int) -> Loop:
    return lambda epochs: seconds_of(make().to(x.device), x, y, batch=batch, lr=LR, epochs=epochs)


def _dataloader(make: Callable[[], nn.Module], x: Tensor, y: Tensor, batch: int) -> Loop:
    """The loop of PyTorch's tutorials: rows on the host, batches pinned and sent to the device."""
    device, loader = x.device, _loader(x, y, batch)

    def run(epochs: int) -> float:
        model = make().to(device).train()
        optimizer = torch.optim.AdamW(model.parameters(), lr=LR, weight_decay=L2)
        start = time.perf_counter()
        for _ in range(epochs):
            for host_x, host_y in loader:
                xb, yb = host_x.to(device, non_blocking=True), host_y.to(device, non_blocking=True)
                optimizer.zero_grad()
                OBJECTIVE.training_loss(model(xb), yb).backward()
                optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    return run


def _lightning(make: Callable[[], nn.Module], x: Tensor, y: Tensor, batch: int) -> Loop:
    """Lightning with all that costs and is not training turned off."""
    import logging

    from lightning.pytorch import LightningModule, Trainer

    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    loader = _loader(x, y, batch)

    class Module(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = make()

        def training_step(self, rows: list[Tensor], _number: int) -> Tensor:
            return OBJECTIVE.training_loss(self.network(rows[0]), rows[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), lr=LR, weight_decay=L2)

    names = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    accelerator = "gpu" if x.device.type == "cuda" else "cpu"

    def run(epochs: int) -> float:
        trainer = Trainer(max_epochs=epochs, accelerator=accelerator, devices=1, **dict.fromkeys(names, False))
        start = time.perf_counter()
        trainer.fit(Module(), loader)
        if x.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    return run


def _loader(x: Tensor, y: Tensor, batch: int) -> DataLoader[tuple[Tensor, ...]]:
    return DataLoader(
        TensorDataset(x.cpu(), y.cpu()), batch_size=batch, shuffle=True, pin_memory=x.device.type == "cuda"
    )


LOOPS: dict[str, Callable[[Callable[[], nn.Module], Tensor, Tensor, int], Loop]] = {
    OURS: _ours,
    "dataloader": _dataloader,
    "lightning": _lightning,
}


if __name__ == "__main__":
    main()
