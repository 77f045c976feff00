"""What all layers of attention have in common: their arguments, their quantizers, and how they are called."""

from __future__ import annotations

from math import inf, sqrt
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from hgq_core.errors import ConfigError, UnsupportedError
from hgq_core.layers import Declaration, MultiHeadAttention, attribute_of, check_factor, check_fused, fused_inputs
from hgq_core.numbers import checked
from hgq_core.scope import layer_option
from hgq_keras._checks import integer, positive_integer
from hgq_keras.config import QuantizerConfig, configured
from hgq_keras.layers._attention_views import ProjectionView, SoftmaxView, TableProjectionView
from hgq_keras.layers._base import QLayer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hgq_core.layers import Fuse, QuantizerSlot
    from hgq_keras.layers._table_base import TableNetwork

__all__ = ["AttentionLayer", "sizes_of"]

_CONFS = (
    "qkvo_iq_conf", "qkvo_kq_conf", "qkvo_toq_conf", "qkvo_bq_conf", "qkvo_oq_conf", "softmax_iq_conf",
    "softmax_exp_iq_conf", "softmax_exp_oq_conf", "softmax_inv_iq_conf", "softmax_inv_oq_conf", "softmax_oq_conf",
)  # fmt: skip


class AttentionLayer(QLayer):
    """Abstract over its constructor: a layer of query, value and key.

    Args:
        arguments: those of `QMultiHeadAttention`, by name, without those of `QLayer`; ``project``, a map of positions,
            and ``tables``, the network of the tables that the projections are of, where there are any.
        base: arguments of `QLayer`; ``enable_iq`` is whether query, key and value are quantized.
    """

    many_inputs = True

    def __init__(self, arguments: Mapping[str, Any], base: Mapping[str, Any]) -> None:
        given, around = dict(arguments), dict(base)
        inputs, output, oq_conf = (around.pop(name) for name in ("enable_iq", "enable_oq", "oq_conf"))
        with_output = oq_conf is not None or bool(layer_option("enable_oq")) if output is None else bool(output)
        if inputs is not None and not inputs:
            message = "enable_iq: received False, expected True: the projections of attention quantize their inputs"
            raise ConfigError(message)
        # The projections quantize the inputs, each its own; the output's default is known when the sizes are.
        super().__init__(enable_iq=False, enable_oq=False, **around)
        self._read(given)
        self._read_weights(given)
        self._given_confs = {name: given.get(name) for name in _CONFS}
        self._slot_confs: dict[str, QuantizerConfig] = dict(given["quantizer_confs"] or {})
        self._make_slots()
        if with_output:
            shared = QuantizerConfig("default", "datalane", **self.attention().shared_output())
            self.enable_oq, self._oq_conf = True, shared if oq_conf is None else self._of_data(oq_conf, "oq_conf")
            self._oq = self.make_quantizer(self._oq_conf, "oq")

    def _read(self, given: Mapping[str, Any]) -> None:
        title = f"layer {self.name!r}"
        self.num_heads = positive_integer(given["num_heads"], f"{title}: num_heads")
        self.key_dim = positive_integer(given["key_dim"], f"{title}: key_dim")
        value_dim = given["value_dim"]
        self.value_dim = self.key_dim if value_dim is None else positive_integer(value_dim, f"{title}: value_dim")
        self.dropout = checked(given["dropout"], f"{title}: dropout", "a number from 0 to below 1")
        if not 0 <= self.dropout < 1:
            message = f"{title}: dropout: received {given['dropout']!r}, expected a number from 0 to below 1"
            raise ConfigError(message)
        self.use_bias = bool(given["use_bias"])
        made, axes = given["output_shape"], given["attention_axes"]
        self.output_features = None if made is None else sizes_of(made, f"{title}: output_shape", 1)
        self.attention_axes = None if axes is None else sizes_of(axes, f"{title}: attention_axes")
        if 0 in (self.attention_axes or ()):
            message = f"{title}: attention_axes: received {self.attention_axes}, expected axes behind the batch axis, 0"
            raise ConfigError(message)
        self.project: Any = given.get("project")
        self.tables: TableNetwork | None = given.get("tables")
        self.momentum = None if self.tables is None else self.tables.bn_momentum
        self.seed = given["seed"]
        fused_inputs(given["fuse"], f"{title}: fuse")
        self.fuse: Fuse = given["fuse"]
        self.stable_softmax = bool(given["stable_softmax"])
        self.softmax_allow_heterogeneous_table = bool(given["softmax_allow_heterogeneous_table"])
        check_factor(given["parallelization_factor"])
        self.parallelization_factor = int(given["parallelization_factor"])
        mask = given["attention_mask"]
        self.attention_mask = None if mask is None else np.asarray(mask, bool)
        self.use_causal_mask = bool(given["use_causal_mask"])

    def _read_weights(self, given: Mapping[str, Any]) -> None:
        self.weight_options: dict[str, tuple[Any, Any, Any]] = {}
        for weight in ("kernel", "bias"):
            start = keras.initializers.get(given[f"{weight}_initializer"])
            regularizer = keras.regularizers.get(given[f"{weight}_regularizer"])
            constraint = keras.constraints.get(given[f"{weight}_constraint"])
            self.weight_options[weight] = (start, regularizer, constraint)
            slots = [slot for slot in self.attention().smallest().weights if slot.endswith(weight)]
            if weight == "kernel" and not slots:
                self._refuse_kernel_options()
            for slot in slots:
                # An initializer without a seed gives the same numbers each time that it is asked.
                own = start.clone() if isinstance(start, keras.initializers.Initializer) else start
                setattr(self, f"{attribute_of(slot)}_initializer", own)
                setattr(self, f"{attribute_of(slot)}_regularizer", regularizer)
                setattr(self, f"{attribute_of(slot)}_constraint", constraint)

    def _refuse_kernel_options(self) -> None:
        """Raise ConfigError for what would be said of a kernel, where all is of tables."""
        start, regularizer, constraint = self.weight_options["kernel"]
        serialize, usual = keras.initializers.serialize, keras.initializers.get("glorot_uniform")
        if serialize(start) != serialize(usual) or regularizer is not None or constraint is not None:
            message = (
                f"layer {self.name!r}: received a kernel_initializer, kernel_regularizer or kernel_constraint, "
                "expected none: it has tables in place of kernels, which start by a rule of their own"
            )
            raise ConfigError(message)

    # --- quantizers --------------------------------------------------------------------------------------------------

    def _make_slots(self) -> None:
        """Make the quantizers, in the scope in which the layer is written."""
        slots = self.attention().smallest().quantizers
        if unknown := set(self._slot_confs) - set(slots):
            message = f"layer {self.name!r}: quantizer_confs names {sorted(unknown)}, it has the slots {sorted(slots)}"
            raise ConfigError(message)
        for slot, described in slots.items():
            self._slot_confs[slot] = self._conf(slot, described)
            setattr(self, attribute_of(slot), self.make_quantizer(self._slot_confs[slot], attribute_of(slot)))

    def _conf(self, slot: str, described: QuantizerSlot) -> QuantizerConfig:
        """The configuration of a slot: given for it, or for its kind, or the scope's, shared along the positions."""
        part, _, word = slot.rpartition("/")
        argument = f"{attribute_of(slot)}_conf" if part.startswith("softmax") else f"qkvo_{word}_conf"
        given = self._slot_confs.get(slot, self._given_confs[argument])
        if given is None:
            return QuantizerConfig("default", described.place, **described.overrides)
        if described.place == "datalane":
            self._of_data(given, argument)
        conf = configured(given, described.place, argument)
        if part not in ("softmax/exp", "softmax/inv"):
            return conf
        forced = {name: value for name, value in described.overrides.items() if word == "oq" or name.endswith("_axis")}
        return conf.replaced(**forced)

    # --- what it computes --------------------------------------------------------------------------------------------

    def attention(self) -> MultiHeadAttention:
        """What the layer declares."""
        axes = self.attention_axes
        return MultiHeadAttention(
            self.num_heads,
            self.key_dim,
            self.value_dim,
            output_shape=self.output_features,
            attention_axes=None if axes is None else tuple(n if n < 0 else n - 1 for n in axes),
            use_bias=self.use_bias,
            fuse=self.fuse,
            stable=self.stable_softmax,
            heterogeneous_tables=self.softmax_allow_heterogeneous_table,
            mask=self.attention_mask,
            causal=self.use_causal_mask,
            dropout=self.dropout,
            parallelization_factor=self.parallelization_factor,
            project=self.project,
            network=None if self.tables is None else self.tables.declared(),
            table_idxs=(6, 5) if self.tables is None else self.tables.table_idxs,
        )

    def declaration(self) -> Declaration:
        return self.attention()

    def __call__(
        self,
        query: Any,
        value: Any = None,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        """The output for query, value and key; or for a list of them, as a saved model calls it."""
        self._refuse_masks((query_mask, value_mask, key_mask, attention_mask))
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
        return super().__call__(self._packed(query, value, key), training=training)

    def _packed(self, query: Any, value: Any, key: Any) -> list[Any]:
        """The tensors that the declaration takes: one for what is fused."""
        if isinstance(query, list | tuple):
            query, value, key = (*query, value, key, None)[:3]
        value = query if value is None else value
        key = value if key is None else key
        check_fused(self.fuse, query, value, key, f"layer {self.name!r}")
        return [query, value, key][: fused_inputs(self.fuse)]

    def compute_mask(self, inputs: Any, previous_mask: Any) -> None:  # noqa: ARG002 (as Keras calls it)
        """Refuse masks that Keras carries along with the data, of Masking and Embedding; Keras calls this."""
        self._refuse_masks(previous_mask if isinstance(previous_mask, list | tuple) else (previous_mask,))

    def _refuse_masks(self, masks: Sequence[Any]) -> None:
        """Raise UnsupportedError for a mask that comes with the data: it would be one more input, and no number."""
        if any(mask is not None for mask in masks):
            message = (
                f"layer {self.name!r}: received a mask with its data, expected none: hardware has one mask, give it as "
                "attention_mask= when the layer is made; a mask that changes is data, apply it by QMultiply"
            )
            raise UnsupportedError(message)

    # --- what users and exporters read -------------------------------------------------------------------------------

    def _projection(self, part: str) -> ProjectionView | TableProjectionView:
        view = ProjectionView if self.tables is None else TableProjectionView
        return view(self, part, self.parallelization_factor)

    @property
    def query_dense(self) -> ProjectionView | TableProjectionView:
        """The projection of the query."""
        return self._projection("query")

    @property
    def key_dense(self) -> ProjectionView | TableProjectionView:
        """The projection of the key."""
        return self._projection("key")

    @property
    def value_dense(self) -> ProjectionView | TableProjectionView:
        """The projection of the value."""
        return self._projection("value")

    @property
    def output_dense(self) -> ProjectionView | TableProjectionView:
        """The projection of the sums of values."""
        return self._projection("output")

    @property
    def _softmax(self) -> SoftmaxView:
        number = (len(self.input_shapes[0]) - 2 if self.built else 1) if self.attention_axes is None else 0
        axes = tuple(range(-(number or len(self.attention_axes or ())), 0))
        return SoftmaxView(self, "softmax", axes, self.stable_softmax, 1.0 / sqrt(self.key_dim))

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        config = super().get_config()
        config.pop("iq_conf")
        for weight, (start, regularizer, constraint) in self.weight_options.items():
            config[f"{weight}_initializer"] = keras.initializers.serialize(start)
            config[f"{weight}_regularizer"] = keras.regularizers.serialize(regularizer)
            config[f"{weight}_constraint"] = keras.constraints.serialize(constraint)
        if self.tables is not None:
            config |= self.tables.config("table_spec")
        return config | {
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "dropout": self.dropout,
            "use_bias": self.use_bias,
            "output_shape": self.output_features,
            "attention_axes": self.attention_axes,
            "activity_regularizer": keras.regularizers.serialize(self.activity_regularizer),
            "seed": self.seed,
            "fuse": self.fuse,
            "stable_softmax": self.stable_softmax,
            "softmax_allow_heterogeneous_table": self.softmax_allow_heterogeneous_table,
            "parallelization_factor": self.parallelization_factor,
            "attention_mask": None if self.attention_mask is None else self.attention_mask.tolist(),
            "use_causal_mask": self.use_causal_mask,
            "enable_iq": True,
            "oq_conf": serialize(self._oq_conf) if self.enable_oq else None,
            # Of all slots, whatever the scope is in which it is read.
            "quantizer_confs": {slot: serialize(conf) for slot, conf in self._slot_confs.items()},
        }


def sizes_of(value: int | Sequence[int], argument: str, lowest: float = -inf) -> tuple[int, ...]:
    """One number or several as a tuple."""
    given = tuple(value) if isinstance(value, list | tuple) else (value,)
    return tuple(integer(n, argument, "an integer, or several", lowest) for n in given)
