"""Pictures of a graph and of a front, as matplotlib figures without any global state."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import BoundaryNorm, Colormap, ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

from hgq_core.cost import counted_bits, ebops_by_label
from hgq_core.errors import DataError
from hgq_core.graph.ops import Constant, Contract, Convolve, Input, Quantize
from hgq_core.modes import Overflow
from hgq_core.ops import NUMPY
from hgq_hw._models import require_graph

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from hgq_core.formats import Formats
    from hgq_core.graph import Graph

__all__ = ["BitMap", "bit_maps", "bitwidth_figure", "ebops_figure", "front_figure", "history_figure"]

BLUE, GREY, DEAD, RED = "#2563a8", "#5b6470", "#e3e5e8", "#c2410c"
_WIDEST = 96
"""Elements of a vector that are drawn in one row."""
_PAGE, _CELL = 7.6, 0.26
"""Inches: width of a picture at most, and of an element at most."""
_GAP = 0.74
"""Inches between two pictures, for titles and labels."""


@dataclass(frozen=True, slots=True)
class BitMap:
    """Widths of one tensor.

    Attributes:
        layer: the layer that it belongs to.
        kind: ``weights``, ``bias`` or ``activations``.
        bits: width of each element as EBOPs counts it; 0 where it is dead.
    """

    layer: str
    kind: str
    bits: NDArray[np.int64]


def bit_maps(graph: Graph) -> list[BitMap]:
    """Widths, as EBOPs counts them, of every tensor that a quantizer has given a width."""
    maps = []
    for node in graph:
        label = node.label or node.name
        match node.op:
            case Quantize(formats=formats, overflow=overflow):
                maps.append(BitMap(label, "activations", _counted(formats.broadcast_to(node.shape), overflow)))
            case Constant(bits=bits) if node.shape and bits is not None:
                readers = graph.consumers(node.name)
                kind = "weights" if any(isinstance(reader.op, Contract | Convolve) for reader in readers) else "bias"
                maps.append(BitMap(label, kind, np.array(np.broadcast_to(bits, node.shape))))
            case Input(formats=formats) if formats is not None:
                maps.append(BitMap(label, "activations", _counted(formats.broadcast_to(node.shape), Overflow.WRAP)))
    return maps


def _counted(formats: Formats, overflow: Overflow) -> NDArray[np.int64]:
    return np.asarray(counted_bits(NUMPY, formats.k, formats.i, formats.f, overflow), dtype=np.int64)


def _as_image(bits: NDArray[np.int64], kind: str) -> tuple[NDArray[np.int64], str, str]:
    """A tensor of any rank as a picture that is wider than high, and what its axes are."""
    image, xlabel, ylabel = _as_matrix(bits, kind)
    if image.shape[0] > image.shape[1]:
        return image.T, ylabel, xlabel
    return image, xlabel, ylabel


def _as_matrix(bits: NDArray[np.int64], kind: str) -> tuple[NDArray[np.int64], str, str]:
    if bits.ndim == 4:
        return bits.reshape(-1, bits.shape[-1]).T, "window × input channel", "output channel"
    if bits.ndim == 3 and kind == "activations":
        height, width, channels = bits.shape
        columns = "column" if channels == 1 else "channel × column"
        return bits.transpose(0, 2, 1).reshape(height, channels * width), columns, "row"
    if bits.ndim == 2 and kind == "weights":
        return bits.T, "input", "output"
    if bits.ndim > 1:
        return bits.reshape(-1, bits.shape[-1]), "last axis", "other axes"
    row = bits.reshape(1, -1)
    if row.size > _WIDEST:
        rows = ceil(row.size / _WIDEST)
        padded = np.full((rows * ceil(row.size / rows),), -1)
        padded[: row.size] = row[0]
        return padded.reshape(rows, -1), "element, row by row", ""
    return row, "element", ""


def _size(image: NDArray[np.int64]) -> tuple[float, float]:
    """Width and height of a picture in inches: square elements as far as the page allows."""
    rows, columns = image.shape
    cell = min(_CELL, _PAGE / columns)
    return cell * columns, min(max(cell * rows, 0.3), 3.0)


def _colours(highest: int) -> tuple[Colormap, BoundaryNorm]:
    """One colour per number of bits: grey for 0, then from light to dark; white where there is no element."""
    import matplotlib as mpl

    ramp = mpl.colormaps["viridis_r"](np.linspace(0.06, 1.0, max(highest, 1)))
    cmap = ListedColormap([mpl.colors.to_rgba(DEAD), *map(tuple, ramp)]).with_extremes(under="white")
    return cmap, BoundaryNorm(np.arange(-0.5, max(highest, 1) + 1.0), cmap.N)


def bitwidth_figure(graph: Graph) -> Figure:
    """Heat maps of the widths of every layer's weights and activations, in bits, on one scale.

    Args:
        graph: any graph with quantizers.

    Returns:
        A matplotlib Figure with an Agg canvas; ``figure.savefig("bits.png", dpi=150)`` writes it.
    """
    require_graph(graph, "bitwidth_figure")
    maps = bit_maps(graph)
    if not maps:
        message = "the graph has no quantizer and no quantized weights, so that there are no widths to draw"
        raise DataError(message)
    images = [_as_image(item.bits, item.kind) for item in maps]
    highest = max(int(item.bits.max(initial=0)) for item in maps)
    cmap, norm = _colours(highest)
    sizes = [_size(image) for image, _, _ in images]
    total = sum(height + _GAP for _, height in sizes) + 0.35
    width = _PAGE + 2.4
    figure = Figure(figsize=(width, max(total, 2.6)), layout=None)
    FigureCanvasAgg(figure)
    total = figure.get_figheight()
    top = total - 0.4
    for item, (image, xlabel, ylabel), (wide, high) in zip(maps, images, sizes, strict=True):
        axes = figure.add_axes((0.9 / width, (top - high) / total, wide / width, high / total))
        axes.imshow(image, cmap=cmap, norm=norm, aspect="auto", interpolation="nearest")
        figure.text(0.9 / width, (top + 0.07) / total, item.layer, fontsize=9, fontweight="bold")
        figure.text((0.9 + _PAGE) / width, (top + 0.07) / total, _caption(item), fontsize=8, color=GREY, ha="right")
        axes.set_xlabel(xlabel, fontsize=7, color=GREY, labelpad=1)
        axes.set_ylabel(ylabel, fontsize=7, color=GREY)
        axes.tick_params(labelsize=7, length=2, colors=GREY)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=max(1, min(12, int(wide * 3)))))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=max(1, min(5, int(high * 4)))))
        if image.shape[0] == 1 or not ylabel:
            axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set(color="#c9cdd2", linewidth=0.6)
        top -= high + _GAP
    bar_height = min(3.2, total - 0.8)
    bar = figure.add_axes(((_PAGE + 1.2) / width, 1 - (bar_height + 0.4) / total, 0.2 / width, bar_height / total))
    step = max(1, ceil(highest / 12))
    figure.colorbar(ScalarMappable(norm, cmap), cax=bar, ticks=list(range(0, highest + 1, step)))
    bar.tick_params(labelsize=8, length=2)
    bar.set_ylabel("width in bits, as EBOPs counts it (grey: 0)", fontsize=8)
    return figure


def _caption(item: BitMap) -> str:
    live = item.bits[item.bits > 0]
    dead = 1 - live.size / item.bits.size
    parts = [
        f"{item.kind} {_times(item.bits.shape)}",
        f"{item.bits.mean():.2f} bits on average" if live.size else "all dead",
    ]
    return ", ".join([*parts, *([f"{dead:.0%} of them 0"] if dead and live.size else [])])


def _times(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) if shape else "scalar"


def _axes(figure: Figure, xlabel: str, ylabel: str) -> Any:
    axes = figure.add_subplot()
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    axes.grid(visible=True, color="#e3e5e8", linewidth=0.7)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return axes


def ebops_figure(graph: Graph) -> Figure:
    """EBOPs of each layer, as bars."""
    costs = ebops_by_label(graph)
    figure = Figure(figsize=(8, 0.9 + 0.34 * max(len(costs), 1)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = _axes(figure, "EBOPs", "")
    axes.grid(visible=False, axis="y")
    names = [name or "(unnamed)" for name in costs]
    bars = axes.barh(range(len(names)), list(costs.values()), color=BLUE, height=0.68)
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    total = sum(costs.values())
    texts = [f"{value:,.0f}  ({value / total:.0%})" for value in costs.values()]
    axes.bar_label(bars, texts, padding=4, fontsize=8, color=GREY)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.margins(x=0.18)
    return figure


def front_figure(points: Iterable[Any], *, metric: str | None = None, highlight: Any = None) -> Figure:
    """A front of quality against EBOPs.

    Args:
        points: pairs ``(ebops, quality)``, mappings with the key ``ebops`` and one more, or the points of a
            `hgq_core.pareto.ParetoFront`.
        metric: name of the quality; taken from the points if None.
        highlight: one pair to mark, such as the model that was lowered.

    Returns:
        A matplotlib Figure with an Agg canvas.
    """
    pairs, name = _pairs(list(points))
    pairs.sort()
    figure = Figure(figsize=(7, 4.3), layout="constrained")
    FigureCanvasAgg(figure)
    axes = _axes(figure, "EBOPs", (metric or name).replace("_", " "))
    x, y = zip(*pairs, strict=True)
    axes.step(x, y, where="post", color=BLUE, linewidth=1.2, alpha=0.55)
    axes.plot(x, y, "o", color=BLUE, markersize=5, label=f"front, {len(pairs)} models" if len(pairs) > 1 else "model")
    if highlight is not None:
        axes.plot(
            *highlight,
            "o",
            markersize=10,
            markerfacecolor="none",
            markeredgewidth=1.8,
            color=RED,
            label="lowered, after calibration",
        )
    if min(x) > 0 and max(x) / min(x) > 8:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if max(x) / min(x) < 1000 else (1,)))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.margins(x=0.06, y=0.08)
    axes.legend(frameon=False, loc="lower right")
    return figure


def _pairs(points: Sequence[Any]) -> tuple[list[tuple[float, float]], str]:
    if not points:
        message = "a front without points cannot be drawn; add at least one (ebops, quality) pair"
        raise DataError(message)
    pairs, name = [], "quality"
    for point in points:
        metrics: Mapping[str, float] | None = getattr(point, "metrics", point if hasattr(point, "keys") else None)
        if metrics is None:
            ebops, quality = point
        else:
            name = next((key for key in metrics if key != "ebops"), "quality")
            ebops, quality = metrics["ebops"], metrics.get(name, float("nan"))
        pairs.append((float(ebops), float(quality)))
    if not np.all(np.isfinite(pairs)):
        message = "a front holds NaN or infinity; expected finite (ebops, quality) pairs"
        raise DataError(message)
    return pairs, name


def history_figure(history: Mapping[str, Sequence[float]]) -> Figure:
    """Training curves, one panel for each quantity, over epochs."""
    panels: dict[str, list[str]] = {}
    for name in history:
        panels.setdefault(name.removeprefix("val_"), []).append(name)
    figure = Figure(figsize=(8, 2.0 * max(len(panels), 1)), layout="constrained")
    FigureCanvasAgg(figure)
    for number, (quantity, names) in enumerate(panels.items(), start=1):
        axes = figure.add_subplot(len(panels), 1, number)
        for name in names:
            values = [float(value) for value in history[name]]
            validation = name.startswith("val_")
            axes.plot(
                range(1, len(values) + 1), values, color=RED if validation else BLUE, linewidth=1.3,
                label="validation" if validation else "training",
            )  # fmt: skip
        axes.set_ylabel("EBOPs" if quantity == "ebops" else quantity.replace("_", " "))
        axes.grid(visible=True, color="#e3e5e8", linewidth=0.7)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        if quantity == "ebops" and min(history[names[0]]) > 0:
            axes.set_yscale("log")
        if len(names) > 1:
            axes.legend(frameon=False, fontsize=8)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        if number == len(panels):
            axes.set_xlabel("epoch")
    return figure
