"""Ours, plain and the peer side by side: prints tables and writes ``results/``.

Times are ratios of medians of interleaved blocks on one core, in CPU seconds. HGQ2 installs a package of the same name
as ours, so that it runs in an environment of its own: the same script there and here, taking turns, each against plain
Keras in its own process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import deterministic
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).parent
RESULTS = HERE / "results"
TARGETS = {("hgq-keras, jax", 2048): 1.6, ("hgq-keras, jax", 16600): 1.4}
TARGETS |= {("hgq-torch, eager", 2048): 3.3, ("hgq-torch, eager", 16600): 2.0}
LOAD_TARGET = 1.5
MIXER, MIXER_BATCH = ("--model", "mixer"), 256
CNN_BATCH = 256
INFERENCE = ("--inference",)


def keras_step(python: str, batch: int, rounds: int, *options: str, backend: str = "jax") -> dict[str, Any]:
    """One process of ``keras_step.py`` in the environment of this Python."""
    command = [python, str(HERE / "keras_step.py"), "--rounds", str(rounds), "--batch", str(batch), *options]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | {"KERAS_BACKEND": backend}
    )
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def keras_rows(peer: str | None, batches: list[int], rounds: int, turns: int) -> list[dict[str, Any]]:
    """The jet model on Keras with JAX: ours and the peer's step over plain Keras, medians over processes in turns."""
    ways = {"hgq-keras, jax": (sys.executable,), "the same, malloc's defaults": (sys.executable, "--default-malloc")}
    if peer:
        ways["HGQ2 0.2.0, jax"] = (peer,)
    return _in_turns({(name, batch): ("jax", *way) for name, way in ways.items() for batch in batches}, rounds, turns)


def other_rows(peer: str | None, batches: list[int], rounds: int, turns: int) -> list[dict[str, Any]]:
    """Inference, the mixer and Keras' other frameworks, likewise."""
    packages = {"hgq-keras": sys.executable} | ({"HGQ2 0.2.0": peer} if peer else {})
    ways: dict[tuple[str, int], tuple[str, ...]] = {}
    for package, python in packages.items():
        for batch in batches:
            ways[f"{package}, jax: inference", batch] = ("jax", python, *INFERENCE)
        for backend, name in (("jax", "jax"), ("tensorflow", "tensorflow, jit")):
            for what, options in (("step", ()), ("inference", INFERENCE)):
                ways[f"{package}, {name}: mixer, {what}", MIXER_BATCH] = (backend, python, *MIXER, *options)
        for backend, name in (("torch", "torch, eager"), ("tensorflow", "tensorflow, jit")):
            for what, options in (("step", ()), ("inference", INFERENCE)):
                for batch in batches:
                    ways[f"{package}, {name}: {what}", batch] = (backend, python, *options)
    return _in_turns(ways, rounds, turns)


def _in_turns(ways: dict[tuple[str, int], tuple[str, ...]], rounds: int, turns: int) -> list[dict[str, Any]]:
    """A row for each name and batch: medians over processes; a way is backend, Python and options."""
    runs: dict[tuple[str, int], list[dict[str, Any]]] = {key: [] for key in ways}
    for _ in range(turns):
        for (name, batch), processes in runs.items():
            backend, python, *options = ways[name, batch]
            processes.append(keras_step(python, batch, rounds, *options, backend=backend))
    rows = []
    for (name, batch), processes in runs.items():
        row = {key: statistics.median(item[key] for item in processes) for key in ("plain_ms", "quantized_ms", "ratio")}
        rows.append({"name": name, "batch": batch, **row, "ratios": [item["ratio"] for item in processes]})
    return rows


def torch_rows(
    batches: list[int], repeats: int, *, network: str = "jet", inference: bool = False
) -> list[dict[str, Any]]:
    """A model on PyTorch, eager, without a compiled operator."""
    code = "import json, sys, process; process.pin(); process.keep_memory(); import torch_step; print(json.dumps("
    code += f"[torch_step.measure(b, max(1, 10240 // b), int(sys.argv[1]), network={network!r}, inference={inference})"
    code += " for b in map(int, sys.argv[2:])]))"
    command = [sys.executable, "-c", code, str(repeats), *map(str, batches)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=HERE)
    what = [network] * (network != "jet") + ["inference"] * inference
    name = "hgq-torch, eager" + (f": {', '.join(what)}" if what else "")
    return [
        {
            "name": name,
            "batch": row["batch"],
            "plain_ms": row["plain_ms"],
            "quantized_ms": row["ours_ms"],
            "ratio": row["ours_ratio"],
        }
        for row in json.loads(done.stdout.splitlines()[-1])
    ]


def load_row(turns: int) -> dict[str, Any]:
    """Loading a model file in a fresh process, ours over the float network's."""
    command = [sys.executable, str(HERE / "load_time.py"), "--turns", str(turns)]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | {"KERAS_BACKEND": "jax"}
    )
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def speed_table(rows: list[dict[str, Any]], title: str) -> Table:
    """Ours and the peer over plain, and the peer over ours."""
    table = Table(title=f"{title}: quantized over plain")
    for column in ("", "batch", "plain, ms", "quantized, ms", "quantized / plain", "target", "HGQ2 / ours"):
        table.add_column(column, justify="left" if not column else "right")
    peers = {
        (row["name"].removeprefix("HGQ2 0.2.0"), row["batch"]): row["ratio"]
        for row in rows
        if row["name"].startswith("HGQ2")
    }
    for row in rows:
        target = TARGETS.get((row["name"], row["batch"]))
        ours = row["name"].startswith("hgq-keras")
        against = peers.get((row["name"].removeprefix("hgq-keras"), row["batch"])) if ours else None
        table.add_row(
            row["name"],
            f"{row['batch']:,}",
            f"{row['plain_ms']:.2f}",
            f"{row['quantized_ms']:.2f}",
            f"{row['ratio']:.2f}",
            f"{target:.2f} {'met' if row['ratio'] <= target else 'missed'}" if target else "",
            f"{against / row['ratio']:.2f}" if against else "",
        )
    return table


def exact_table(rows: dict[str, dict[str, Any]]) -> Table:
    """EBOPs, da4ml's cost and mismatches."""
    table = Table(title="Exact numbers")
    for column in ("", "EBOPs", "counted one by one", "da4ml cost", "cycles", "mismatches"):
        table.add_column(column, justify="left" if not column else "right")
    for name, row in rows.items():
        shown = [f"{row[key]:,.0f}" for key in ("ebops", "ebops_counted", "da4ml_cost", "latency_cycles")]
        table.add_row(name, *shown, f"{row['mismatches']} of {row['compared']:,}")
    return table


def written(name: str, content: Any) -> None:
    """Write a JSON file of results; it appears when it is complete."""
    RESULTS.mkdir(exist_ok=True)
    fresh = RESULTS / f".{name}.tmp"
    fresh.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
    fresh.replace(RESULTS / name)


def main() -> int:
    """Everything; 1 if an exact number is not what it was."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer-python", help="Python of an environment with HGQ2; left out, the peer is not measured")
    parser.add_argument("--batch", type=int, nargs="+", default=[2048, 16600])
    parser.add_argument("--rounds", type=int, default=11, help="blocks of each model in a process")
    parser.add_argument("--turns", type=int, default=5, help="processes of each environment")
    options = parser.parse_args()
    console = Console(width=120)
    exact = deterministic.measure()
    console.print(exact_table(exact))
    committed = RESULTS / "deterministic.json"
    changed = committed.exists() and json.loads(committed.read_text()) != exact
    wrong = [name for name, row in exact.items() if row["mismatches"] or row["ebops"] != row["ebops_counted"]]
    if changed or wrong:
        console.print(f"exact numbers differ: {wrong or 'not those committed in ' + committed.name}; see {committed}")
        return 1
    written("deterministic.json", exact)
    rows = keras_rows(options.peer_python, options.batch, options.rounds, options.turns)
    rows += torch_rows(options.batch, 15 * options.turns)
    console.print(speed_table(rows, "Training step, 16-64-32-32-5"))
    others = other_rows(options.peer_python, options.batch, options.rounds, options.turns)
    others += torch_rows(options.batch, 15 * options.turns, inference=True)
    for inference in (False, True):
        others += torch_rows([CNN_BATCH], 6 * options.turns, network="cnn", inference=inference)
    console.print(speed_table(others, "Other frameworks, inference, and a mixer"))
    load = load_row(options.turns)
    console.print(
        f"load_model in a fresh process ({load['backend']}): {load['quantized_s']:.2f} s of CPU, the float network "
        f"{load['plain_s']:.2f} s, ratio {load['ratio']:.2f} (target {LOAD_TARGET})"
    )
    packages = ("hgq-core", "hgq-keras", "hgq-torch", "keras", "jax", "torch", "da4ml")
    environment = {name: version(name) for name in packages} | {"python": platform.python_version()}
    written("speed.json", {"rows": rows + others, "load": load, "versions": environment})
    return 0


if __name__ == "__main__":
    sys.exit(main())
