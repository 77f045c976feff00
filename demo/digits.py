"""From real data to verified Verilog: scikit-learn's handwritten digits, in one run.

Trains a small dense network whose bit-widths are learned while beta rises, chooses a model from the front of accuracy
against EBOPs, exports it, and compares the emulator, the simulated Verilog and the compiled HLS code with the model on
the whole test set, bit for bit. Leaves pictures, a report, the model, the graph and the firmware in one folder.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import hgq_hw
import hgq_keras
from hgq.callbacks import BetaScheduler, FreeEBOPs, ParetoFront, PBar, PieceWiseSchedule
from hgq.config import LayerConfigScope, QuantizerConfigScope
from hgq.layers import QDense
from hgq.utils import trace_minmax
from hgq_core.cost import ebops
from hgq_core.errors import HGQError, VerificationError
from hgq_core.graph import Graph, run, save

EPOCHS = 1200
BATCH = 128
HIDDEN = 24
BUDGET = 5500.0  # EBOPs
STAGE = 5.0  # adder delays of one pipeline stage


@dataclass(frozen=True, slots=True)
class Digits:
    """8 x 8 images in [0, 1] with their labels, split once and for all."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_val: np.ndarray
    y_val: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    @classmethod
    def load(cls) -> Digits:
        """1797 digits: 20 % to test, 15 % of the rest to choose the model, stratified."""
        data = load_digits()
        images, labels = (data.images / 16).astype("float32"), data.target
        x, x_test, y, y_test = train_test_split(images, labels, test_size=0.2, random_state=0, stratify=labels)
        x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=0.15, random_state=0, stratify=y)
        return cls(x_train, y_train, x_val, y_val, x_test, y_test)


def network(dense: type[keras.Layer]) -> keras.Model:
    """64-24-10; the noise acts in training only and keeps so small a set from being learned by heart."""
    return keras.Sequential(
        [
            keras.Input((8, 8), name="image"),
            keras.layers.Flatten(name="flatten"),
            keras.layers.GaussianNoise(0.2, name="noise"),
            dense(HIDDEN, activation="relu", name="hidden"),
            dense(10, name="digit"),
        ]
    )


def compiled(model: keras.Model, data: Digits, epochs: int) -> keras.Model:
    """The same optimiser and loss for the float and the quantized network."""
    steps = epochs * -(-len(data.x_train) // BATCH)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(4e-3, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def train(data: Digits, folder: Path) -> tuple[keras.Model, dict[str, list[float]], list[dict[str, float]]]:
    """A quantized network from the front within the budget, the training curves, and the front itself."""
    with (
        QuantizerConfigScope(place="weight", b0=4, i0=0),
        QuantizerConfigScope(place="datalane", i0=1, f0=3),
        LayerConfigScope(beta0=1e-6),
    ):
        model = compiled(network(QDense), data, EPOCHS)
    schedule = PieceWiseSchedule([[0, 1e-6, "log"], [int(0.8 * EPOCHS), 7e-5, "constant"]])
    front = ParetoFront(folder, ["val_accuracy", "ebops"], [1, -1], enable_if=lambda logs: logs["val_accuracy"] > 0.8)
    history = model.fit(
        data.x_train,
        data.y_train,
        validation_data=(data.x_val, data.y_val),
        epochs=EPOCHS,
        batch_size=BATCH,
        verbose=0,
        callbacks=[BetaScheduler(schedule), FreeEBOPs(), front, PBar()],
    ).history
    points = list(zip(front.paths, front.record, strict=True))
    within = [(path, point) for path, point in points if point["ebops"] <= BUDGET]
    if not within:
        message = f"no model of the front needs at most {BUDGET:.0f} EBOPs; train longer or raise beta"
        raise HGQError(message)
    path, _ = max(within, key=lambda item: item[1]["val_accuracy"])
    return keras.models.load_model(path), history, front.record


def accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
    """Share of rows whose largest score is at the label."""
    return float(np.mean(np.argmax(scores, axis=-1) == labels))


def firmware(graph: Graph, x: np.ndarray, folder: Path) -> tuple[hgq_hw.da4ml.Design, list[hgq_hw.Verification]]:
    """Lower to da4ml and hls4ml, and compare every level with the graph on all of x; raises at the first difference."""
    design = hgq_hw.da4ml.lower(graph, latency_cutoff=STAGE)
    outcomes = [hgq_hw.verify(graph, design, x, level="emulator"), hgq_hw.verify(graph, design, x, level="rtl")]
    design.write(folder / "verilog", language="verilog", name="digits")
    hls = hgq_hw.hls4ml.lower(graph, folder / "hls4ml", project_name="digits")
    outcomes.append(hgq_hw.verify(graph, hls, x, level="csim"))
    return design, outcomes


def summary(rows: list[tuple[str, str]]) -> Table:
    """The one table."""
    table = Table(title="Handwritten digits, from data to verified firmware", title_style="bold", show_header=False)
    table.add_column(style="cyan")
    table.add_column(justify="right")
    for name, value in rows:
        table.add_row(name, value)
    return table


def main() -> int:
    """Run everything; 0 if all levels agree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=Path("demo-output"), help="folder of the results, made anew")
    output = parser.parse_args().output
    console, start = Console(), time.perf_counter()
    if output.exists() and any(output.iterdir()) and not (output / "graph.hgq.npz").exists():
        console.print(f"{output} holds something else than a demo's results; name another folder with --output")
        return 2
    keras.utils.set_random_seed(0)
    data = Digits.load()
    scratch = tempfile.TemporaryDirectory(prefix="digits-")
    work = Path(scratch.name) / "results"  # of its own, since a temporary directory is closed to others
    work.mkdir()
    try:
        console.print(f"[bold]1[/] float network 64-{HIDDEN}-10 on {len(data.x_train)} digits")
        plain = compiled(network(keras.layers.Dense), data, 150)
        plain.fit(data.x_train, data.y_train, epochs=150, batch_size=BATCH, verbose=0)
        console.print("[bold]2[/] quantized network, beta rising")
        model, history, front = train(data, work / "front")
        console.print("[bold]3[/] calibration and graph")
        total = trace_minmax(model, np.concatenate([data.x_train, data.x_val]))
        graph = hgq_keras.to_graph(model)
        scores = model.predict(data.x_test, verbose=0)
        differing = int(np.sum(scores != run(graph, data.x_test)))
        if differing or ebops(graph) != total:
            message = f"model and graph disagree: {differing} outputs, EBOPs {total} and {ebops(graph)}"
            raise VerificationError(message)
        console.print("[bold]4[/] Verilog, its simulation, and hls4ml's C simulation on the whole test set")
        design, outcomes = firmware(graph, data.x_test, work / "firmware")
        quality = accuracy(scores, data.y_test)
        chosen = (total, accuracy(model.predict(data.x_val, verbose=0), data.y_val))
        hgq_hw.front_figure(front, highlight=chosen).savefig(work / "front.png", dpi=150)
        hgq_hw.bitwidth_figure(graph).savefig(work / "bitwidths.png", dpi=150)
        hgq_hw.report(
            graph,
            work / "report.html",
            title="Handwritten digits",
            history=history,
            verification=outcomes,
            design=design,
            front=front,
            highlight=chosen,
        )
        model.save(work / "model.keras")
        save(graph, work / "graph.hgq.npz")
        if output.exists():
            shutil.rmtree(output)
        shutil.copytree(work, output)
    except HGQError as error:
        console.print(f"[bold red]failed[/] {error}", highlight=False)
        return 1
    finally:
        scratch.cleanup()
    rows = [
        ("float accuracy, test", f"{accuracy(plain.predict(data.x_test, verbose=0), data.y_test):.4f}"),
        ("quantized accuracy, test", f"{quality:.4f}"),
        ("EBOPs", f"{total:,.0f}"),
        ("da4ml cost (LUT estimate)", f"{design.cost:,.0f}"),
        ("latency", f"{design.latency} clock cycles"),
        *((f"mismatches, {o.level}", f"{o.mismatches} of {o.compared:,}") for o in outcomes),
    ]
    console.print(summary(rows))
    for outcome in outcomes:
        console.print(f"{outcome.level}: mismatches {outcome.mismatches}", highlight=False)
    console.print(f"{time.perf_counter() - start:.0f} s; results in {output}/: open report.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
