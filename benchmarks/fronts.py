"""Accuracy against EBOPs, ours beside HGQ2: one rising beta a run, several seeds, the same script for all.

Of every run the models that no other of the same run beats on the validation split (accuracy, EBOPs) are calibrated on
the training split and scored once on the test split, which nothing else sees. For each EBOPs budget the best of them
within it, by validation accuracy, counts. Prints medians and spread over the seeds, writes ``results/fronts.json`` and
``results/fronts.png``. Data: MAGIC and MNIST where ``HGQ_DATA_DIR`` is set, scikit-learn's digits elsewhere.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from front_points import Data
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
RESULTS = HERE / "results"
OURS = ("hgq-keras, jax", "hgq-torch")
PEER = "HGQ2 0.2.0, jax"
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Task:
    """A data set, the network that learns it, and the budgets at which fronts are compared."""

    hidden: tuple[int, ...]
    classes: int
    budgets: tuple[int, ...]
    beta: tuple[float, float]
    epochs: int
    batch: int
    learning_rate: float = 5e-3

    def settings(self, seed: int) -> dict[str, Any]:
        """What a run is told."""
        return {
            "hidden": self.hidden,
            "classes": self.classes,
            "beta": self.beta,
            "epochs": self.epochs,
            "batch": self.batch,
            "learning_rate": self.learning_rate,
            "most": 1.2 * max(self.budgets),
            "seed": seed,
        }


TASKS = {
    "magic": Task((64, 32, 32), 2, (150, 300, 600, 1200), (1e-5, 8e-4), 1000, 512),
    "mnist": Task((64, 32), 10, (2500, 4000, 6500, 10000), (6e-6, 1e-4), 200, 512),
    "digits": Task((24,), 10, (3000, 5000, 8000), (3e-6, 6e-4), 1000, 128),
}


def magic(folder: Path) -> Data:
    """MAGIC gamma telescope, standardised by the training split; 70 / 15 / 15 %."""
    with np.load(folder / "magic04" / "magic04.npz") as archive:
        x, y = archive["x"].astype("float32"), archive["y"].astype("int32")
    order = np.random.default_rng(0).permutation(len(x))
    cuts = np.split(order, [int(0.7 * len(x)), int(0.85 * len(x))])
    x = (x - x[cuts[0]].mean(0)) / x[cuts[0]].std(0)
    return Data(**{f"{n}_{s}": v[c].astype(v.dtype) for s, c in zip(SPLITS, cuts, strict=True) for n, v in pairs(x, y)})


def mnist(folder: Path) -> Data:
    """MNIST in [0, 1]; the last 10,000 of the training images choose the model."""
    with np.load(folder / "mnist" / "mnist.npz") as archive:
        x, x_test = ((archive[n].reshape(-1, 784) / 255).astype("float32") for n in ("x_train", "x_test"))
        y, y_test = (archive[n].astype("int32") for n in ("y_train", "y_test"))
    return Data(x[:50000], y[:50000], x[50000:], y[50000:], x_test, y_test)


def digits() -> Data:
    """scikit-learn's 1,797 digits in [0, 1]; 60 / 20 / 20 %."""
    from sklearn.datasets import load_digits

    loaded = load_digits()
    x, y = (loaded.data / 16).astype("float32"), loaded.target.astype("int32")
    cuts = np.split(np.random.default_rng(0).permutation(len(x)), [int(0.6 * len(x)), int(0.8 * len(x))])
    return Data(**{f"{n}_{s}": v[c] for s, c in zip(SPLITS, cuts, strict=True) for n, v in pairs(x, y)})


def pairs(x: np.ndarray, y: np.ndarray) -> tuple[tuple[str, np.ndarray], ...]:
    return ("x", x), ("y", y)


def data_of(name: str) -> Data:
    """The data set of a task; raises SystemExit, saying what to set, if it is not there."""
    if name == "digits":
        return digits()
    folder = Path(os.environ.get("HGQ_DATA_DIR", "") or ".")
    try:
        return {"magic": magic, "mnist": mnist}[name](folder)
    except FileNotFoundError as error:
        message = f"{name}: no {error.filename}; set HGQ_DATA_DIR to the folder of data sets, or choose digits"
        raise SystemExit(message) from error


def trained(kind: str, python: str, data: Path, settings: dict[str, Any]) -> list[dict[str, float]]:
    """One run in a process of its own."""
    script = HERE / ("front_torch.py" if kind == "hgq-torch" else "front_keras.py")
    environment = os.environ | {"KERAS_BACKEND": "jax", "OMP_NUM_THREADS": "1"}
    if kind == PEER:
        # It installs a package of our façade's name: nothing of ours may come before it.
        environment.pop("PYTHONPATH", None)
    command = [python, str(script), str(data), json.dumps(settings)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
    if done.returncode:
        message = f"{kind}, seed {settings['seed']}: the run failed\n{done.stderr[-3000:]}"
        raise SystemExit(message)
    points: list[dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return points


def chosen(points: list[dict[str, float]], budget: float) -> dict[str, float] | None:
    """The best calibrated model within the budget, by the validation split."""
    within = [point for point in points if point["ebops"] <= budget]
    return max(within, key=lambda point: (point["val_accuracy"], -point["val_loss"])) if within else None


def summary(runs: dict[str, list[list[dict[str, float]]]], budgets: tuple[int, ...]) -> list[dict[str, Any]]:
    """Median, extremes and standard error over the seeds, for each implementation and budget."""
    rows = []
    for budget in budgets:
        for name, seeds in runs.items():
            best = [point for points in seeds if (point := chosen(points, budget)) is not None]
            row: dict[str, Any] = {"budget": budget, "name": name, "seeds": len(best), "of": len(seeds)}
            for score in ("test_accuracy", "test_loss", "ebops"):
                values = [point[score] for point in best]
                if values:
                    error = statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
                    row[score] = {"median": statistics.median(values), "low": min(values), "high": max(values)}
                    row[score]["standard_error"] = error
            rows.append(row)
    return rows


def shown(task: str, rows: list[dict[str, Any]]) -> Table:
    """Accuracy and loss on the test split at each budget, and whether ours is at the peer's within its error."""
    table = Table(title=f"{task}: test split at fixed EBOPs, median and (lowest, highest) of the seeds")
    for column in ("EBOPs <=", "", "accuracy, %", "loss", "EBOPs", "against HGQ2"):
        table.add_column(column, justify="left" if not column else "right")
    peers = {row["budget"]: row for row in rows if row["name"] == PEER}
    for row in rows:
        if "test_accuracy" not in row:
            table.add_row(f"{row['budget']:,}", row["name"], "no model", "", "", "")
            continue
        accuracy, loss = row["test_accuracy"], row["test_loss"]
        peer = peers.get(row["budget"])
        verdict = against(row, peer) if peer is not None and row["name"] != PEER else ""
        table.add_row(
            f"{row['budget']:,}",
            row["name"],
            f"{100 * accuracy['median']:.2f} ({100 * accuracy['low']:.2f}, {100 * accuracy['high']:.2f})",
            f"{loss['median']:.4f} ({loss['low']:.4f}, {loss['high']:.4f})",
            f"{row['ebops']['median']:,.0f}",
            verdict,
        )
    return table


def against(row: dict[str, Any], peer: dict[str, Any]) -> str:
    """``at or above`` where accuracy and loss are no worse than the peer's by more than one standard error."""
    if "test_accuracy" not in peer:
        return "HGQ2: no model"
    worse = []
    for score, sign in (("test_accuracy", 1.0), ("test_loss", -1.0)):
        mine, other = row[score], peer[score]
        # The error of a difference of two medians, taken as that of two means.
        error = (mine["standard_error"] ** 2 + other["standard_error"] ** 2) ** 0.5
        if sign * (mine["median"] - other["median"]) < -error:
            worse.append(score.removeprefix("test_"))
    return f"below in {' and '.join(worse)}" if worse else "at or above"


def drawn(results: dict[str, Any], path: Path) -> None:
    """Every scored model as a dot, and the medians at the budgets as lines."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(results), figsize=(5.6 * len(results), 4.2), squeeze=False)
    for axis, (task, result) in zip(axes[0], results.items(), strict=True):
        for number, (name, seeds) in enumerate(result["runs"].items()):
            color, aside = f"C{number}", 1.025 ** (number - 1)  # bars side by side
            points = [point for run in seeds for point in run if point["ebops"] > 0]
            x, y = [p["ebops"] for p in points], [100 * p["test_accuracy"] for p in points]
            axis.plot(x, y, ".", color=color, alpha=0.25, markersize=4)
            rows = [row for row in result["summary"] if row["name"] == name and "test_accuracy" in row]
            middle = [100 * row["test_accuracy"]["median"] for row in rows]
            low = [m - 100 * row["test_accuracy"]["low"] for m, row in zip(middle, rows, strict=True)]
            high = [100 * row["test_accuracy"]["high"] - m for m, row in zip(middle, rows, strict=True)]
            budgets = [row["budget"] * aside for row in rows]
            axis.errorbar(budgets, middle, yerr=[low, high], color=color, marker="o", capsize=3, label=name)
        scored = [100 * row["test_accuracy"]["low"] for row in result["summary"] if "test_accuracy" in row]
        axis.set(xscale="log", xlabel="EBOPs (calibrated)", ylabel="test accuracy, %", title=task)
        if scored:
            axis.set_ylim(min(scored) - 2)
        budgets = sorted({row["budget"] for row in result["summary"]})
        axis.set_xticks(budgets, [f"{budget:,}" for budget in budgets])
        axis.set_xticks([], minor=True)
        axis.grid(alpha=0.3)
        axis.legend(loc="lower right")
    figure.tight_layout()
    fresh = path.with_name(f".{path.name}")
    figure.savefig(fresh, dpi=120, format="png")
    fresh.replace(path)


def main() -> int:
    """All runs of the chosen tasks; those that lie in the folder of runs already are not repeated."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", help="Python of an environment with HGQ2; left out, the peer is not run")
    default = ["magic", "mnist"] if os.environ.get("HGQ_DATA_DIR") else ["digits"]
    parser.add_argument("--task", nargs="+", choices=TASKS, default=default)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--short", type=float, default=1.0, metavar="SHARE", help="share of the epochs, for a glance")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--runs", type=Path, help="folder that keeps each run, so that a later call goes on from there")
    options = parser.parse_args()
    kinds = dict.fromkeys(OURS, sys.executable) | ({PEER: options.peer_python} if options.peer_python else {})
    console, results = Console(width=120), {}
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(options.jobs) as pool:
        folder = options.runs or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for name in options.task:
            task = TASKS[name]
            data = Path(scratch) / f"{name}.npz"
            np.savez(data, **vars(data_of(name)))

            def run(kind: str, seed: int, task: Task = task, data: Path = data, name: str = name) -> Any:
                settings = task.settings(seed) | {"epochs": max(1, round(task.epochs * options.short))}
                kept = folder / f"{name}-{kind.split(',', maxsplit=1)[0].replace(' ', '-')}-{seed}.json"
                known = json.loads(kept.read_text()) if kept.exists() else {}
                if known.get("settings") != json.loads(json.dumps(settings)):
                    known = {"settings": settings, "points": trained(kind, kinds[kind], data, settings)}
                    kept.write_text(json.dumps(known))
                return known["points"]

            futures = {(kind, seed): pool.submit(run, kind, seed) for seed in range(options.seeds) for kind in kinds}
            runs = {kind: [futures[kind, seed].result() for seed in range(options.seeds)] for kind in kinds}
            results[name] = {"settings": task.settings(0), "runs": runs, "summary": summary(runs, task.budgets)}
            console.print(shown(name, results[name]["summary"]))
    if options.short == 1.0:
        fresh = RESULTS / ".fronts.json"
        fresh.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n")
        fresh.replace(RESULTS / "fronts.json")
        drawn(results, RESULTS / "fronts.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
