"""The layers of conformance cases as layers of this package, built the way that users build them."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from hgq_core.conformance.backend import LOOPS
from hgq_core.errors import UnsupportedError
from hgq_core.layers import attribute_of
from hgq_keras import layers as quantized
from hgq_keras.config import QuantizerConfig

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hgq_core.conformance.backend import Layer
    from hgq_core.layers import Declaration, Trace, Value
    from hgq_core.spec import Spec
    from hgq_keras._quantizer import Quantizer

__all__ = ["WITH_ACTIVATION", "assign", "configuration", "make_layer", "store"]


def store(quantizer: Quantizer, widths: Mapping[str, Any]) -> None:
    """Give a built quantizer these widths, each broadcast to its variable."""
    variables = {variable.name: variable for variable in quantizer.variables}
    for name, value in widths.items():
        variables[name].assign(np.broadcast_to(np.asarray(value, dtype="float32"), variables[name].shape))


def configuration(
    spec: Spec,
    place: str,
    *,
    scaler: float | None = None,
    affine: tuple[float, float] | None = None,
    qnoise_factor: float | None = None,
) -> QuantizerConfig:
    """The configuration that says the same as a specification, every parameter written out."""
    axes = ("homogeneous_axis", "heterogeneous_axis")
    values = {field.name: getattr(spec, field.name) for field in fields(spec)}
    given = {name: value for name, value in values.items() if name not in axes or value is not None}
    return QuantizerConfig(spec.q_type, place, scaler, affine, qnoise_factor, **given)


@keras.saving.register_keras_serializable(package="hgq_keras")
class Row(quantized.QLayer):
    """Quantized layers in a row inside of one layer, as users write such a layer."""

    def __init__(self, parts: Sequence[keras.Layer], **kwargs: Any) -> None:
        super().__init__(enable_iq=False, **kwargs)
        self.parts = list(parts)

    def declaration(self) -> Declaration:
        def declare(t: Trace, x: Value) -> Value:
            for number, part in enumerate(self.parts):
                x = t.call(f"parts/{number}", part, x)
            return x

        return declare

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("enable_iq")
        return config | {"parts": [keras.saving.serialize_keras_object(part) for part in self.parts]}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Row:
        parts = [keras.saving.deserialize_keras_object(part) for part in config["parts"]]
        return super().from_config({**config, "parts": parts})


_CLASSES: dict[str, type[quantized.QLayer]] = {
    "dense": quantized.QDense,
    "einsum_dense": quantized.QEinsumDense,
    "conv1d": quantized.QConv1D,
    "conv2d": quantized.QConv2D,
    "batch_norm": quantized.QBatchNormalization,
    "conv3d": quantized.QConv3D,
    "max_pool1d": quantized.QMaxPooling1D,
    "max_pool2d": quantized.QMaxPooling2D,
    "max_pool3d": quantized.QMaxPooling3D,
    "average_pool1d": quantized.QAveragePooling1D,
    "average_pool2d": quantized.QAveragePooling2D,
    "average_pool3d": quantized.QAveragePooling3D,
    "global_max_pool1d": quantized.QGlobalMaxPooling1D,
    "global_max_pool2d": quantized.QGlobalMaxPooling2D,
    "global_max_pool3d": quantized.QGlobalMaxPooling3D,
    "global_average_pool1d": quantized.QGlobalAveragePooling1D,
    "global_average_pool2d": quantized.QGlobalAveragePooling2D,
    "global_average_pool3d": quantized.QGlobalAveragePooling3D,
    "einsum_dense_norm": quantized.QEinsumDenseBatchnorm,
    "norm_dense": quantized.QBatchNormDense,
    "conv1d_norm": quantized.QConv1DBatchNorm,
    "conv2d_norm": quantized.QConv2DBatchNorm,
    "conv3d_norm": quantized.QConv3DBatchNorm,
    "add": quantized.QAdd,
    "unary_lut": quantized.QUnaryFunctionLUT,
    "softmax": quantized.QSoftmax,
    "subtract": quantized.QSubtract,
    "multiply": quantized.QMultiply,
    "maximum": quantized.QMaximum,
    "minimum": quantized.QMinimum,
    "average_pow2": quantized.QAveragePow2,
    "concatenate": quantized.QConcatenate,
    "dot": quantized.QDot,
    "einsum": quantized.QEinsum,
    "layer_norm": quantized.QLayerNormalization,
    "rms_norm": quantized.QRMSNormalization,
    "sum": quantized.QSum,
    "mean_pow2": quantized.QMeanPow2,
    "attention": quantized.QMultiHeadAttention,
    "linformer": quantized.QLinformerAttention,
    "depthwise1d": quantized.QDepthwiseConv1D,
    "depthwise2d": quantized.QDepthwiseConv2D,
    "separable1d": quantized.QSeparableConv1D,
    "separable2d": quantized.QSeparableConv2D,
    "transposed1d": quantized.QConv1DTranspose,
    "transposed2d": quantized.QConv2DTranspose,
    "transposed3d": quantized.QConv3DTranspose,
    "table_dense": quantized.QDenseT,
    "table_einsum": quantized.QEinsumDenseT,
    "simple_rnn": quantized.QSimpleRNN,
    "gru": quantized.QGRU,
    "lstm": quantized.QLSTM,
    "snn": quantized.QSimpleSNN,
    "lif": quantized.QLIF,
    "table_conv1d": quantized.QConvT1D,
    "table_conv2d": quantized.QConvT2D,
    "table_attention": quantized.QMultiHeadAttentionT,
    "table_linformer": quantized.QLinformerAttentionT,
}
WITH_ACTIVATION: tuple[str, ...] = (
    "dense",
    "einsum_dense",
    "conv1d",
    "conv2d",
    "conv3d",
    "norm_dense",
    "einsum_dense_norm",
    "table_dense",
    "table_einsum",
    "simple_rnn",
    "gru",
    "lstm",
)
WITH_ACTIVATION += ("table_conv1d", "table_conv2d", "conv1d_norm", "conv2d_norm", "conv3d_norm")
_CONVOLUTIONS = tuple(kind for kind in _CLASSES if kind[:-2] in ("conv", "depthwise", "separable", "transposed"))
WITH_ACTIVATION += _CONVOLUTIONS[3:]
"""Kinds whose class takes an activation before its output quantizer."""
_RECURRENT = ("simple_rnn", "gru", "lstm")
_SPIKING = {"lkq": "beta_q_conf", "thq": "threshold_q_conf", "grq": "graded_spikes_factor_q_conf"}
_QKVO = {
    f"{part}/{slot}": f"qkvo_{slot}_conf"
    for part in ("query", "key", "value", "output", "key_proj", "value_proj", "kv_proj")
    for slot in ("iq", "kq", "bq", "oq")
}
_ARGUMENTS: dict[str, dict[str, str]] = {"attention": _QKVO, "linformer": _QKVO} | dict.fromkeys(
    ("snn", "lif"), _SPIKING
)
"""By kind, arguments of the class that are not called after the slot."""
_RENAMED = {
    ("softmax", "axes"): "axis",
    ("layer_norm", "axes"): "axis",
    ("rms_norm", "axes"): "axis",
    ("table_dense", "units"): "n_out",
}
_OF_TABLES = ("table_attention", "table_linformer")
_OF_ATTENTION = {
    "heads": "num_heads",
    "stable": "stable_softmax",
    "positions": "lin_kv_proj_dim",
    "shared": "share_kv_proj",
    "mask": "attention_mask",
    "causal": "use_causal_mask",
    "maps": "lin_kv_proj_mode",
}
_RENAMED |= {(kind, old): new for kind in ("attention", "linformer", *_OF_TABLES) for old, new in _OF_ATTENTION.items()}
_RENAMED |= {(kind, "table_idxs"): "table_spec" for kind in _OF_TABLES}
_WITHOUT_IQ = ("attention", "linformer", *_OF_TABLES)
"""Kinds whose parts quantize the inputs."""
_TABLE_CONVOLUTIONS = ("table_conv1d", "table_conv2d")
_AXES = ("axis", "axes", "attention_axes")
_PLACES = dict.fromkeys(("kq", "rkq", "rckq", "dkq", "pkq", "lkq", "thq", "grq"), "weight") | {
    "bq": "bias",
    "rbq": "bias",
    "toq": "table",
}
_WEIGHTS = {"gamma": "bn_gamma", "beta": "bn_beta"}


def make_layer(layer: Layer, name: str) -> keras.Layer:
    """The Keras layer that the suite's words describe, not built yet."""
    if layer.kind == "flatten":
        return keras.layers.Flatten(name=name)
    if layer.kind == "activation":
        form = layer.options["function"]
        return keras.layers.Activation(form, name=name) if isinstance(form, str) else _rectifier(form, name=name)
    if layer.kind == "nested":
        return Row([make_layer(part, f"{name}_{n}") for n, part in enumerate(layer.options["parts"])], name=name)
    options = dict(layer.options)
    options = {
        _RENAMED.get((layer.kind, option), option): _with_batch(value) if option in _AXES else value
        for option, value in options.items()
    }
    if not isinstance(form := options.get("activation"), str | None):
        options["activation"] = _rectifier(form)
    if layer.kind not in WITH_ACTIVATION and options.pop("activation", None) and "oq" in layer.quantizers:
        message = f"{layer.kind} has no activation before its output quantizer"
        raise UnsupportedError(message)
    options = _in_words_of_keras(layer, options)
    made: Any = _CLASSES[layer.kind]
    if layer.kind == "unary_lut" and layer.weights:
        made = quantized.QAffinedUnaryFunctionLUT
    if layer.kind in _OF_TABLES:
        if "lin_kv_proj_mode" in options:
            options["lin_kv_proj_mode"] = "dense"
        inside = {slot: configuration(spec, _place(slot)) for slot, spec in layer.quantizers.items() if slot != "oq"}
        enabled = {"enable_oq": "oq" in layer.quantizers}
        return made(name=name, quantizer_confs=inside, **enabled, **options)
    for slot, spec in layer.quantizers.items():
        argument = "iq_confs" if made.many_inputs and slot == "iq" else f"{attribute_of(slot)}_conf"
        argument = _ARGUMENTS.get(layer.kind, {}).get(slot, argument)
        options[argument] = configuration(spec, _place(slot))
    slots = {*layer.quantizers, *layer.defaults}
    enabled = {"enable_iq": "iq" in slots, "enable_oq": "oq" in slots}
    if layer.kind in _WITHOUT_IQ:
        enabled.pop("enable_iq")
    return made(name=name, **enabled, **options)


def _in_words_of_keras(layer: Layer, options: dict[str, Any]) -> dict[str, Any]:
    """The options of a kind whose class has other words for them."""
    if layer.kind == "unary_lut":
        options["activation"] = options.pop("function")
    if layer.kind in ("dense", "table_dense", *_CONVOLUTIONS, *_TABLE_CONVOLUTIONS, *_RECURRENT):
        options["use_bias"] = "bias" in layer.weights
    if layer.kind in _TABLE_CONVOLUTIONS:
        options["subnn_activation"] = "tanh"
    if layer.kind in LOOPS:
        options = {"parallelization_factor": -1, **options}
    if layer.kind == "simple_rnn":
        options["enable_sq"] = "sq" in layer.quantizers
    if layer.kind in ("snn", "lif"):
        # Whether there are these weights depends on the numbers that they begin with.
        words = {"leak": "beta", "level": "threshold", "grade": "graded_spikes_factor"}
        options.pop("grades", None)
        options |= {words[name]: float(value[0]) for name, value in layer.weights.items()}
    return options


def _rectifier(numbers: Mapping[str, float], **given: Any) -> keras.Layer:
    """The layer of Keras with the numbers of the suite."""
    if numbers.keys() == {"slope"}:
        return keras.layers.LeakyReLU(numbers["slope"], **given)
    slope, threshold = numbers.get("slope", 0.0), numbers.get("threshold", 0.0)
    return keras.layers.ReLU(numbers.get("limit"), slope, threshold, **given)


def _with_batch(axes: Any) -> Any:
    """Axes without the batch axis as Keras counts them."""
    if isinstance(axes, int):
        return axes if axes < 0 else axes + 1
    return [_with_batch(axis) for axis in axes]


def _place(slot: str) -> str:
    """The place of a slot: that of its last word, or a table's where it is the output of a part."""
    part, _, word = slot.rpartition("/")
    return "table" if part and word == "oq" else _PLACES.get(word, "datalane")


def assign(layer: Layer, keras_layer: Any) -> None:
    """Weights and widths of a built layer."""
    for number, part in enumerate(layer.options.get("parts", ())):
        assign(part, keras_layer.parts[number])
    for name, value in layer.weights.items():
        getattr(keras_layer, attribute_of(_WEIGHTS.get(name, name))).assign(value)
    for place, widths in layer.widths.items():
        for quantizer in keras_layer.iqs if place == "iq" else [getattr(keras_layer, attribute_of(place))]:
            store(quantizer, widths)
