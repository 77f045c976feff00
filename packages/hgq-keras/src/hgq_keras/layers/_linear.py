"""Layers that are a contraction or a convolution with a kernel and a bias; each declares its operation."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import keras

from hgq_core.cost import bias_cost, contraction_cost, convolution_cost
from hgq_core.errors import ConfigError, ShapeError
from hgq_core.graph.ops import Add
from hgq_core.linear import Contract, Convolve
from hgq_core.spec import Dummy
from hgq_keras.checks import positive_integer
from hgq_keras.computed import computed
from hgq_keras.kernels import relu
from hgq_keras.layers._base import (
    Bits,
    QLayer,
    Shape,
    check_factor,
    configured,
    constant_bits,
    fixed,
    instances,
    parallel_share,
)
from hgq_keras.ops import KERAS

if TYPE_CHECKING:
    from hgq_core.ops import Ops
    from hgq_keras.config import QuantizerConfig
    from hgq_keras.export import Emitter

__all__ = ["LinearLayer", "QDense", "QEinsumDense"]


class LinearLayer(QLayer):
    """``y = activation(op(iq(x), kq(kernel)) + bq(bias))``; abstract over the operation.

    Args:
        activation: name or function; ``relu`` and linear have hardware, others need `QUnaryFunctionLUT`.
        use_bias: add a bias.
        kernel_initializer: as in Keras, and so are the next ones.
        bias_initializer: of the bias.
        kernel_regularizer: added to the loss for the kernel.
        bias_regularizer: for the bias.
        activity_regularizer: for the output.
        kernel_constraint: applied to the kernel after a step.
        bias_constraint: to the bias.
        kq_conf: kernel quantizer; None: the scope's weight quantizer.
        bq_conf: bias quantizer; None: the scope's bias quantizer.
        parallelization_factor: instances that are built in hardware, -1 for all; EBOPs are scaled by ``pf / n``.
        **kwargs: those of `QLayer`.
    """

    def __init__(
        self,
        activation: Any,
        use_bias: bool,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        kq_conf: QuantizerConfig | None = None,
        bq_conf: QuantizerConfig | None = None,
        parallelization_factor: int = -1,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self.activation = keras.activations.get(activation)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.kernel_regularizer = keras.regularizers.get(kernel_regularizer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.kernel_constraint = keras.constraints.get(kernel_constraint)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        check_factor(parallelization_factor)
        self.parallelization_factor = int(parallelization_factor)
        self._kq_conf = configured(kq_conf, "weight", "kq_conf")
        self._bq_conf = configured(bq_conf, "bias", "bq_conf")
        self.kq = self.make_quantizer(self._kq_conf, "kq")
        self.bq = self.make_quantizer(self._bq_conf, "bq") if self.use_bias else None

    @abstractmethod
    def declare(self, shape: Shape) -> tuple[Contract | Convolve, tuple[int, ...], tuple[int, ...], int]:
        """Operation, kernel shape, bias shape and number of identical instances for an input shape."""

    def build_operation(self, shapes: list[Shape]) -> None:
        self.operation, kernel_shape, bias_shape, number = self.declare(shapes[0])
        self._share = parallel_share(self.parallelization_factor, number)
        self.kernel = self.add_weight(
            name="kernel",
            shape=kernel_shape,
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.kq.quantizes([self.kernel], self.name)
        self.kq.build(kernel_shape)
        self.bias = None
        if self.bq is not None:
            self.bias = self.add_weight(
                name="bias",
                shape=bias_shape,
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
            self.bq.build(bias_shape)

    def compute_output_shape(self, input_shape: Any) -> Shape:
        operation, kernel_shape, _, _ = self.declare(tuple(input_shape))
        return tuple(operation.shape(tuple(input_shape), kernel_shape))

    def compute(self, inputs: list[Any], training: bool | None) -> Any:
        y = self.operation.apply(KERAS, inputs[0], self.kq(self.kernel, training=training))
        if self.bq is not None:
            y = y + self.bq(self.bias, training=training)
        activation = relu if self.activation is keras.activations.relu else self.activation
        return y if activation is None else activation(y)

    @property
    @computed
    def qkernel(self) -> Any:
        """The quantized kernel as hardware has it."""
        return self.kq(self.kernel, training=False)

    @property
    @computed
    def qbias(self) -> Any:
        """The quantized bias as hardware has it; None without a bias."""
        return None if self.bq is None else self.bq(self.bias, training=False)

    def count_ebops(self, verbs: Ops, bits: Bits) -> Any:
        shape = self.input_shapes[0]
        kernel_shape = tuple(self.kernel.shape)
        if isinstance(self.operation, Contract):
            sizes = {letter: int(n or 1) for letter, n in self.operation.sizes(shape, kernel_shape).items()}
            total = contraction_cost(verbs, self.operation, bits(self.iq), bits(self.kq), sizes)
        else:
            spatial = fixed(shape[1:-1], self.name)
            total = convolution_cost(verbs, self.operation, bits(self.iq), bits(self.kq), spatial, kernel_shape)
        if self.bq is not None:
            positions = fixed(self.operation.shape(shape, kernel_shape)[1:], self.name)
            total = total + bias_cost(verbs, bits(self.bq), positions)
        return total * self._share

    def emit(self, emitter: Emitter, inputs: list[str]) -> str:
        factor = self.ebops_factor * self._share if self.enable_ebops else 0.0
        kernel = emitter.weight(self, "kernel", self.qkernel)
        bits = constant_bits(self.kq, kernel.shape)
        # A dummy has no bits to count, as in `count_ebops`, though the edge behind it may have some.
        counted = 0.0 if self.iqs and isinstance(self.iq.spec, Dummy) else factor
        y = emitter.add(self.operation, inputs[0], emitter.constant(kernel, bits, "kernel"), factor=counted)
        if self.bq is not None:
            bias = emitter.weight(self, "bias", self.qbias)
            y = emitter.add(Add(), y, emitter.constant(bias, constant_bits(self.bq, bias.shape), "bias"), factor=factor)
        return emitter.activation(self.activation, y)

    def get_config(self) -> dict[str, Any]:
        serialize = keras.saving.serialize_keras_object
        return super().get_config() | {
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "kernel_regularizer": keras.regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": keras.regularizers.serialize(self.activity_regularizer),
            "kernel_constraint": keras.constraints.serialize(self.kernel_constraint),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
            "kq_conf": serialize(self._kq_conf),
            "bq_conf": serialize(self._bq_conf),
            "parallelization_factor": self.parallelization_factor,
        }


@keras.saving.register_keras_serializable(package="hgq_keras")
class QDense(LinearLayer):
    """``y = activation(iq(x) @ kq(kernel) + bq(bias))`` over the last axis.

    Args:
        units: size of the output's last axis.
        activation: ``relu``, None, or another that is not exported.
        use_bias: add a bias.
        **kwargs: those of `LinearLayer` and of `QLayer`: quantizers ``iq_conf, kq_conf, bq_conf, oq_conf``,
            initialisers, regularisers, constraints, ``parallelization_factor``.

    Input ``(batch, ..., n)``, output ``(batch, ..., units)``.

    >>> import numpy as np
    >>> layer = QDense(3)
    >>> layer(np.ones((2, 4), "float32")).shape[1], layer.ebops > 0
    (3, True)
    """

    def __init__(self, units: int, activation: Any = None, use_bias: bool = True, **kwargs: Any) -> None:
        super().__init__(activation, use_bias, **kwargs)
        self.units = positive_integer(units, "units")

    def declare(self, shape: Shape) -> tuple[Contract, tuple[int, ...], tuple[int, ...], int]:
        if len(shape) < 2 or shape[-1] is None:
            message = f"layer {self.name!r}: received shape {shape}, expected (batch, ..., n) with n fixed"
            raise ShapeError(message)
        rows = "bcdefgh"[: len(shape) - 1]
        operation = Contract(f"{rows}i,io->{rows}o")
        return operation, (int(shape[-1]), self.units), (self.units,), instances(shape[1:-1], self.name)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"units": self.units}


@keras.saving.register_keras_serializable(package="hgq_keras")
class QEinsumDense(LinearLayer):
    """``y = activation(einsum(equation, iq(x), kq(kernel)) + bq(bias))``.

    Args:
        equation: as in ``keras.layers.EinsumDense``; may contain ``...``.
        output_shape: output shape without the batch axis and the axes of the ellipsis; None where it equals the input.
        activation: ``relu``, None, or another that is not exported.
        bias_axes: letters of the output along which the bias varies; None: no bias.
        **kwargs: those of `LinearLayer` and of `QLayer`, as for `QDense`.
    """

    def __init__(
        self, equation: str, output_shape: Any, activation: Any = None, bias_axes: str | None = None, **kwargs: Any
    ) -> None:
        kwargs.pop("use_bias", None)
        super().__init__(activation, bool(bias_axes), **kwargs)
        self.equation = equation
        self.partial_output_shape = _partial_shape(output_shape)
        self.bias_axes = bias_axes

    def declare(self, shape: Shape) -> tuple[Contract, tuple[int, ...], tuple[int, ...], int]:
        operation, elided = _explicit(self.equation, len(shape))
        first, kernel, output = operation.terms
        if len(first) != len(shape):
            message = (
                f"layer {self.name!r}: received shape {shape} with {len(shape)} axes, expected {len(first)}, "
                f"one for each letter of {first!r} in {self.equation!r}"
            )
            raise ShapeError(message)
        try:
            operation.check_batch(constant=(False, True))
        except ShapeError as error:
            raise ShapeError(f"layer {self.name!r}: {error}") from error
        sizes: dict[str, int | None] = dict(zip(first, shape, strict=True))
        explicit = [letter for letter in output if letter not in elided and letter != first[0]]
        if len(explicit) != len(self.partial_output_shape):
            message = f"layer {self.name!r}: output_shape {self.partial_output_shape} does not name the axes {explicit}"
            raise ShapeError(message)
        for letter, size in zip(explicit, self.partial_output_shape, strict=True):
            known = sizes.get(letter)
            if size is not None and known is not None and size != known:
                message = f"layer {self.name!r}: axis {letter!r} is {known} in the input and {size} in output_shape"
                raise ShapeError(message)
            sizes[letter] = known if size is None else size
        kernel_shape = tuple(n for letter in kernel if (n := sizes[letter]) is not None)
        if len(kernel_shape) < len(kernel):
            message = f"layer {self.name!r}: the kernel's shape {tuple(sizes[c] for c in kernel)} must be fixed"
            raise ShapeError(message)
        free = [sizes[letter] for letter in first[1:] if letter in output and letter not in kernel]
        return operation, kernel_shape, self._bias_shape(output, sizes), instances(free, self.name)

    def _bias_shape(self, output: str, sizes: dict[str, int | None]) -> tuple[int, ...]:
        if not self.bias_axes:
            return ()
        if unknown := set(self.bias_axes) - set(output):
            names = f"bias_axes {self.bias_axes!r} names {sorted(unknown)}"
            message = f"layer {self.name!r}: {names}, which the output {output!r} does not have"
            raise ConfigError(message)
        if output[0] in self.bias_axes:
            message = (
                f"layer {self.name!r}: bias_axes {self.bias_axes!r} names the batch axis {output[0]!r}; leave it out"
            )
            raise ConfigError(message)
        start = min(output.index(letter) for letter in self.bias_axes)
        return tuple(int(sizes[c] or 1) if c in self.bias_axes else 1 for c in output[start:])

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("use_bias")
        return config | {
            "equation": self.equation,
            "output_shape": self.partial_output_shape,
            "bias_axes": self.bias_axes,
        }


def _partial_shape(value: Any) -> tuple[int | None, ...]:
    """Sizes of the output's own axes; raises ConfigError for anything but positive integers and None."""
    sizes = tuple(value) if isinstance(value, list | tuple) else (value,)
    return tuple(None if size is None else positive_integer(size, "output_shape") for size in sizes)


def _explicit(equation: str, rank: int) -> tuple[Contract, str]:
    """The equation with the ellipsis spelled out for an input of this rank, and the letters that stand for it."""
    equation = equation.replace(" ", "")
    term = equation.partition(",")[0]
    if "..." not in equation:
        return Contract(equation), ""
    unused = [letter for letter in "zyxwvutsrqponm" if letter not in equation]
    elided = "".join(unused[: rank - len(term.replace("...", ""))])
    return Contract(equation.replace("...", elided)), elided
