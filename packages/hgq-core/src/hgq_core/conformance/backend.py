"""What an implementation offers to the suite: `Backend`, its `Quantizer` and `Model`, NumPy arrays on both sides.

An adapter is thin. It builds the implementation's own objects, calls them the way that users do, and converts arrays;
it computes nothing itself, since whatever it computed would be judged in place of the implementation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from hgq_core.formats import Formats
from hgq_core.graph import Graph
from hgq_core.modes import Overflow, Round
from hgq_core.quantizer.mode import Mode
from hgq_core.spec import Spec

__all__ = [
    "AT_EDGES",
    "FEATURES",
    "LAYER_KINDS",
    "LOOPS",
    "Backend",
    "Gradients",
    "Layer",
    "Mode",
    "Model",
    "Quantizer",
]

Array = NDArray[Any]

FEATURES = (
    "numbers",
    "gradients",
    "widths",
    "frozen",
    "transforms",
    "granularity",
    "minifloat",
    "layers",
    "ebops",
    "cost_gradients",
    "graph",
    "saving",
    "training",
    "calibration",
)
"""The groups of cases. A backend offers a group, or gives the reason why not in `Backend.missing`."""

LAYER_KINDS = (
    "dense",
    "einsum_dense",
    *(f"conv{rank}d" for rank in (1, 2, 3)),
    "batch_norm",
    "max_pool2d",
    "average_pool2d",
    "add",
    "unary_lut",
    "softmax",
    "nested",
    "flatten",
    "subtract",
    "multiply",
    "maximum",
    "minimum",
    "average_pow2",
    "concatenate",
    "dot",
    "einsum",
    "sum",
    "mean_pow2",
    "attention",
    "linformer",
    "activation",
    *(f"{kind}_pool{rank}d" for kind in ("max", "average") for rank in (1, 3)),
    *(f"global_{kind}_pool{rank}d" for kind in ("max", "average") for rank in (1, 2, 3)),
    "layer_norm",
    "rms_norm",
    "einsum_dense_norm",
    "norm_dense",
    *(f"conv{rank}d_norm" for rank in (1, 2, 3)),
    *(f"{kind}{rank}d" for kind in ("depthwise", "separable") for rank in (1, 2)),
    *(f"transposed{rank}d" for rank in (1, 2, 3)),
    "table_dense",
    "table_einsum",
    "table_conv1d",
    "table_conv2d",
    "table_attention",
    "table_linformer",
    "simple_rnn",
    "gru",
    "lstm",
    "snn",
    "lif",
)
"""The layers that the suite knows how to expect; see `Layer` for their options."""

LOOPS = ("simple_rnn", "gru", "lstm", "snn", "lif")
"""Kinds that step through a sequence."""
AT_EDGES = ("table_dense", "table_einsum", "table_conv1d", "table_conv2d", *LOOPS)
"""Kinds whose ``iq`` stands inside: where data have been brought to tables, or in the cell of a loop."""


@dataclass(frozen=True, slots=True)
class Gradients:
    """What one training-mode forward and backward pass of a quantizer gave.

    Attributes:
        xq: the output, of the shape of x.
        dx: gradient to x.
        widths: gradients to the stored widths by name (``i, f`` or ``b, i`` or ``m, e, e0``), each of the shape of the
            width tensor; None or absent where the framework says that there is no gradient.
    """

    xq: Array
    dx: Array
    widths: Mapping[str, Array | None]


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of a model, in words that no framework owns.

    Every kind takes the quantizers ``iq`` and optionally ``oq`` (absent: none), and the options ``activation`` (absent:
    none; else a name or the numbers of `hgq_core.layers.rectifier`, of layers with a kernel) and
    ``parallelization_factor`` (absent: -1). Data is channels-last, shapes are without the batch axis.

    | kind | options | weights |
    |---|---|---|
    | dense | units | kernel ``(in, units)``, bias ``(units,)`` |
    | einsum_dense | equation, output_shape, bias_axes | as `keras.layers.EinsumDense` |
    | conv1d, conv2d, conv3d | filters, kernel_size, strides, padding, dilation_rate, groups | as of Keras |
    | depthwise1d, depthwise2d | kernel_size, depth_multiplier, and as conv2d; data_format | as of Keras |
    | separable1d, separable2d | filters, and as depthwise2d; ``dkq, piq, pkq`` | as of Keras |
    | transposed1d, transposed2d, transposed3d | filters, output_padding, and as depthwise2d | as of Keras |
    | batch_norm | epsilon | gamma, beta, moving_mean, moving_variance |
    | max_pool2d, average_pool2d, and over 1 and 3 axes | pool_size, strides, padding | |
    | global_max_pool1d, global_average_pool1d, and over 2 and 3 axes | keepdims | |
    | einsum_dense_norm, conv1d_norm, and over 2 and 3 axes | as without norm, and epsilon, center | kernel, norm |
    | norm_dense, a norm before a dense layer | units, epsilon | kernel, bias, norm without bn_beta |
    | add | (two inputs or more; ``iq`` serves all) | |
    | unary_lut | function: ``"tanh"`` or ``"sigmoid"``; needs ``oq`` | none, or scale and bias inside, (1,) each |
    | softmax | axes (batch left out), stable, input_scaler, mask; needs ``exp/iq, exp/oq, inv/iq, inv/oq`` | |
    | attention | heads, key_dim, value_dim, attention_axes (batch left out), fuse, stable, mask, causal | see below |
    | table_dense | units, n_hl, d_hl, batch_norm, table_idxs; needs ``iq, toq``, both at the edges | see below |
    | table_einsum | equation, output_shape, bias_axes, and as table_dense | see below |
    | table_conv1d, table_conv2d | those of conv1d, and as table_dense without units | see below |
    | linformer | as attention without mask; positions, shared | ``key_proj/kernel``, of the value, or of ``kv_proj`` |
    | table_attention, table_linformer | as attention and table_dense; maps: ``"kernel"`` or absent | see below |
    | simple_rnn, gru, lstm | units, return_sequences, go_backwards; gru: reset_after; see below | see below |
    | snn, lif | units, grades, inhibition, reset_mechanism, detach_reset; as simple_rnn | level, leak (lif), grade |
    | layer_norm, rms_norm | axes (batch left out), epsilon; see below | ln_gamma, ln_beta |
    | nested | parts: layers in a row inside of one layer, each with slots of its own | |
    | activation, flatten | function of activation, as the option of that name (no quantizers) | |
    | subtract | (two inputs) | |
    | multiply, maximum, minimum, average_pow2 | (two inputs or more) | |
    | concatenate | axis, batch left out | |
    | dot | axes, one of each input, batch left out; of two vectors the result is ``(batch, 1)`` | |
    | einsum | equation, with the batch axis, of two inputs | |
    | sum, mean_pow2 | axes, batch left out; keepdims; of sum: scale | |

    Norms of an example need ``nq, inv/iq, inv/oq``, and layer_norm ``mq, cq`` and ``bq`` too.

    A folded norm has ``bn_gamma, bn_beta, moving_mean, moving_variance`` along the axes of the bias, of the inputs in
    norm_dense.

    Inputs of attention are query, value, key. Its weights are ``query/kernel`` (features, heads, key_dim), those of key
    and value likewise, ``output/kernel`` (heads, value_dim, features), and a ``bias`` of each but the key.

    Edges have the axes of rows, which a kernel would not have, then the others of the output, then those summed over.
    Weights of tables have these axes, 1 for rows, and then ``kernel_n`` (inputs, outputs) and ``bias_n`` (outputs) of
    the n-th layer; ``bn_gamma, bn_beta`` those of the edges, ``moving_mean, moving_variance`` the same without rows.
    Edges of a convolution are ``(*positions, filters, *window, channels)``, with the groups before the filters if there
    are several. Projections of attention have these slots under ``query/`` and so on; a shared map reads value and key
    side by side.

    Recurrent layers have the weights ``kernel, recurrent_kernel, bias``, gru also ``recurrent_bias``, with the gates
    side by side, and the slots ``iq, kq, rkq, bq, paq``, ``sq`` of the state (absent: it has the formats of the
    output), ``praq`` of the gates, ``rhq, rbq, rckq`` of gru, ``csq, caq`` of lstm, ``paq_oq, caq_oq`` where the
    activation is a table.

    Spiking layers have weights of one element with the slots ``thq, lkq, grq``, and ``iq, sq`` of data and membrane.

    ``kq`` quantizes the kernel and the scale of batch_norm, ``bq`` the bias and its offset. A layer without ``bias``
    among its weights has none. Options that are absent have Keras' defaults.

    Attributes:
        kind: one of `LAYER_KINDS`.
        options: as in the table.
        quantizers: specifications by slot: ``iq, kq, bq, oq``, ``exp/iq``.
        weights: float32 arrays by name.
        widths: stored widths to assign to the built quantizers: ``{"kq": {"b": ..., "i": ...}}``; each
            broadcasts to the width tensor.
        inputs: positions of the layers whose results it takes, ``-1 - n`` for the n-th input of the model; None: the
            layer before it, or the inputs of the model. See `hgq_core.conformance.wiring`.
        again: position of the layer that is applied here a second time; what else is said here is that of the first.
        defaults: slots that nothing is given for, so that they have the defaults of the scope.
    """

    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    quantizers: Mapping[str, Spec] = field(default_factory=dict)
    weights: Mapping[str, Array] = field(default_factory=dict)
    widths: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    inputs: tuple[int, ...] | None = None
    again: int | None = None
    defaults: tuple[str, ...] = ()


class Quantizer(ABC):
    """One quantizer with its variables."""

    @abstractmethod
    def forward(self, x: Array, mode: Mode) -> Array:
        """The quantized x; TRAIN and CALIBRATE update the stored widths as the specification says."""

    @abstractmethod
    def gradients(self, x: Array, g: Array) -> Gradients:
        """Gradients of ``sum(g * q(x))`` in TRAIN mode, by the framework's autodiff, without regularisers."""

    @abstractmethod
    def widths(self) -> dict[str, Array]:
        """What is stored, of the width tensor's shape: ``k, i, f`` (kif), ``k, b, i`` (kbi), ``m, e, e0`` (float)."""

    @abstractmethod
    def assign(self, widths: Mapping[str, Any]) -> None:
        """Store these, each broadcast to the width tensor; names that are absent stay as they are."""

    @abstractmethod
    def formats(self) -> Formats:
        """The formats of fixed point at inference, broadcastable to x; blocks are repeated."""

    @abstractmethod
    def bits(self) -> Array:
        """The widths that EBOPs counts, broadcastable to x."""


class Model(ABC):
    """A built model: a graph of layers, see `hgq_core.conformance.wiring`."""

    @abstractmethod
    def forward(self, *inputs: Array, mode: Mode = Mode.INFER) -> Array:
        """The output for inputs ``(batch, *shape)``. CALIBRATE is one batch, without a reset before it."""

    @abstractmethod
    def calibrate(self, *inputs: Array, batch_size: int | None = None) -> None:
        """Calibration from a fresh start, as users do it (``trace_minmax``, ``hgq_torch.calibrate``).

        The rows in batches of this size, in order; all at once if None.
        """

    @abstractmethod
    def ebops(self) -> float:
        """EBOPs of the whole model, as the implementation reports them to its users."""

    @abstractmethod
    def cost_gradients(self, *inputs: Array) -> Mapping[tuple[int, str], Mapping[str, Array]]:
        """Derivatives of the EBOPs term of the loss at beta 1, by autodiff of a training step on these inputs.

        By layer and quantizer (``(0, "kq")``), then by trained width (``b``), each of the width tensor's shape.
        """

    @abstractmethod
    def to_graph(self) -> Graph:
        """The model as a Graph."""

    @abstractmethod
    def quantizer(self, layer: int, name: str) -> Quantizer:
        """A quantizer of the layer at this position, by its slot; ``iq`` is that of the first input."""

    @abstractmethod
    def save_and_load(self, folder: Path, save_format: str) -> Model:
        """Written into the folder and read back, the way users do; ``save_format`` is one of `Backend.save_formats`."""

    @abstractmethod
    def train(
        self, x: Array | Sequence[Array], y: Array, *, steps: int, learning_rate: float, beta: float
    ) -> Sequence[float]:
        """Full-batch Adam on ``mean((model(x) - y)**2) + beta * EBOPs + regularisers``; the mean of each step."""


class Backend(ABC):
    """An implementation under test; an entry point of the group ``hgq.backends`` names a subclass.

    Args:
        name: the entry point's name, so that one class can serve several.

    Attributes:
        name: the entry point's name.
        version: version of the implementation, with that of its framework.
        environment: settings that change results, for the report's header: devices, environment variables.
        missing: groups of `FEATURES` that are not offered, each with the reason; they are counted as not applicable.
        missing_kinds: kinds of `LAYER_KINDS` that are not offered, each with the reason.
        save_formats: what `Model.save_and_load` takes, e.g. ``("keras", "h5", "weights.h5")``.
    """

    version: str
    environment: Mapping[str, str] = {}
    missing: Mapping[str, str] = {}
    missing_kinds: Mapping[str, str] = {}
    save_formats: tuple[str, ...] = ()

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def quantize(
        self, x: Array, k: Array, i: Array, f: Array, *, round_mode: Round, overflow_mode: Overflow, wrap: bool = True
    ) -> Array:
        """Each element of the float32 array x in its own format; ``wrap=False`` only rounds under WRAP.

        ``k, i, f`` are whole numbers that broadcast to x. This is the bare function, without variables.
        """

    @abstractmethod
    def quantizer(
        self,
        spec: Spec,
        shape: tuple[int | None, ...],
        *,
        scaler: float | None = None,
        affine: tuple[float, float] | None = None,
        qnoise_factor: float | None = None,
    ) -> Quantizer:
        """A quantizer for tensors of this shape; data has the batch axis first, of size None.

        ``scaler``, ``affine`` and ``qnoise_factor`` are what surrounds it, as users give them.
        """

    @abstractmethod
    def model(self, layers: Sequence[Layer], input_shape: tuple[int, ...]) -> Model:
        """A model of these layers, built, weights and widths assigned; each of its inputs is of ``input_shape``."""
