"""Unary functions as lookup tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import ops

from hgq_core.cost import lookup_cost
from hgq_core.errors import UnsupportedError
from hgq_core.formats import Formats
from hgq_core.graph.ops import Lookup
from hgq_core.ops import NUMPY
from hgq_core.quantize import fixed_point
from hgq_core.spec import KBI, KIF
from hgq_keras.layers._base import Bits, QLayer, Shape, configured, fixed
from hgq_keras.unary import check_elementwise, shared_values

if TYPE_CHECKING:
    from hgq_core.ops import Ops
    from hgq_keras.config import QuantizerConfig
    from hgq_keras.export import Emitter

__all__ = ["QUnaryFunctionLUT"]

_LARGEST = 20  # bits of a table's input


@keras.saving.register_keras_serializable(package="hgq_keras")
class QUnaryFunctionLUT(QLayer):
    """``y = oq(activation(iq(x)))`` as a table over every representable input.

    Args:
        activation: function of one number, or its Keras name; not softmax or glu, which mix elements.
        iq_conf: input quantizer; None: the scope's datalane quantizer.
        oq_conf: output quantizer; None: the scope's table quantizer.
        enable_oq: quantize the output; a layer without is trained, and not exported.
        enable_iq: quantize the input; likewise.
        allow_heterogeneous_input: False shares one input width over the tensor.
        allow_heterogeneous_table: False shares one output width over the tensor.
        override_oq_k0_to_0: start with an unsigned output, for functions that are never negative.
        **kwargs: those of `QLayer`.
    """

    output_quantizer_emitted = True

    def __init__(
        self,
        activation: Any,
        iq_conf: QuantizerConfig | None = None,
        oq_conf: QuantizerConfig | None = None,
        enable_oq: bool = True,
        enable_iq: bool = True,
        allow_heterogeneous_input: bool = True,
        allow_heterogeneous_table: bool = True,
        override_oq_k0_to_0: bool = False,
        **kwargs: Any,
    ) -> None:
        iq_conf, oq_conf = configured(iq_conf, "datalane", "iq_conf"), configured(oq_conf, "table", "oq_conf")
        if not allow_heterogeneous_input:
            iq_conf = iq_conf.replaced(heterogeneous_axis=())
        if not allow_heterogeneous_table:
            oq_conf = oq_conf.replaced(heterogeneous_axis=())
        if override_oq_k0_to_0:
            oq_conf = oq_conf.replaced(k0=0)
        super().__init__(iq_conf=iq_conf, oq_conf=oq_conf, enable_iq=enable_iq, enable_oq=enable_oq, **kwargs)
        self.activation = keras.activations.get(activation)
        check_elementwise(self.activation, self.name)
        self.allow_heterogeneous_input = bool(allow_heterogeneous_input)
        self.allow_heterogeneous_table = bool(allow_heterogeneous_table)
        self.override_oq_k0_to_0 = bool(override_oq_k0_to_0)

    def build_operation(self, shapes: list[Shape]) -> None:
        """A table has no variables of its own."""

    def compute_output_shape(self, input_shape: Any) -> Shape:
        return tuple(input_shape)

    def compute(self, inputs: list[Any], training: bool | None) -> Any:
        """At inference the numbers of the table; training needs only their accuracy, and is faster without float64."""
        return self.activation(inputs[0]) if training else shared_values(self.activation, inputs[0])

    def count_ebops(self, verbs: Ops, bits: Bits) -> Any:
        if self._oq is None or not self._iqs:
            return 0.0
        shape = fixed(self.input_shapes[0][1:], self.name)
        return lookup_cost(verbs, bits(self.iq), bits(self._oq), shape)

    def emit(self, emitter: Emitter, inputs: list[str]) -> str:
        """One table for each distinct pair of input and output format; the output quantizer is inside the table."""
        if self._oq is None or not self._iqs:
            message = f"layer {self.name!r}: a table needs enable_iq=True and enable_oq=True to be exported"
            raise UnsupportedError(message)
        for quantizer in (self.iq, self.oq):
            if not isinstance(quantizer.spec, KIF | KBI):
                message = (
                    f"layer {self.name!r}: its quantizers are {quantizer.spec.q_type!r}; a table needs 'kif' or 'kbi'"
                )
                raise UnsupportedError(message)
            if quantizer.config.scaler is not None or quantizer.config.affine is not None:
                message = f"layer {self.name!r}: a table takes no scaler and no affine; put them into its function"
                raise UnsupportedError(message)
        shape = emitter.shape(inputs[0])
        source, target = self.iq.formats(shape), self._output_formats(shape)
        pairs = np.stack([part.ravel() for f in (source, target) for part in (f.k, f.i, f.f)], axis=1)
        distinct, index = np.unique(pairs, axis=0, return_inverse=True)
        fraction = int(target.f.max())
        tables = tuple(self._table(row, fraction) for row in distinct)
        bits = np.rint(np.broadcast_to(self.oq.array_bits, (1, *shape))[0]).astype(np.int64)
        lookup = Lookup(source, tables, fraction, index.reshape(shape).astype(np.int64), bits)
        return emitter.add(lookup, inputs[0], factor=self.ebops_factor if self.enable_ebops else 0.0)

    def _output_formats(self, shape: tuple[int, ...]) -> Formats:
        """The output quantizer's formats; at the place ``table`` its widths carry a batch axis."""
        full = self.oq.formats((1, *shape))
        return Formats.of(full.k[0], full.i[0], full.f[0])

    def _table(self, row: np.ndarray, fraction: int) -> np.ndarray:
        """Every representable input through the function, as at inference, then the output quantizer."""
        k, i, f, *out = (int(n) for n in row)
        width = max(k + i + f, 0)
        if width > _LARGEST:
            message = (
                f"layer {self.name!r}: a table of 2**{width} entries is too large; expected at most {_LARGEST} bits"
            )
            raise UnsupportedError(message)
        codes = np.arange(2**width)
        signed = np.where(codes >= 2 ** (width - 1), codes - 2**width, codes) if k and width else codes
        inputs = np.ldexp(signed.astype(np.float64), -f).astype("float32")
        values = ops.convert_to_numpy(shared_values(self.activation, ops.convert_to_tensor(inputs)))
        values = values.astype(np.float64)
        if not np.all(np.isfinite(values)):
            message = (
                f"layer {self.name!r}: the function is not finite for some representable input; limit the input range"
            )
            raise UnsupportedError(message)
        spec = self.oq.fixed_spec
        widths = [np.float64(n) for n in out]
        rounded = fixed_point(
            NUMPY,
            values,
            *widths,
            round_mode=spec.round_mode,
            overflow_mode=spec.overflow_mode,
        )
        return np.ldexp(rounded, fraction).astype(np.int64)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {
            "activation": keras.activations.serialize(self.activation),
            "allow_heterogeneous_input": self.allow_heterogeneous_input,
            "allow_heterogeneous_table": self.allow_heterogeneous_table,
            "override_oq_k0_to_0": self.override_oq_k0_to_0,
        }
