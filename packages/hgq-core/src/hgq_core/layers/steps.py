"""The steps of a program, and the slots that it has variables for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hgq_core.graph.ops import Operation, Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "Applied",
    "Computed",
    "Drawn",
    "Dropped",
    "Feed",
    "Known",
    "Masked",
    "Nested",
    "Observed",
    "Quantized",
    "QuantizerSlot",
    "Scanned",
    "Statistics",
    "Step",
    "StepKind",
    "Stored",
    "Surrogate",
    "Table",
    "WeightSlot",
    "attribute_of",
]


# --- slots: what a layer has variables for ---


@dataclass(frozen=True, slots=True)
class QuantizerSlot:
    """A quantizer of a layer, before it has widths.

    Attributes:
        shape: of its tensors, without the batch axis for data.
        place: ``"weight"``, ``"bias"``, ``"table"`` or ``"datalane"``; gives the default specification.
        constant: whether it quantizes a weight, which has no batch axis.
        overrides: parameters of the default specification that this slot has otherwise, its granularity above all.
    """

    shape: Shape
    place: str
    constant: bool
    overrides: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WeightSlot:
    """A weight of a layer, before it has numbers.

    Attributes:
        shape: as the declaration sees it; a framework may store it permuted.
        start: ``"kernel"``, ``"edge"`` (a kernel in its last two axes for each index of the others), ``"zeros"`` or
            ``"ones"``: how it begins, if nobody says otherwise.
        trainable: False for statistics.
    """

    shape: Shape
    start: str
    trainable: bool = True


def attribute_of(slot: str) -> str:
    """The attribute of a layer that holds what belongs to a slot, in every front end.

    >>> attribute_of("exp/iq"), attribute_of("encoder.0/kernel")
    ('exp_iq', 'encoder_0_kernel')
    """
    return slot.replace("/", "_").replace(".", "_")


# --- steps ---


@dataclass(frozen=True, slots=True)
class Feed:
    """An input of the layer."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A weight as it is stored, not quantized yet, without a batch axis."""

    slot: str


@dataclass(frozen=True, slots=True)
class Statistics:
    """Mean and variance of data over ``axes``, as a pair; at inference the moving averages of those seen in training.

    Attributes:
        mean: slot of the moving average of the mean.
        variance: slot of that of the variance.
        axes: over which they are taken; the batch axis is 0 here.
    """

    mean: str
    variance: str
    axes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Computed:
    """Numbers computed from weights before they are quantized; ``function(ops, *values)`` uses the verbs of `Ops`."""

    function: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Quantized:
    """Numbers in the formats of a slot.

    Attributes:
        slot: of the quantizer.
        name: that of the constant in the Graph, of a weight.
        rows: how many axes behind the batch axis share their widths and are rows of the batch to the quantizer, as the
            steps of a sequence are.
        again: whether the slot quantizes other data in the same call, with which these are one batch: no range decays.
    """

    slot: str
    name: str = ""
    rows: int = 0
    again: bool = False


@dataclass(frozen=True, slots=True)
class Known:
    """Data that are in the formats of a slot already; in the Graph a quantizer that changes nothing."""

    slot: str


@dataclass(frozen=True, slots=True)
class Surrogate:
    """An operation whose derivative is that of ``function(ops, *operands)`` in training, since its own is 0.

    Attributes:
        operation: of the Graph, exact.
        function: a smooth one of the same operands.
    """

    operation: Operation
    function: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Table:
    """A function of one number, ``function(ops, x, *weights)``, quantized by the slot: a table in hardware.

    Its first operand is quantized data; weights that follow broadcast to it from its last axes, so that each element
    has a function of its own.

    Attributes:
        slot: of the quantizer of its output.
        function: element by element; with an attribute ``each`` that is true, elements have functions of their own
            without weights too.
        table_idxs: those of `hgq_core.graph.ops.Lookup`.
    """

    slot: str
    function: Any
    table_idxs: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """What `Statistics` alone read, ``function(ops, x, *weights)``; the Graph has a node of it in a table only."""

    function: Any


@dataclass(frozen=True, slots=True)
class Applied:
    """A function, ``function(ops, x)``, that keeps the shape and has no node of the Graph: trained and not exported."""

    function: Any


@dataclass(frozen=True, slots=True)
class Dropped:
    """In training each number is 0 with probability ``rate``, else divided by ``1 - rate``; afterwards it is itself.

    Attributes:
        rate: the probability.
        rows: axes behind the batch axis along which all or none is dropped.
    """

    rate: float
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Drawn:
    """The factors of dropout in a loop, which all steps share: drawn before it, for a batch as that of its operand."""

    rate: float


@dataclass(frozen=True, slots=True)
class Masked:
    """The first operand times the second, which is `Drawn`; itself where nothing is dropped."""


@dataclass(frozen=True, slots=True, eq=False)
class Nested:
    """Another layer with slots of its own, which it counts itself.

    Attributes:
        name: its place inside this one, such as ``"others/0"``.
        layer: a layer of the same framework.
    """

    name: str
    layer: Any


@dataclass(frozen=True, slots=True, eq=False)
class Scanned:
    """A loop over the first axis of a sequence; its operands are the sequence, the states, and what all steps share.

    Attributes:
        body: the `hgq_core.layers.Program` of one step; it takes an item of the sequence, the states, and what all
            steps share; it gives its output and the next states.
        steps: how often it runs.
        reverse: from the last item to the first; results stay at the place of their items.
    """

    body: Any
    steps: int
    reverse: bool


StepKind = (
    Feed
    | Stored
    | Statistics
    | Computed
    | Quantized
    | Table
    | Observed
    | Applied
    | Surrogate
    | Known
    | Dropped
    | Drawn
    | Masked
    | Nested
    | Scanned
    | Operation
)


@dataclass(frozen=True, slots=True)
class Step:
    """One step and where it belongs.

    Attributes:
        kind: what it does.
        args: numbers of the steps that it reads.
        shape: of its result, without the batch axis for data.
        constant: whether the result has no batch axis.
        share: part of the instances that is built in hardware; factor of its EBOPs.
        label: place inside of the layer, such as ``"query"``; empty for the layer itself.
        composite: the group that it belongs to in the Graph, such as ``"softmax"``.
        name: of its node beside the label, such as ``"scale"``; empty: after its kind.
        in_loop: whether it is a constant of a loop, computed once before it and a node of its body in the Graph.
    """

    kind: StepKind
    args: tuple[int, ...]
    shape: Shape
    constant: bool
    share: float
    label: str
    composite: str
    name: str = ""
    in_loop: bool = False
