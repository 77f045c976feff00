"""What `print` shows of a graph: one short table, however large the graph is."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from hgq_core.graph.ops import Constant, Input, Lookup, Quantize

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hgq_core.formats import Formats
    from hgq_core.graph.ir import Graph, Node

__all__ = [
    "formats_in_words",
    "graph_as_html",
    "graph_as_line",
    "graph_as_text",
    "html_table",
    "shape_in_words",
    "short",
    "text_table",
]

_FIRST, _LAST = 30, 10
"""Rows shown of a long table, from its beginning and from its end."""

_WIDEST = 32
"""Characters shown of a name."""

_HEAD = ("node", "kind", "shape", "bits", "label")


def text_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Rows in aligned columns under a head; an empty head is left out.

    >>> print(text_table(("node", "shape"), [("x", "4"), ("dense", "2×3")]))
    node   shape
    x      4
    dense  2×3
    """
    lines = [*([head] if any(head) else []), *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(cell.ljust(n) for cell, n in zip(line, widths, strict=True)).rstrip() for line in lines)


def html_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The same table for a notebook."""

    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag} style='text-align:left'>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = (line(head, "th") if any(head) else "") + "".join(line(row, "td") for row in rows)
    return f"<p>{escape(title)}</p><table>{body}</table>"


def graph_as_line(graph: Graph) -> str:
    """Number of nodes, inputs, outputs: the graph in one line."""
    entering = ", ".join(f"{short(node.name)} {shape_in_words(node.shape)}" for node in graph.inputs[:3])
    leaving = ", ".join(f"{short(name)} {shape_in_words(graph[name].shape)}" for name in graph.outputs[:3])
    more = ["", ", ..."]
    return (
        f"Graph of {len(graph)} node(s): {entering}{more[len(graph.inputs) > 3]} -> "
        f"{leaving}{more[len(graph.outputs) > 3]}"
    )


def graph_as_text(graph: Graph) -> str:
    """One row for each node; a long graph shows its first and its last nodes."""
    return "\n".join([_title(graph), text_table(_HEAD, _rows(graph))])


def graph_as_html(graph: Graph) -> str:
    """The same for a notebook."""
    return html_table(_title(graph), _HEAD, _rows(graph))


def _title(graph: Graph) -> str:
    title = graph_as_line(graph)
    if graph.uncalibrated:
        more = f" and {len(graph.uncalibrated) - 5} more" if len(graph.uncalibrated) > 5 else ""
        title += f"\nnever calibrated: {', '.join(map(short, graph.uncalibrated[:5]))}{more}"
    return title


def _rows(graph: Graph) -> list[tuple[str, ...]]:
    hidden = len(graph) - _FIRST - _LAST
    if hidden <= 1:
        return [_row(node) for node in graph]
    between = (f"... {hidden} more", "", "", "", "")
    return [*map(_row, graph.nodes[:_FIRST]), between, *map(_row, graph.nodes[-_LAST:])]


def _row(node: Node) -> tuple[str, ...]:
    return (short(node.name), type(node.op).__name__, shape_in_words(node.shape), _bits(node), short(node.label))


def _bits(node: Node) -> str:
    match node.op:
        case Quantize(formats=formats):
            return f"{formats_in_words(formats)} {node.op.round} {node.op.overflow}"
        case Input(formats=None):
            return "real"
        case Input(formats=formats) if formats is not None:
            return formats_in_words(formats)
        case Lookup(formats=formats):
            return formats_in_words(formats)
        case Constant(integers=integers):
            return f"{np.mean(integers == 0):.0%} zeros" if integers.size > 1 else f"{float(node.op.values.flat[0]):g}"
        case _:
            return ""


def formats_in_words(formats: Formats) -> str:
    """Sign, integer and fraction bits: one number where all elements agree, else lowest and highest."""
    return " ".join(
        f"{name}={_span(part)}" for name, part in zip("kif", (formats.k, formats.i, formats.f), strict=True)
    )


def _span(part: np.ndarray) -> str:
    if not part.size:
        return "-"
    low, high = int(part.min()), int(part.max())
    return str(low) if low == high else f"{low}..{high}"


def shape_in_words(shape: Sequence[int]) -> str:
    """Sizes without the batch axis, such as ``4×3``."""
    return "×".join(map(str, shape)) if shape else "()"


def short(name: str) -> str:
    """The name, without its middle if it is very long."""
    return name if len(name) <= _WIDEST else f"{name[: _WIDEST - 16]}...{name[-13:]}"
