"""`from_graph`: a Graph, whichever front end it is from, becomes a module that can be trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from hgq_core.graph.announce import warn_if_inexact
from hgq_core.graph.ops import Quantize
from hgq_core.graph.real import acts_on_real, real_tensors
from hgq_core.layers import FixedTable, attribute_of, between_entries, of_graph
from hgq_torch._inputs import input_names
from hgq_torch.nn._base import QModule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hgq_core.graph import Graph
    from hgq_core.layers import Declaration

__all__ = ["GraphModule", "from_graph"]

_BITS = {torch.float32: 24, torch.float64: 53}


class GraphModule(QModule):
    """A Graph as a module; see `from_graph`."""

    shapes_from_arguments: ClassVar[bool] = True

    def __init__(
        self, graph: Graph, *, share_equal: bool, beta0: float | None, device: Any, dtype: torch.dtype | None
    ) -> None:
        self._layer = of_graph(graph, _TAKEN, share_equal=share_equal)
        specs = {slot: recorded.spec for slot, recorded in self._layer.quantizers.items()}
        super().__init__(
            enable_iq=False, enable_oq=False, enable_ebops=False, beta0=beta0, quantizers=specs, device=device,
            dtype=dtype,
        )  # fmt: skip
        self.build(*self._layer.input_shapes)
        # What counts is said by the factors of the graph.
        self.enable_ebops = True
        for slot, recorded in self._layer.quantizers.items():
            name = attribute_of(slot)
            quantizer = getattr(self, name)
            quantizer.assign(**recorded.widths)
            # In the order of the graph, as `uncalibrated` names them.
            delattr(self, name)
            setattr(self, name, quantizer)
        self._mark_calibrated(graph)

    def _mark_calibrated(self, graph: Graph) -> None:
        weights = self.own_weights()
        for name, quantizer in self.own_quantizers().items():
            if self.part_of(name) not in graph.uncalibrated:
                quantizer.mark_calibrated(weights)

    @property
    def title(self) -> str:
        """The module in messages."""
        return "from_graph"

    @property
    def input_names(self) -> tuple[str, ...]:
        """Names of the inputs, by which they may be given."""
        return tuple(input_names(self._layer))

    def declaration(self) -> Declaration:
        """The graph."""
        return self._layer

    def part_of(self, quantizer: str) -> str:
        """The layer that a quantizer is of: one that the graph calls uncalibrated, or the label of its node."""
        label = next((label for slot, label in self._layer.labels.items() if attribute_of(slot) == quantizer), "")
        layers = self._layer.graph.uncalibrated
        return next((layer for layer in layers if label == layer or label.startswith(f"{layer}/")), label)

    def reset_parameters(self) -> None:
        """Give every weight the numbers that the graph has; widths stay."""
        with torch.no_grad():
            for slot, values in self._layer.weights.items():
                getattr(self, self.made.storage[slot].name).copy_(torch.from_numpy(np.array(values)))

    def results_of(self, returned: Any) -> Sequence[Any]:
        """The outputs of the graph."""
        return returned if isinstance(returned, tuple) else (returned,)

    def extra_repr(self) -> str:
        """The graph in one line."""
        return repr(self._layer.graph).strip("<>")


_TAKEN = frozenset(
    [
        *dir(GraphModule),
        *QModule.__annotations__,
        "training",
        "made",
        "enable_iq",
        "enable_oq",
        "enable_ebops",
        "_layer",
    ]
)
"""Attributes of the module itself."""


def from_graph(
    graph: Graph,
    *,
    share_equal: bool = False,
    beta0: float | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> GraphModule:
    """A module that computes, costs and exports what a Graph does, and can be trained.

    The graph may be from hgq-torch or hgq-keras, or from a file (`hgq_core.graph.load`). At once the module's output
    is ``run(graph, x)`` bit for bit, its EBOPs are those of the graph, and `to_graph` gives the same graph: outputs,
    EBOPs, labels, composites. It trains as every quantized layer does:

    * A Quantize node is a `Quantizer` with the recorded formats, a width for each element (but see ``share_equal``).
      Under WRAP its range follows the data in training.
    * A constant that counts bits was a weight or a bias. It is a parameter, with a quantizer of that many bits. A graph
      does not say where its binary point was; integer bits are those of the largest number of the tensor, fewer where
      the bits of an element leave no room. What counts no bits stays as it is.
    * A table keeps its entries, which do not say what function they are of. Its derivative is the finite difference to
      the next entry, between entries it is a straight line, and beyond its ends it is constant, so that the widths of
      its input can be trained. The widths of its output are trained too. So it is in softmax, norms and attention.
    * A comparison ``>`` or ``<`` has in training the derivative that a spike has by default, that of an arc tangent.
    * A layer that the model applied twice is two circuits in its graph. They have weights of their own here.

    Parameters are called as the nodes, ``dense_kernel`` for ``dense/kernel``, quantizers of weights ``dense_kernel_q``.
    A `state_dict` loads into a module of the same graph.

    Args:
        graph: what is trained further.
        share_equal: whether data have one width along each axis on which all recorded formats are equal, which then
            stay equal: for sets and sequences, whose positions shared their widths. A graph does not say what its
            model shared; without, training gives each position widths of its own.
        beta0: first factor of EBOPs in `ebops_loss`; None: that of the scope.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64. A `PrecisionWarning` says where float32 may round.

    Returns:
        One `hgq_torch.nn.QModule`, which takes the inputs of the graph in their order, ``(batch, *shape)``, or by name
        (``input_names``), and returns its output, or a tuple of several.

    Raises:
        ConfigError: something else than a Graph, or low precision.
        GraphError: a graph without inputs or outputs, or an output that is a constant.
        UnsupportedError: a node that no layer has, or formats that no trained quantizer holds, by the node's name.

    >>> from hgq_torch import from_graph, nn, to_graph
    >>> x = torch.randn(8, 4)
    >>> graph = to_graph(nn.QLinear(4, 2), x)
    >>> module = from_graph(graph)
    >>> [name for name, _ in module.named_parameters()][:2]
    ['kernel', 'bias']
    >>> to_graph(module, x) == graph
    True
    """
    module = GraphModule(graph, share_equal=share_equal, beta0=beta0, device=device, dtype=dtype)
    if not _is_without_values(graph):
        warn_if_inexact(graph, bits=_BITS[module.beta.dtype], stacklevel=2)
    return module


def _is_without_values(graph: Graph) -> bool:
    """Whether it computes with numbers that nothing has quantized, so that it has a cost and no exact values."""
    real = real_tensors(graph)
    reads_real = (node for node in graph if not real.isdisjoint(node.inputs) and not isinstance(node.op, Quantize))
    return any(not acts_on_real(node.op) for node in reads_real)


@between_entries.register
def _(x: Tensor, table: FixedTable) -> Tensor:
    start = torch.from_numpy(table.start).to(x.device)
    options: Any = {"device": x.device, "dtype": x.dtype}
    last, lowest, scale = (torch.from_numpy(part).to(**options) for part in (table.last, table.lowest, table.scale))
    entries = torch.from_numpy(table.entries).to(**options)
    place = (x * scale - lowest).clamp(min=0.0).clamp(max=last)
    # What a training that diverges computes is no place of a table.
    below = torch.minimum(place.detach().nan_to_num(0.0).floor(), (last - 1.0).clamp(min=0.0))
    number = start + below.long()
    first = entries[number]
    return first + (entries[number + (last > 0).long()] - first) * (place - below)
