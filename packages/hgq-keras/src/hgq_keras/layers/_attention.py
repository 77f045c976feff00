"""Attention of several heads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from hgq_core.errors import ConfigError, UnsupportedError
from hgq_core.layers import Declaration, Fuse, MultiHeadAttention, attribute_of, check_factor, softmax_table
from hgq_core.numbers import checked
from hgq_keras._checks import integer, positive_integer
from hgq_keras.config import configured
from hgq_keras.layers._base import QLayer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hgq_keras.config import QuantizerConfig

__all__ = ["QMultiHeadAttention"]

_PARTS = ("query", "key", "value", "output")
_FUSED: Mapping[str, tuple[str, ...]] = {"none": (), "kv": ("key",), "qkv": ("key", "query")}


@keras.saving.register_keras_serializable(package="hgq_keras")
class QMultiHeadAttention(QLayer):
    """``y = W_o softmax(q k / sqrt(key_dim)) v`` of ``q = W_q query``, ``k = W_k key``, ``v = W_v value``, in heads.

    It is called as that of Keras: ``layer(query, value, key=None)``, for data ``(batch, *positions, features)``; key is
    value, and value is query, where they are not given. Softmax is that of `QSoftmax`, of two trained tables.

    A set has no order: by default each width of data serves all positions, so that the output moves with the elements
    of the input. A configuration that is given has the granularity that it says.

    EBOPs: those of the four projections, the two contractions of data, and softmax. Keys have no bias, which would add
    the same number to all products of a query.

    Args:
        num_heads: number of heads.
        key_dim: size of each head's queries and keys.
        value_dim: size of each head's values; None: key_dim.
        dropout: rate at which weights of values are dropped in training.
        use_bias: whether queries, values and the output have a bias.
        output_shape: features of the output, a number or several axes; None: as many as the query has.
        attention_axes: positions that attend to each other, the batch axis being 0; None: all.
        kernel_initializer: of every kernel, as in Keras, and so for the next ones.
        bias_initializer: of every bias.
        kernel_regularizer: of every kernel.
        bias_regularizer: of every bias.
        activity_regularizer: of the output.
        kernel_constraint: of every kernel.
        bias_constraint: of every bias.
        seed: of dropout.
        fuse: ``"kv"``: key is value, and both are quantized once; ``"qkv"``: query too; ``"none"``: each by itself.
        qkvo_iq_conf: input quantizer of each projection; None: the scope's datalane quantizer, shared along positions.
        qkvo_kq_conf: kernel quantizer of each projection; None: the scope's weight quantizer.
        qkvo_bq_conf: bias quantizer of each projection; None: the scope's bias quantizer.
        qkvo_oq_conf: quantizer of queries, keys and values; None: as ``qkvo_iq_conf``.
        softmax_iq_conf: quantizer of the products of queries and keys; None: as ``qkvo_iq_conf``.
        softmax_exp_iq_conf: see `QSoftmax`, as the next three.
        softmax_exp_oq_conf: output quantizer of the table of exponentials.
        softmax_inv_iq_conf: input quantizer of the table of reciprocals.
        softmax_inv_oq_conf: its output quantizer.
        softmax_oq_conf: quantizer of the weights of values; None: as ``qkvo_iq_conf``.
        stable_softmax: see `QSoftmax`.
        softmax_allow_heterogeneous_table: see `QSoftmax`.
        parallelization_factor: positions of each projection, and queries of the products, that are built, -1 for all.
        attention_mask: bools that broadcast to ``(*positions of queries, *positions of keys)``, True where a key is
            attended to. Hardware has one mask: it is an argument of the layer, not of its call.
        use_causal_mask: whether a query attends to keys at its own position and before only.
        oq_conf: output quantizer; giving one enables it.
        enable_oq: quantize the output; None: if ``oq_conf`` is given, else as the scope says.
        enable_ebops: add ``beta * EBOPs`` to the loss; None: as the scope says.
        beta0: initial beta; None: as the scope says.
        ebops_factor: EBOPs of the layer are multiplied by it.
        **kwargs: ``name``, ``dtype``, ``trainable`` of a Keras layer.

    Raises:
        ConfigError: sizes below 1, unknown fusing, axes that are no positions, tensors that fusing does not allow.
        ShapeError: query, value and key do not fit.
        UnsupportedError: a mask in the call, or scores are asked for.

    >>> x = keras.ops.ones((1, 3, 4))
    >>> QMultiHeadAttention(num_heads=2, key_dim=2)(x, x).shape == (1, 3, 4)
    True
    """

    many_inputs = True
    weight_arguments: Mapping[str, str] = {
        f"{part}/{weight}": weight for part in _PARTS for weight in ("kernel", "bias")
    }

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | Sequence[int] | None = None,
        attention_axes: int | Sequence[int] | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        seed: int | None = None,
        fuse: Fuse = "none",
        qkvo_iq_conf: QuantizerConfig | None = None,
        qkvo_kq_conf: QuantizerConfig | None = None,
        qkvo_bq_conf: QuantizerConfig | None = None,
        qkvo_oq_conf: QuantizerConfig | None = None,
        softmax_iq_conf: QuantizerConfig | None = None,
        softmax_exp_iq_conf: QuantizerConfig | None = None,
        softmax_exp_oq_conf: QuantizerConfig | None = None,
        softmax_inv_iq_conf: QuantizerConfig | None = None,
        softmax_inv_oq_conf: QuantizerConfig | None = None,
        softmax_oq_conf: QuantizerConfig | None = None,
        stable_softmax: bool = True,
        softmax_allow_heterogeneous_table: bool = False,
        parallelization_factor: int = -1,
        *,
        attention_mask: Any = None,
        use_causal_mask: bool = False,
        oq_conf: QuantizerConfig | None = None,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        ebops_factor: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            oq_conf=oq_conf,
            enable_iq=False,
            enable_oq=enable_oq,
            enable_ebops=enable_ebops,
            beta0=beta0,
            ebops_factor=ebops_factor,
            activity_regularizer=activity_regularizer,
            **kwargs,
        )
        title = f"layer {self.name!r}"
        self.num_heads = positive_integer(num_heads, f"{title}: num_heads")
        self.key_dim = positive_integer(key_dim, f"{title}: key_dim")
        self.value_dim = self.key_dim if value_dim is None else positive_integer(value_dim, f"{title}: value_dim")
        self.dropout = checked(dropout, f"{title}: dropout", "a number from 0 to below 1")
        self.use_bias = bool(use_bias)
        self.output_features = _several(output_shape)
        self.attention_axes = _several(attention_axes)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.seed = seed
        if fuse not in _FUSED:
            message = f"{title}: fuse: received {fuse!r}, expected one of {tuple(_FUSED)}"
            raise ConfigError(message)
        self.fuse: Fuse = fuse
        self.stable_softmax = bool(stable_softmax)
        self.softmax_allow_heterogeneous_table = bool(softmax_allow_heterogeneous_table)
        check_factor(parallelization_factor)
        self.parallelization_factor = int(parallelization_factor)
        self.attention_mask = None if attention_mask is None else np.asarray(attention_mask, bool)
        self.use_causal_mask = bool(use_causal_mask)
        self._confs: dict[str, QuantizerConfig | None] = {
            "qkvo_iq_conf": qkvo_iq_conf,
            "qkvo_kq_conf": qkvo_kq_conf,
            "qkvo_bq_conf": qkvo_bq_conf,
            "qkvo_oq_conf": qkvo_oq_conf,
            "softmax_iq_conf": softmax_iq_conf,
            "softmax_exp_iq_conf": softmax_exp_iq_conf,
            "softmax_exp_oq_conf": softmax_exp_oq_conf,
            "softmax_inv_iq_conf": softmax_inv_iq_conf,
            "softmax_inv_oq_conf": softmax_inv_oq_conf,
            "softmax_oq_conf": softmax_oq_conf,
        }
        for slot, conf in self._given().items():
            setattr(self, attribute_of(slot), self.make_quantizer(conf, attribute_of(slot)))

    def _given(self) -> dict[str, QuantizerConfig]:
        """The configurations that were given, by slot; the others follow from the declaration."""
        one_table = {} if self.softmax_allow_heterogeneous_table else {"heterogeneous_axis": ()}
        table = softmax_table(heterogeneous=self.softmax_allow_heterogeneous_table)
        places: dict[str, tuple[tuple[str, ...], str, dict[str, Any]]] = {
            "qkvo_iq_conf": (tuple(f"{p}/iq" for p in _PARTS if p not in _FUSED[self.fuse]), "datalane", {}),
            "qkvo_kq_conf": (tuple(f"{p}/kq" for p in _PARTS), "weight", {}),
            "qkvo_bq_conf": (tuple(f"{p}/bq" for p in _PARTS if p != "key" and self.use_bias), "bias", {}),
            "qkvo_oq_conf": (tuple(f"{p}/oq" for p in _PARTS[:3]), "datalane", {}),
            "softmax_iq_conf": (("softmax/iq",), "datalane", {}),
            "softmax_exp_iq_conf": (("softmax/exp/iq",), "datalane", one_table),
            "softmax_exp_oq_conf": (("softmax/exp/oq",), "table", table),
            "softmax_inv_iq_conf": (("softmax/inv/iq",), "datalane", one_table),
            "softmax_inv_oq_conf": (("softmax/inv/oq",), "table", table),
            "softmax_oq_conf": (("softmax/oq",), "datalane", {}),
        }
        found = {}
        for argument, (slots, place, forced) in places.items():
            conf = self._confs[argument]
            if conf is not None:
                for slot in slots:
                    found[slot] = configured(conf, place, argument).replaced(**forced)
        return found

    def declaration(self) -> Declaration:
        return MultiHeadAttention(
            self.num_heads,
            self.key_dim,
            self.value_dim,
            self.output_features,
            None if self.attention_axes is None else tuple(n if n < 0 else n - 1 for n in self.attention_axes),
            self.use_bias,
            fuse=self.fuse,
            stable=self.stable_softmax,
            heterogeneous_tables=self.softmax_allow_heterogeneous_table,
            mask=self.attention_mask,
            causal=self.use_causal_mask,
            dropout=self.dropout,
            parallelization_factor=self.parallelization_factor,
        )

    def __call__(
        self,
        query: Any,
        value: Any = None,
        key: Any = None,
        *,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The output for query, value and key; or for a list of them, as a saved model calls it."""
        if any(mask is not None for mask in (query_mask, value_mask, key_mask, attention_mask)):
            message = (
                f"layer {self.name!r}: received a mask in its call, expected none: hardware has one mask, give it as "
                "attention_mask= when the layer is made"
            )
            raise UnsupportedError(message)
        if return_attention_scores:
            message = f"layer {self.name!r}: received return_attention_scores=True, expected False: it has one output"
            raise UnsupportedError(message)
        if use_causal_mask and not self.use_causal_mask:
            if self.built:
                message = (
                    f"layer {self.name!r} is built without a causal mask; give use_causal_mask=True when it is made"
                )
                raise ConfigError(message)
            self.use_causal_mask = True
        return super().__call__(self._packed(query, value, key), **kwargs)

    def _packed(self, query: Any, value: Any, key: Any) -> list[Any]:
        """The tensors that the declaration takes: one for what is fused."""
        if isinstance(query, list | tuple):
            return list(query)
        value = query if value is None else value
        key = value if key is None else key
        if (self.fuse != "none" and key is not value) or (self.fuse == "qkv" and value is not query):
            message = (
                f"layer {self.name!r}: received different tensors, expected one for {self.fuse!r}, which fuse= says "
                "are quantized once; give fuse='none'"
            )
            raise ConfigError(message)
        return [query, value, key][: {"none": 3, "kv": 2, "qkv": 1}[self.fuse]]

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        config = super().get_config()
        for name in ("iq_conf", "enable_iq"):
            config.pop(name)
        return config | {
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "dropout": self.dropout,
            "use_bias": self.use_bias,
            "output_shape": self.output_features,
            "attention_axes": self.attention_axes,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": keras.regularizers.serialize(self.activity_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
            "seed": self.seed,
            "fuse": self.fuse,
            **{name: None if conf is None else serialize(conf) for name, conf in self._confs.items()},
            "stable_softmax": self.stable_softmax,
            "softmax_allow_heterogeneous_table": self.softmax_allow_heterogeneous_table,
            "parallelization_factor": self.parallelization_factor,
            "attention_mask": None if self.attention_mask is None else self.attention_mask.tolist(),
            "use_causal_mask": self.use_causal_mask,
        }


def _several(value: int | Sequence[int] | None) -> tuple[int, ...] | None:
    """One number or several as a tuple; None as it is."""
    if value is None:
        return None
    given = tuple(value) if isinstance(value, list | tuple) else (value,)
    return tuple(integer(n, "output_shape, attention_axes") for n in given)
