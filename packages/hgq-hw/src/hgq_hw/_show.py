"""What `print` shows of a design: what enters and leaves, what it costs, and which engine made it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hgq_core.graph import prove
from hgq_core.graph.ops import Input
from hgq_core.graph.show import formats_in_words, html_table, shape_in_words, short, text_table

if TYPE_CHECKING:
    from hgq_core.graph import Graph

__all__ = ["Rows", "as_html", "as_text", "port_rows"]

Rows = list[tuple[str, str]]
"""What, and its value."""

_SHOWN = 8
"""Ports shown of each side."""


def as_text(title: str, rows: Rows) -> str:
    """A title and aligned rows."""
    return f"{title}\n{text_table(('', ''), rows)}"


def as_html(title: str, rows: Rows) -> str:
    """The same for a notebook."""
    return html_table(title, ("", ""), rows)


def port_rows(hardware: Graph) -> Rows:
    """Inputs and outputs of the hardware with their formats, at most eight of each."""
    proved = prove(hardware).formats
    entering = [(node.name, node.op.formats if isinstance(node.op, Input) else None) for node in hardware.inputs]
    leaving = [(name, proved.get(name)) for name in hardware.outputs]
    rows: Rows = []
    for side, ports in (("input", entering), ("output", leaving)):
        for name, formats in ports[:_SHOWN]:
            bits = "" if formats is None else f", {formats_in_words(formats)}"
            rows.append((side, f"{short(name)} {shape_in_words(hardware[name].shape)}{bits}"))
        if len(ports) > _SHOWN:
            rows.append((side, f"... {len(ports) - _SHOWN} more"))
    return rows
