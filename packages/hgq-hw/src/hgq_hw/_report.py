"""One self-contained HTML page about a graph: what it costs, where its bits are, what was proved and verified."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from html import escape
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from hgq_core import __version__ as core_version
from hgq_core.cost import ebops, ebops_by_label
from hgq_core.errors import ConfigError, FileError
from hgq_core.graph import prove
from hgq_core.graph.ops import Constant, Contract, Convolve, Input
from hgq_hw._files import new_file
from hgq_hw._models import require_graph
from hgq_hw._verify import Verification
from hgq_hw._warn import CALIBRATE, uncalibrated_problem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from hgq_core.graph import Graph, Proof

__all__ = ["check_page", "report"]

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: #1c2430; background: #f6f7f9;
margin: 0; } main { max-width: 1060px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 26px; margin: 0 0 2px; } h2 { font-size: 18px; margin: 0 0 12px; }
.sub { color: #5b6470; margin: 0 0 24px; }
section { background: #fff; border: 1px solid #e3e5e8; border-radius: 8px; padding: 20px 24px; margin: 0 0 18px;
overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 5px 14px 5px 0; border-bottom: 1px solid #eef0f2; vertical-align: top; }
th { color: #5b6470; font-weight: 600; font-size: 13px; } td.n, th.n { text-align: right; }
.ok { color: #15803d; font-weight: 600; } .open { color: #b45309; font-weight: 600; }
.warning { background: #fef2f2; border: 2px solid #b91c1c; border-radius: 8px; color: #7f1d1d; font-weight: 600;
padding: 12px 24px; margin: 0 0 18px; }
.bar { display: inline-block; height: 9px; background: #2563a8; border-radius: 2px; vertical-align: middle; }
img { max-width: 100%; height: auto; }
"""


@runtime_checkable
class _Costs(Protocol):
    """A lowered design, as far as a report reads it."""

    @property
    def cost(self) -> float:
        """Estimated LUTs."""

    @property
    def latency(self) -> int:
        """Clock cycles."""


def report(
    graph: Graph,
    path: str | PathLike[str],
    *,
    title: str = "HGQ report",
    history: Mapping[str, Sequence[float]] | None = None,
    verification: Verification | Iterable[Verification] | None = None,
    design: _Costs | None = None,
    front: Iterable[Any] | None = None,
    highlight: tuple[float, float] | None = None,
) -> Path:
    """Write an HTML page with tables and pictures, all embedded.

    Args:
        graph: what to report on.
        path: name of the HTML file; it appears only when it is complete.
        title: heading.
        history: training curves by name, one value per epoch, such as ``model.fit(...).history``.
        verification: outcomes of `hgq_hw.verify`.
        design: a lowered design, for its cost and latency.
        front: points of a front, see `hgq_hw.front_figure`.
        highlight: the ``(ebops, quality)`` of this graph, to be marked on the front.

    Returns:
        The path written.

    Raises:
        ConfigError: a name that is not one of an HTML file; no Graph, no design, no outcome of `verify`.
        FileError: the file cannot be written.
    """
    check_page(path)
    require_graph(graph, "report")
    outcomes = _listed(verification)
    given: object = design
    if given is not None and not isinstance(given, _Costs):
        message = f"report: received a {type(given).__name__} as the design, expected what da4ml.lower gave"
        raise ConfigError(message)
    from hgq_hw import _figures as figures  # matplotlib is slow to import

    proof = prove(graph)
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="sub">{len(graph)} nodes, written by hgq-hw with hgq-core {escape(core_version)}</p>',
        *_warnings(graph),
        _section("Summary", _summary(graph, proof, design, outcomes)),
        _section("Layers", _layers(graph, proof, figures.bit_maps(graph))),
        _section("EBOPs by layer", _image(figures.ebops_figure(graph), "EBOPs of each layer")),
    ]
    if figures.bit_maps(graph):
        body.append(_section("Bit-widths", _image(figures.bitwidth_figure(graph), "heat maps of bit-widths")))
    if front is not None:
        body.append(
            _section("Front", _image(figures.front_figure(front, highlight=highlight), "quality against EBOPs"))
        )
    if history:
        body.append(_section("Training", _image(figures.history_figure(history), "training curves")))
    body.append(_section("Proved and open", _findings(proof)))
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body><main>{''.join(body)}</main></body></html>\n"
    )
    with new_file(Path(path)) as fresh:
        fresh.write_text(page, encoding="utf-8")
    return Path(path)


def _warnings(graph: Graph) -> list[str]:
    """What makes the hardware larger than it need be, above everything else."""
    problem = uncalibrated_problem(graph)
    return [f'<p class="warning" role="alert">{escape(problem)}; {escape(CALIBRATE)}.</p>'] if problem else []


def check_page(path: str | PathLike[str]) -> None:
    """Raise ConfigError for a name that is not one of an HTML file, FileError for a folder."""
    given: object = path
    if isinstance(given, str | PathLike) and Path(given).is_dir():
        message = f"output: {str(given)!r} is a folder; expected the name of a file that ends in '.html'"
        raise FileError(message)
    if not isinstance(given, str | PathLike) or Path(given).suffix.lower() not in (".html", ".htm"):
        message = f"output: received {str(given)!r}, expected a name that ends in '.html'"
        raise ConfigError(message)


def _listed(verification: Verification | Iterable[Verification] | None) -> list[Verification]:
    if verification is None:
        return []
    listed: list[object] = [verification] if isinstance(verification, Verification) else [*_items(verification)]
    for outcome in listed:
        if not isinstance(outcome, Verification):
            message = f"report: received a {type(outcome).__name__} as verification, expected what verify gave"
            raise ConfigError(message)
    return [outcome for outcome in listed if isinstance(outcome, Verification)]


def _items(verification: object) -> Iterable[object]:
    return verification if isinstance(verification, Iterable) else [verification]


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>\n"


def _image(figure: Figure, alternative: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=144, metadata={"Software": None})
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f'<img alt="{escape(alternative)}" src="data:image/png;base64,{data}">'


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, text: int = 1) -> str:
    """A table whose first ``text`` columns hold words and whose others hold numbers."""

    def line(cells: Sequence[str], tag: str) -> str:
        parts = [f"<{tag}{' class=n' if n >= text else ''}>{cell}</{tag}>" for n, cell in enumerate(cells)]
        return f"<tr>{''.join(parts)}</tr>"

    return f"<table>{line(head, 'th') if head else ''}{''.join(line(row, 'td') for row in rows)}</table>"


def _summary(graph: Graph, proof: Proof, design: _Costs | None, outcomes: Sequence[Verification]) -> str:
    weights = [node for node in graph if _is_kernel(graph, node.name)]
    count = sum(int(np.prod(node.shape)) for node in weights)
    dead = sum(int(np.sum(node.op.integers == 0)) for node in weights if isinstance(node.op, Constant))
    wraps = list(proof.overflow.values())
    float32 = (
        '<span class="ok">exact</span>' if proof.float32_exact else '<span class="open">not exact, integers are</span>'
    )
    rows = [
        ("inputs", ", ".join(f"{escape(n.name)} {_shape(n.shape)}" for n in graph.inputs)),
        ("outputs", ", ".join(f"{escape(name)} {_shape(graph[name].shape)}" for name in graph.outputs)),
        ("EBOPs", f"{ebops(graph):,.0f}"),
        ("weights", f"{count:,}" + (f", {dead / count:.1%} of them 0" if count else "")),
        ("float32 arithmetic", float32),
        ("WRAP quantizers proved never to wrap", f"{wraps.count('proved')} of {len(wraps)}"),
    ]
    if design is not None:
        rows.append(("da4ml cost, about LUTs", f"{design.cost:,.0f}"))
        cycles = f"{design.latency} clock cycles, one input per cycle" if design.latency else "combinational"
        rows.append(("latency", cycles))
        if registers := getattr(design, "reg_bits", 0):
            rows.append(("pipeline registers", f"{registers:,} bits"))
    rows += [
        (
            f"verified: {escape(outcome.level)}",
            _outcome(outcome),
        )
        for outcome in outcomes
    ]
    return _table((), rows, text=2)


def _outcome(outcome: Verification) -> str:
    compared = f"in {outcome.compared:,} numbers ({outcome.vectors:,} vectors)"
    return f'<span class="ok">mismatches {outcome.mismatches}</span> {compared}'


def _is_kernel(graph: Graph, name: str) -> bool:
    return isinstance(graph[name].op, Constant) and any(
        isinstance(reader.op, Contract | Convolve) for reader in graph.consumers(name)
    )


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) if shape else "scalar"


def _layers(graph: Graph, proof: Proof, maps: Sequence[Any]) -> str:
    """One row for each layer, in the user's names."""
    costs, total = ebops_by_label(graph), max(ebops(graph), 1e-12)
    labels = dict.fromkeys(node.label or node.name for node in graph if not isinstance(node.op, Input | Constant))
    rows = []
    for label in labels:
        nodes = [node for node in graph if (node.label or node.name) == label and not isinstance(node.op, Constant)]
        kernels = [m.bits for m in maps if m.layer == label and m.kind == "weights"]
        lanes = [m.bits for m in maps if m.layer == label and m.kind == "activations"]
        cost = costs.get(label, 0.0)
        share = f'<span class="bar" style="width:{90 * cost / total:.0f}px"></span> {cost / total:.0%}' if cost else ""
        widest = max((proof.bits.get(node.name, 0) for node in nodes), default=0)
        zero = [
            node.op.integers.ravel() == 0
            for node in graph
            if (node.label or node.name) == label and isinstance(node.op, Constant) and _is_kernel(graph, node.name)
        ]
        rows.append((
            escape(label),
            escape(", ".join(dict.fromkeys(type(node.op).__name__ for node in nodes))),
            _shape(nodes[-1].shape),
            f"{cost:,.0f}" if cost else "",
            share,
            _mean(kernels),
            f"{np.concatenate(zero).mean():.0%}" if zero else "",
            _mean(lanes),
            str(widest) if widest else "",
        ))  # fmt: skip
    head = (
        "layer", "operations", "output", "EBOPs", "share", "bits per weight", "weights 0", "bits per activation",
        "widest sum, bits",
    )  # fmt: skip
    return _table(head, rows, text=3)


def _mean(bits: Sequence[Any]) -> str:
    if not bits:
        return ""
    flat = np.concatenate([part.ravel() for part in bits])
    return f"{flat.mean():.2f}"


def _findings(proof: Proof) -> str:
    if not proof.findings:
        return '<p class="ok">No quantizer can wrap, and float32 computes every node exactly.</p>'
    rows = [
        (
            escape(finding.label or finding.node),
            "overflow" if finding.kind == "overflow" else "rounding",
            escape(finding.detail),
        )
        for finding in proof.findings
    ]
    return _table(("layer", "kind", "what"), rows, text=3)
