"""The layers of the conformance suite as modules: channels last outside, PyTorch's layouts inside."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from hgq_core.conformance.backend import AT_EDGES, LOOPS
from hgq_core.errors import UnsupportedError
from hgq_core.layers import attribute_of, rectifier
from hgq_core.spec import Dummy
from hgq_torch import _testing_convolutions as convolutions
from hgq_torch import nn as quantized

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from hgq_core.conformance.backend import Layer
    from hgq_core.layers import Declaration, GRUCell, Trace, Value
    from hgq_core.spec import Spec
    from hgq_torch._quantizer import Quantizer

    Array = NDArray[Any]
    Shape = tuple[int, ...]

__all__ = ["SuiteLayer", "turned"]

_FUNCTIONS: Mapping[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "sigmoid": torch.sigmoid}
_RECURRENT = ("simple_rnn", "gru", "lstm")
_NAMES: Mapping[str, str] = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean"} | {
    "moving_variance": "running_var",
}


def turned(x: Any, axes: Sequence[int] | None) -> Any:
    """An array of the suite with its axes in this order; numbers that broadcast stay."""
    array = np.asarray(x)
    return array if axes is None or array.ndim != len(axes) else np.transpose(array, axes)


def _turned_spec(spec: Spec, axes: Sequence[int] | None) -> Spec:
    """The specification for a tensor whose axes are in this order."""
    if axes is None or isinstance(spec, Dummy):
        return spec
    given: dict[str, Any] = {
        name: None if own is None else tuple(axes.index(axis % len(axes)) for axis in own)
        for name in ("homogeneous_axis", "heterogeneous_axis")
        for own in [getattr(spec, name)]
    }
    blocks = {axes.index(axis % len(axes)): size for axis, size in spec.blocks.items()}
    return dataclasses.replace(spec, **given, blocks=blocks)


def _is_channels_first(layer: Layer, shape: Shape) -> bool:
    """Whether PyTorch's layer has the channels before the positions."""
    if layer.kind in convolutions.MAKERS:
        return layer.options.get("data_format") != "channels_first"
    return len(shape) > 1 and ("conv" in layer.kind or "_pool" in layer.kind or layer.kind == "batch_norm")


class Row(quantized.QModule):
    """Layers in a row inside of one layer, each with slots of its own."""

    def __init__(self, parts: Sequence[nn.Module]) -> None:
        super().__init__(enable_iq=False, enable_oq=False)
        self.parts = nn.ModuleList(parts)

    def declaration(self) -> Declaration:
        """Each applied to the result of the one before."""

        def row(t: Trace, x: Value) -> Value:
            for number, part in enumerate(self.parts):
                x = t.call(f"parts/{number}", cast("quantized.QModule", part), x)
            return x

        return row


class SuiteLayer(nn.Module):
    """A layer of the suite: the module, between permutations where it has channels first.

    Args:
        layer: what the suite says.
        shapes: of its inputs, without batch axis, channels last.
        build: whether the module is told the shapes; else it learns them from a file.
    """

    def __init__(self, layer: Layer, shapes: Sequence[Shape], *, build: bool = True) -> None:
        super().__init__()
        shape = shapes[0]
        self.first = _is_channels_first(layer, shape)
        self.relu = layer.kind == "add" and layer.options.get("activation") == "relu"
        # Attention takes query, value, key in the suite, and query, key, value in PyTorch.
        self.swapped = layer.kind.endswith(("attention", "linformer"))
        rank = len(shape) + 1
        self.data_axes = (0, rank - 1, *range(1, rank - 1)) if self.first else None
        self.back = (0, *range(2, rank), 1)
        window = len(shape) - 1
        self.kernel_axes: tuple[int, ...] | None = convolutions.kernel_axes(layer, window)
        if layer.kind.startswith("conv"):
            self.kernel_axes = (window + 1, window, *range(window))
        elif layer.kind in ("dense", "norm_dense", *_RECURRENT):
            self.kernel_axes = (1, 0)
        self.backwards = bool(layer.options.get("go_backwards"))
        self.last = layer.kind in LOOPS and not layer.options.get("return_sequences")
        self.folded = "norm" in layer.kind
        self.at_edges = layer.kind in AT_EDGES
        self.turned_state = "rckq" not in layer.quantizers
        self.flat = layer.kind.startswith("global") and not layer.options.get("keepdims")
        self.module = self._made(layer, shape)
        if isinstance(self.module, quantized.QModule):
            if build:
                moved = (
                    [tuple(np.zeros((1, *s)).transpose(self.data_axes).shape[1:]) for s in shapes]
                    if self.first
                    else shapes
                )
                self.module.build(*moved)
            self._assign(layer)

    def forward(self, *xs: Tensor) -> Tensor:
        """The output, channels last."""
        if self.data_axes is not None:
            xs = tuple(x.permute(self.data_axes) for x in xs)
        if self.swapped and len(xs) == 3:
            xs = (xs[0], xs[2], xs[1])
        if self.backwards:
            xs = tuple(x.flip(1) for x in xs)
        y = self.module(*xs)
        if isinstance(y, tuple):
            y = y[0][:, -1] if self.last else y[0]
        y = y.permute(self.back) if self.first else y
        y = y.flatten(1) if self.flat else y
        return torch.relu(y) if self.relu else y

    def axes_of(self, slot: str) -> Sequence[int] | None:
        """The axis of the suite at each place of the tensor that a quantizer sees."""
        if slot == "rkq":
            return self.kernel_axes if self.turned_state else None
        if slot == "kq":
            # A folded kernel is computed in the layout of the declaration.
            return None if self.folded else self.kernel_axes
        if slot.endswith("/kq"):
            # Before the module is made, when its specifications are read: theirs have a width for each element.
            module = getattr(self, "module", None)
            turn = module.made.turns.get(slot) if isinstance(module, quantized.QModule) else None
            return None if turn is None else turn.axes
        inside = slot == "iq" and self.at_edges
        return self.data_axes if slot in ("iq", "oq") and not inside else None

    def quantizers(self, slot: str) -> list[Quantizer]:
        """Those that a name of the suite stands for: ``iq`` for all inputs."""
        children = dict(self.module.named_children())
        several = [child for name, child in children.items() if slot == "iq" and name.startswith("iq_")]
        if isinstance(self.module, quantized.QModule) and not several and not self.module.made.quantizers:
            return []  # they are made when a file says the shapes
        return cast("list[Quantizer]", several or [children[attribute_of(slot)]])

    def _assign(self, layer: Layer) -> None:
        with torch.no_grad():
            for name, given in layer.weights.items():
                values = convolutions.of_declaration(layer, name, given)
                if "/" in name or name.startswith(("bn_", "ln_")) or layer.kind.startswith("separable"):
                    layout = cast("quantized.QModule", self.module).made.storage.get(name)
                    if layout is None:  # it is made, and filled, when the file says the shapes
                        continue
                    stored = turned(values, None if layout.turn is None else layout.turn.axes)
                    getattr(self.module, layout.name).copy_(torch.as_tensor(np.array(stored)))
                    continue
                if layer.kind in LOOPS:
                    layout = cast("quantized.QModule", self.module).made.storage[name]
                    stored = turned(values, None if layout.turn is None else layout.turn.axes)
                    getattr(self.module, layout.name).copy_(torch.as_tensor(np.array(stored)))
                    continue
                stored = turned(values, self.kernel_axes) if name == "kernel" else values
                own = "kernel" if layer.kind.startswith("einsum_dense") else "weight"
                parameter = getattr(self.module, _NAMES.get(name, own if name == "kernel" else name))
                parameter.copy_(torch.as_tensor(np.array(stored)))
        for slot, widths in layer.widths.items():
            for quantizer in self.quantizers(slot):
                if quantizer.built:
                    quantizer.assign(**{n: turned(width, self.axes_of(slot)) for n, width in widths.items()})

    def _made(self, layer: Layer, shape: Shape) -> nn.Module:
        make = _KINDS.get(layer.kind)
        if make is None:
            message = f"layer kind {layer.kind!r}: hgq-torch has no such module"
            raise UnsupportedError(message)
        given = {attribute_of(slot): _turned_spec(spec, self.axes_of(slot)) for slot, spec in layer.quantizers.items()}
        enabled = {f"enable_{slot}": slot in given or slot in layer.defaults for slot in ("iq", "oq")}
        return make(layer, shape, {} if layer.kind in ("flatten", "nested", "activation") else given | enabled)


def _several(layer: Layer, *names: str) -> dict[str, Any]:
    """Options of the suite that PyTorch has too."""
    known = {"strides": "stride", "dilation_rate": "dilation", "pool_size": "kernel_size"}
    given = {known.get(name, name): layer.options[name] for name in names if name in layer.options}
    if "activation" in given:
        given["activation"] = _activation(given["activation"])
    return given


def _activation(form: Any) -> Any:
    """A module of PyTorch where it has one, else the core's words."""
    modules = {"relu6": nn.ReLU6, "hard_tanh": nn.Hardtanh, "linear": nn.Identity}
    if isinstance(form, str):
        return modules[form]() if form in modules else form
    if form.keys() == {"slope"}:
        return nn.LeakyReLU(form["slope"])
    if form.keys() == {"limit"}:
        return nn.Hardtanh(0.0, form["limit"])
    return nn.Threshold(form["threshold"], 0.0) if form.keys() == {"threshold"} else rectifier(**form)


def _dense(layer: Layer, shape: Shape, given: dict[str, Any]) -> nn.Module:
    options = _several(layer, "activation", "parallelization_factor")
    bias = "bias" in layer.weights
    return quantized.QLinear(shape[-1], layer.options["units"], bias, input_shape=shape, **options, **given)


def _einsum(layer: Layer, shape: Shape, given: dict[str, Any]) -> nn.Module:
    options = _several(layer, "equation", "output_shape", "bias_axes", "activation", "parallelization_factor")
    return quantized.QEinsumDense(input_shape=shape, **options, **given)


def _network(layer: Layer) -> dict[str, Any]:
    options = layer.options
    given = _several(layer, "batch_norm", "table_idxs", "activation", "parallelization_factor")
    return {"hidden_layers": options["n_hl"], "hidden_units": options["d_hl"], **given}


def _tables(layer: Layer, shape: Shape, given: dict[str, Any]) -> nn.Module:
    units, bias = layer.options["units"], "bias" in layer.weights
    return quantized.QLinearT(shape[-1], units, bias, input_shape=shape, **_network(layer), **given)


def _table_einsum(layer: Layer, shape: Shape, given: dict[str, Any]) -> nn.Module:
    options = _several(layer, "equation", "output_shape", "bias_axes")
    return quantized.QEinsumDenseT(input_shape=shape, **options, **_network(layer), **given)


def _table_convolution(layer: Layer, shape: Shape, given: dict[str, Any]) -> nn.Module:
    options = {"padding": "valid", **_several(layer, "kernel_size", "strides", "padding", "dilation_rate", "groups")}
    make: Any = {"table_conv1d": quantized.QConvT1d, "table_conv2d": quantized.QConvT2d}[layer.kind]
    options |= {"bias": "bias" in layer.weights, **_network(layer), **given}
    made: nn.Module = make(shape[-1], layer.options["filters"], **options)
    return made


def _convolution(layer: Layer, shape: Shape, given: dict[str, Any]) -> nn.Module:
    names = ("kernel_size", "strides", "padding", "dilation_rate", "groups", "activation", "parallelization_factor")
    options = {"padding": "valid", **_several(layer, *names)}
    rank, normalised = layer.kind[4], layer.kind.endswith("norm")
    make: Any = getattr(quantized, f"QConv{rank}d" + "BatchNorm" * normalised)
    extra = {"eps": layer.options["epsilon"]} if normalised else {"bias": "bias" in layer.weights}
    made: nn.Module = make(shape[-1], layer.options["filters"], **extra, **options, **given)
    return made


def _norm_dense(layer: Layer, shape: Shape, given: dict[str, Any]) -> nn.Module:
    options = _several(layer, "activation")
    return quantized.QBatchNormLinear(shape[-1], layer.options["units"], layer.options["epsilon"], **options, **given)


def _einsum_norm(layer: Layer, shape: Shape, given: dict[str, Any]) -> nn.Module:
    options = _several(layer, "equation", "output_shape", "activation", "center")
    options["normalize_axes"] = layer.options["bias_axes"]
    return quantized.QEinsumDenseBatchNorm(eps=layer.options["epsilon"], input_shape=shape, **options, **given)


def _batch_norm(layer: Layer, shape: Shape, given: dict[str, Any]) -> nn.Module:
    make = quantized.QBatchNorm2d if len(shape) == 3 else quantized.QBatchNorm1d
    return make(shape[-1], layer.options.get("epsilon", 1e-3), **given)


def _pool(layer: Layer, shape: Shape, given: dict[str, Any]) -> nn.Module:  # noqa: ARG001
    kind, rank = "Max" if "max" in layer.kind else "Avg", layer.kind[-2]
    if layer.kind.startswith("global"):
        adaptive: nn.Module = getattr(quantized, f"QAdaptive{kind}Pool{rank}d")(1, **given)
        return adaptive
    options = {"kernel_size": 2, "padding": "valid", **_several(layer, "pool_size", "strides", "padding")}
    options |= _several(layer, "parallelization_factor")
    if kind == "Avg":
        options["count_include_pad"] = False
    made: nn.Module = getattr(quantized, f"Q{kind}Pool{rank}d")(**options, **given)
    return made


def _merged(layer: Layer, shape: Shape, given: dict[str, Any]) -> nn.Module:  # noqa: ARG001
    make: Any = {
        "add": quantized.QAdd, "subtract": quantized.QSub, "multiply": quantized.QMul, "maximum": quantized.QMaximum,
        "minimum": quantized.QMinimum, "average_pow2": quantized.QAverage,
    }[layer.kind]  # fmt: skip
    made: nn.Module = make(len(layer.inputs or (0, 0)), **given)
    return made


def _concatenate(layer: Layer, shape: Shape, given: dict[str, Any]) -> nn.Module:  # noqa: ARG001
    return quantized.QCat(len(layer.inputs or ()), layer.options["axis"] + 1, **given)


def _einsum_of_data(layer: Layer, shape: Shape, given: dict[str, Any]) -> nn.Module:  # noqa: ARG001
    if layer.options["equation"] == "bij,bjk->bik":
        return quantized.QMatmul(**given)
    return quantized.QEinsum(layer.options["equation"], **given)


def _dot(layer: Layer, shape: Shape, given: dict[str, Any]) -> nn.Module:  # noqa: ARG001
    return quantized.QDot(tuple(axis + 1 for axis in layer.options["axes"]), **given)


def _reduced(layer: Layer, shape: Shape, given: dict[str, Any]) -> nn.Module:  # noqa: ARG001
    dim = tuple(axis if axis < 0 else axis + 1 for axis in layer.options["axes"])
    keep = layer.options.get("keepdims", False)
    if layer.kind == "mean_pow2":
        return quantized.QMean(dim, keep, **given)
    return quantized.QSum(dim, keep, layer.options.get("scale", 1.0), **given)


def _lookup(layer: Layer, shape: Shape, given: dict[str, Any]) -> nn.Module:  # noqa: ARG001
    return quantized.QLUT(_FUNCTIONS[layer.options["function"]], "scale" in layer.weights, **given)


def _softmax(layer: Layer, shape: Shape, given: dict[str, Any]) -> nn.Module:  # noqa: ARG001
    axes = tuple(axis + 1 if axis >= 0 else axis for axis in layer.options.get("axes", (-1,)))
    options = _several(layer, "stable", "input_scaler", "parallelization_factor", "mask")
    return quantized.QSoftmax(axes, **options, **given)


def _attention(layer: Layer, shape: Shape, given: dict[str, Any]) -> nn.Module:
    options, arguments = layer.options, {}
    for name, spec in given.items():
        part, _, slot = name.rpartition("_")
        if part and not name.startswith(("softmax", "enable")):
            arguments["proj_oq" if slot == "oq" else slot] = spec
        elif name != "enable_iq":
            arguments[name.replace("softmax_exp", "exp").replace("softmax_inv", "inv")] = spec
    axes, mask = options.get("attention_axes"), options.get("mask")
    make: Any = quantized.QMultiheadAttention
    if layer.kind.startswith("table"):
        make = quantized.QMultiheadAttentionT
        arguments |= {**_network(layer), "tables_of_positions": options.get("maps") != "kernel"}
    made: nn.Module = make(
        shape[-1],
        options["heads"],
        head_dim=options["key_dim"],
        v_head_dim=options["value_dim"],
        key_bias=False,
        attn_mask=None if mask is None else torch.as_tensor(~mask),
        is_causal=options.get("causal", False),
        dims=None if axes is None else tuple(axis + 1 for axis in axes),
        fuse=options.get("fuse", "none"),
        stable_softmax=options.get("stable", True),
        proj_positions=options.get("positions"),
        share_proj_positions=options.get("shared", False),
        **arguments,
    )
    return made


class _KerasGRU(quantized.QGRU):
    """With the gates of its weights in the order of the suite, which is that of Keras."""

    def cell(self) -> GRUCell:
        """One step."""
        return dataclasses.replace(super().cell(), reset_first=False)


def _recurrent(layer: Layer, shape: Shape, given: dict[str, Any]) -> nn.Module:
    options = _several(layer, "parallelization_factor", "reset_after")
    if layer.kind == "simple_rnn":
        options["enable_sq"] = "sq" in layer.quantizers
    if "activation" in layer.options:
        options["nonlinearity" if layer.kind == "simple_rnn" else "activation"] = layer.options["activation"]
    make: Any = {"simple_rnn": quantized.QRNN, "gru": _KerasGRU, "lstm": quantized.QLSTM}[layer.kind]
    bias = "bias" in layer.weights
    made: nn.Module = make(shape[-1], layer.options["units"], bias=bias, batch_first=True, **options, **given)
    return made


def _spiking(layer: Layer, shape: Shape, given: dict[str, Any]) -> nn.Module:  # noqa: ARG001 (of every kind)
    options = _several(layer, "parallelization_factor", "inhibition", "reset_mechanism", "detach_reset")
    # The numbers are assigned as weights; here they say which weights there are.
    numbers: dict[str, Any] = {"beta": 0.5 if layer.kind == "lif" else 1.0}
    numbers["graded_spikes_factor"] = 2.0 if layer.options.get("grades") else 1.0
    return quantized.QLIF(layer.options["units"], batch_first=True, **numbers, **options, **given)


def _layer_norm(layer: Layer, shape: Shape, given: dict[str, Any]) -> nn.Module:
    sizes, eps = shape[-len(layer.options["axes"]) :], layer.options["epsilon"]
    if layer.kind == "rms_norm":
        return quantized.QRMSNorm(sizes, eps, **given)
    return quantized.QLayerNorm(sizes, eps, **given)


def _flatten(layer: Layer, shape: Shape, given: dict[str, Any]) -> nn.Module:  # noqa: ARG001
    return nn.Flatten()


def _plain(layer: Layer, shape: Shape, given: dict[str, Any]) -> nn.Module:  # noqa: ARG001
    made: nn.Module = _activation(layer.options["function"])
    return made


def _nested(layer: Layer, shape: Shape, given: dict[str, Any]) -> nn.Module:  # noqa: ARG001
    parts = []
    for part in layer.options["parts"]:
        made = SuiteLayer(part, [shape])
        inner = made.module
        if made.first or not isinstance(inner, quantized.QModule):
            message = f"a {part.kind!r} inside of a layer: the adapter nests layers of one layout only"
            raise UnsupportedError(message)
        parts.append(inner)
        shape = inner.traced_shape(shape)
    return Row(parts)


_KINDS: Mapping[str, Callable[[Layer, Any, dict[str, Any]], nn.Module]] = {
    "dense": _dense,
    "einsum_dense": _einsum,
    "conv1d": _convolution,
    "conv2d": _convolution,
    "batch_norm": _batch_norm,
    "conv3d": _convolution,
    **{f"conv{rank}d_norm": _convolution for rank in (1, 2, 3)},
    "norm_dense": _norm_dense,
    "einsum_dense_norm": _einsum_norm,
    **{f"{kind}_pool{rank}d": _pool for kind in ("max", "average") for rank in (1, 2, 3)},
    **{f"global_{kind}_pool{rank}d": _pool for kind in ("max", "average") for rank in (1, 2, 3)},
    **dict.fromkeys(("add", "subtract", "multiply", "maximum", "minimum", "average_pow2"), _merged),
    "concatenate": _concatenate,
    "dot": _dot,
    "einsum": _einsum_of_data,
    **dict.fromkeys(("sum", "mean_pow2"), _reduced),
    "unary_lut": _lookup,
    "softmax": _softmax,
    **dict.fromkeys(("attention", "linformer", "table_attention", "table_linformer"), _attention),
    "table_dense": _tables,
    "table_einsum": _table_einsum,
    **dict.fromkeys(("table_conv1d", "table_conv2d"), _table_convolution),
    **dict.fromkeys(("layer_norm", "rms_norm"), _layer_norm),
    **dict.fromkeys(_RECURRENT, _recurrent),
    **dict.fromkeys(("snn", "lif"), _spiking),
    "flatten": _flatten,
    "activation": _plain,
    "nested": _nested,
    **convolutions.MAKERS,
}
