"""Does a bound on the fraction bits of a bias pay? Accuracy and da4ml cost with and without, in runs of `fronts.py`.

A fresh bias is finer than the products that it is added to: 8 bits on values near 1e-3 are 17 fraction bits, products
end near 12. Bounding its integer bits from below, ``ic=Min(-4)``, bounds the fraction bits of b bits to ``b + 4``.
Prints the median over the seeds at each EBOPs budget and writes ``results/bias.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys

os.environ.setdefault("KERAS_BACKEND", "jax")

from front_keras import scored, trained
from fronts import RESULTS, TASKS, chosen, data_of
from rich.console import Console
from rich.table import Table

import hgq_hw
import hgq_keras
from hgq.config import QuantizerConfig
from hgq.constraints import Min

LOWEST = (None, -4, -2)
"""Lower bounds of the bias' integer bits; None: as by default."""


def run(task: str, seed: int, low: int | None, short: float) -> list[dict[str, float]]:
    """The best model within each budget of one run, with da4ml's cost and the finest bias."""
    data, chosen_task = data_of(task), TASKS[task]
    settings = chosen_task.settings(seed)
    settings["epochs"] = max(1, round(settings["epochs"] * short))
    options = {} if low is None else {"bq_conf": QuantizerConfig(place="bias", ic=Min(low))}
    model, points = trained(data, settings, **options)
    rows = [scored(model, data, point) | {"at": n} for n, point in enumerate(points)]
    found = []
    for budget in chosen_task.budgets:
        best = chosen(rows, budget)
        if best is None:
            continue
        scored(model, data, points[int(best["at"])])
        finest = max(float(layer.bq.array_kif[2].max()) for layer in hgq_keras.quantized_layers(model))
        cost = hgq_hw.da4ml.lower(hgq_keras.to_graph(model)).cost
        found.append(best | {"budget": budget, "da4ml_cost": float(cost), "finest_bias": finest})
    return found


def main() -> int:
    """Every task, bound and seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", nargs="+", choices=TASKS, default=["digits"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--short", type=float, default=1.0, metavar="SHARE", help="share of the epochs")
    options = parser.parse_args()
    columns = ("test_accuracy", "test_loss", "ebops", "da4ml_cost", "finest_bias")
    table = Table(title="A lower bound on the integer bits of biases: medians of the seeds")
    for column in ("task", "EBOPs <=", "bound", *columns):
        table.add_column(column, justify="right")
    results = []
    for task in options.task:
        for low in LOWEST:
            rows = [row for seed in range(options.seeds) for row in run(task, seed, low, options.short)]
            for budget in TASKS[task].budgets:
                mine = [row for row in rows if row["budget"] == budget]
                if mine:
                    medians = {name: statistics.median(row[name] for row in mine) for name in columns}
                    results.append({"task": task, "budget": budget, "bound": low, "seeds": len(mine)} | medians)
                    table.add_row(task, str(budget), str(low), *(f"{medians[name]:.4g}" for name in columns))
    Console(width=120).print(table)
    if options.short == 1.0:
        fresh = RESULTS / ".bias.json"
        fresh.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
        fresh.replace(RESULTS / "bias.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
