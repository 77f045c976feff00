"""A training step of hgq-torch against plain PyTorch: the jet network or a convolutional one, Adam, EBOPs on.

Ratios of interleaved runs in one process on one thread, in CPU time; per-element widths for weights and activations.
`python benchmarks/torch_step.py` prints the table; `measure` gives one row of it.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from typing import TYPE_CHECKING, Any

import torch
from process import keep_memory, pin
from torch import nn

import hgq_torch
from hgq_torch.nn import QConv2d, QLinear, QMaxPool2d

if TYPE_CHECKING:
    from collections.abc import Callable

WIDTHS = (16, 64, 32, 32, 5)
BETA = 1e-5


def plain(network: str = "jet") -> nn.Module:
    """The network without quantization."""
    if network == "cnn":
        first = [nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3), nn.ReLU(), nn.MaxPool2d(2)]
        return nn.Sequential(*first, nn.Flatten(), nn.Linear(400, 10))
    layers: list[nn.Module] = []
    for n, (a, b) in enumerate(itertools.pairwise(WIDTHS)):
        layers += [nn.Linear(a, b)] + ([nn.ReLU()] if n < len(WIDTHS) - 2 else [])
    return nn.Sequential(*layers)


def quantized(network: str = "jet") -> nn.Module:
    """The same network with trained widths."""
    if network == "cnn":
        convolutions = [QConv2d(a, b, 3, activation="relu", beta0=BETA) for a, b in ((1, 8), (8, 16))]
        pools = [QMaxPool2d(2, beta0=BETA) for _ in convolutions]
        first = itertools.chain.from_iterable(zip(convolutions, pools, strict=True))
        return nn.Sequential(*first, nn.Flatten(), QLinear(400, 10, beta0=BETA))
    last = len(WIDTHS) - 2
    return nn.Sequential(
        *(
            QLinear(a, b, activation="relu" if n < last else None, beta0=BETA)
            for n, (a, b) in enumerate(itertools.pairwise(WIDTHS))
        )
    )


def data(network: str, batch: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Random inputs and labels."""
    shape, classes = ((1, 28, 28), 10) if network == "cnn" else (WIDTHS[:1], WIDTHS[-1])
    return torch.randn(batch, *shape), torch.randint(0, classes, (batch,))


def make_step(
    model: nn.Module, x: torch.Tensor, y: torch.Tensor, *, fused: bool, forward: Any = None
) -> Callable[[], None]:
    """Forward, backward and Adam as one call."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, fused=fused or None)
    costs = any(isinstance(m, QLinear) for m in model.modules())

    def loss_of(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        loss = nn.functional.cross_entropy(model(x), y)
        return loss + hgq_torch.ebops_loss(model) if costs else loss

    loss_function = forward(loss_of) if forward else loss_of

    def step() -> None:
        optimizer.zero_grad()
        loss_function(x, y).backward()
        optimizer.step()

    return step


def make_inference(model: nn.Module, x: torch.Tensor) -> Callable[[], None]:
    """The outputs of a model in `eval` mode, as one call."""
    model.eval()

    def infer() -> None:
        with torch.no_grad():
            model(x)

    return infer


def measure(
    batch: int,
    steps: int = 5,
    repeats: int = 60,
    *,
    network: str = "jet",
    fused_adam: bool = False,
    compiled: bool = False,
    inference: bool = False,
) -> dict[str, Any]:
    """Milliseconds of a step, and ratios to plain PyTorch.

    Args:
        batch: rows of the input.
        steps: steps per timing.
        repeats: timings of each variant; they take turns.
        network: ``jet``, 16-64-32-32-5, or ``cnn``, two convolutions with pooling on 28 x 28 images.
        fused_adam: whether both sides use `torch.optim.Adam(fused=True)`; on a CPU the default is a loop over tensors.
        compiled: also time ours, and plain PyTorch, under `torch.compile`.
        inference: time inference after a few steps, eagerly, and not the steps.

    Returns:
        ``batch``, ``adam``, and ``{variant}_ms`` and ``{variant}_ratio`` for each variant, medians.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        torch.manual_seed(0)
        x, y = data(network, batch)
        models = {"plain": plain(network), "ours": quantized(network)}
        hgq_torch.build(models["ours"], x)
        variants = {name: make_step(model, x, y, fused=fused_adam) for name, model in models.items()}
        if compiled:
            variants["plain_compiled"] = make_step(plain(network), x, y, fused=fused_adam, forward=torch.compile)
            variants["ours_compiled"] = make_step(quantized(network), x, y, fused=fused_adam, forward=torch.compile)
        for step in variants.values():
            for _ in range(5):
                step()
        if inference:
            variants = {name: make_inference(model, x) for name, model in models.items()}
        times: dict[str, list[float]] = {name: [] for name in variants}
        for _ in range(repeats):
            for name, step in variants.items():
                start = time.process_time()
                for _ in range(steps):
                    step()
                times[name].append((time.process_time() - start) / steps * 1e3)
    finally:
        torch.set_num_threads(threads)
    row: dict[str, Any] = {"batch": batch, "adam": "fused" if fused_adam else "default"}
    for name, values in times.items():
        row[f"{name}_ms"] = statistics.median(values)
        row[f"{name}_ratio"] = row[f"{name}_ms"] / row["plain_ms"]
    return row


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batches", type=int, nargs="+", default=[2048, 16600])
    parser.add_argument("--compile", action="store_true", help="also torch.compile, which needs a C++ compiler")
    parser.add_argument("--repeats", type=int, default=60)
    parser.add_argument("--profile", action="store_true", help="print the operators of a step instead")
    options = parser.parse_args()
    pin()
    keep_memory()
    if options.profile:
        print(profile(options.batches[0]))
        return
    print(f"{'batch':>6} {'Adam':>8} {'variant':>15} {'ms':>8} {'ratio':>6}")
    for batch in options.batches:
        for fused in (False, True):
            row = measure(batch, max(1, 10240 // batch), options.repeats, fused_adam=fused, compiled=options.compile)
            for name in [key[:-3] for key in row if key.endswith("_ms")]:
                print(f"{batch:>6} {row['adam']:>8} {name:>15} {row[f'{name}_ms']:>8.3f} {row[f'{name}_ratio']:>6.2f}")


def profile(batch: int) -> str:
    """The operators of ten steps of ours, by own CPU time."""
    torch.set_num_threads(1)
    x, y = data("jet", batch)
    step = make_step(quantized(), x, y, fused=False)
    step()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as report:
        for _ in range(10):
            step()
    return report.key_averages().table(sort_by="self_cpu_time_total", row_limit=30, max_name_column_width=40)


if __name__ == "__main__":
    main()
