"""Dense layers of trained tables: `QLinearT` over the last axis, `QEinsumDenseT` by an equation."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from hgq_core.errors import ConfigError
from hgq_core.layers import TableDense, TableEinsum
from hgq_torch.nn._arguments import positive
from hgq_torch.nn._table_base import Tables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

    from hgq_core.layers import Declaration
    from hgq_torch._make import QuantizerLike
    from hgq_torch.nn._activated import ActivationLike

__all__ = ["QEinsumDenseT", "QLinearT"]


class QLinearT(Tables):
    r"""A dense layer with a trained table for each pair of input and output.

    .. math:: y_o = Q_o(\operatorname{act}(\sum_i Q_t(T_{io}(Q_i(x_i))) + Q_b(b_o)))

    The table of an edge is a small network of one number, whose output is divided by the root of the number of inputs,
    so that layers of any width start and train alike. Each edge has a width of its own before and behind its table.

    Args:
        in_features: size of the last axis of the input.
        out_features: size of the last axis of the output.
        bias: whether there is a bias.
        activation: behind the sum: a name, function or module that needs no table, as of `QLinear`.
        hidden_layers: of the network of an edge.
        hidden_units: of each hidden layer.
        function: of a hidden layer, element by element; None: linear.
        batch_norm: whether the output of each edge is normalised.
        eps: of that, added to the variance.
        momentum: how far its running averages go to those of each batch.
        table_idxs: bits of the inputs of the tables that EBOPs counts in.
        toq: quantizer of the outputs of the tables, seen as ``(batch, *rows, out_features, in_features)``.
        bq: quantizer of the bias.
        iq: quantizer of the input at the tables, seen as that of ``toq``.
        oq: quantizer of the output; giving one enables it.
        input_shape: shape of the input without the batch axis; ``(in_features,)`` if not given.
        enable_iq: has to be so.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: how many positions of ``input_shape[:-1]`` are built in hardware, -1 for all.
        device: of the parameters.
        dtype: of the parameters, float32 or float64.

    Raises:
        ConfigError: an option that does not fit.

    >>> QLinearT(4, 3)(torch.zeros(2, 4)).shape
    torch.Size([2, 3])
    """

    fewest_axes: ClassVar[int] = 1

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        activation: ActivationLike = None,
        *,
        hidden_layers: int = 1,
        hidden_units: int = 8,
        function: Callable[[Tensor], Tensor] | None = torch.tanh,
        batch_norm: bool = False,
        eps: float = 1e-3,
        momentum: float | None = 0.01,
        table_idxs: tuple[int, int] = (6, 5),
        toq: QuantizerLike = None,
        bq: QuantizerLike = None,
        iq: QuantizerLike = None,
        oq: QuantizerLike = None,
        input_shape: Sequence[int] | None = None,
        enable_iq: bool | None = True,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        parallelization_factor: int = -1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            activation, iq=iq, oq=oq, enable_iq=enable_iq, enable_oq=enable_oq, enable_ebops=enable_ebops, beta0=beta0,
            quantizers={"toq": toq, "bq": bq}, device=device, dtype=dtype,
        )  # fmt: skip
        self.in_features, self.out_features = (
            positive(in_features, "in_features"),
            positive(out_features, "out_features"),
        )
        self.use_bias = bool(bias)
        hidden = hidden_layers, hidden_units
        self.set_network(hidden, function, (bool(batch_norm), eps, momentum), table_idxs, parallelization_factor)
        self.input_shape = (in_features,) if input_shape is None else tuple(input_shape)
        if not self.input_shape or self.input_shape[-1] != in_features:
            message = f"input_shape: received {self.input_shape}, expected one that ends in in_features={in_features}"
            raise ConfigError(message)
        self.build(self.input_shape)

    def declaration(self) -> Declaration:
        """Tables, Reduce, Add, Relu."""
        return TableDense(self.out_features, self.use_bias, **self.declared())

    def extra_repr(self) -> str:
        """Features, bias and network."""
        net = self.network
        return f"{self.in_features}, {self.out_features}, bias={self.use_bias}, hidden={net.hidden}x{net.units}"


class QEinsumDenseT(Tables):
    """`QLinearT` by an equation: a table for each index of the axes that a kernel would have, summed as it says.

    Args:
        equation: see `QEinsumDense`, as the next ones.
        output_shape: sizes of the output's axes.
        bias_axes: letters of the output along which the bias varies; None: no bias.
        activation: None, a name, function or module that needs no table, as of `QLinear`.
        input_shape: shape of the input without the batch axis.
        hidden_layers: see `QLinearT`, as the next ones.
        hidden_units: of each hidden layer.
        function: of a hidden layer.
        batch_norm: whether the output of each edge is normalised.
        eps: added to the variance.
        momentum: of the running averages.
        table_idxs: bits that EBOPs counts in.
        toq: quantizer of the outputs of the tables.
        bq: quantizer of the bias.
        iq: quantizer of the input at the tables.
        oq: quantizer of the output.
        enable_iq: has to be so.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: instances that are built in hardware, -1 for all.
        device: of the parameters.
        dtype: of the parameters, float32 or float64.

    Raises:
        ConfigError: an option that does not fit.
        ShapeError: shapes that the equation does not take.

    >>> QEinsumDenseT("bti,io->bto", (3, 2), input_shape=(3, 4))(torch.zeros(2, 3, 4)).shape
    torch.Size([2, 3, 2])
    """

    def __init__(
        self,
        equation: str,
        output_shape: Sequence[int | None] | int,
        bias_axes: str | None = None,
        activation: ActivationLike = None,
        *,
        input_shape: Sequence[int],
        hidden_layers: int = 1,
        hidden_units: int = 8,
        function: Callable[[Tensor], Tensor] | None = torch.tanh,
        batch_norm: bool = False,
        eps: float = 1e-3,
        momentum: float | None = 0.01,
        table_idxs: tuple[int, int] = (6, 5),
        toq: QuantizerLike = None,
        bq: QuantizerLike = None,
        iq: QuantizerLike = None,
        oq: QuantizerLike = None,
        enable_iq: bool | None = True,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        parallelization_factor: int = -1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            activation, iq=iq, oq=oq, enable_iq=enable_iq, enable_oq=enable_oq, enable_ebops=enable_ebops, beta0=beta0,
            quantizers={"toq": toq, "bq": bq}, device=device, dtype=dtype,
        )  # fmt: skip
        self.equation, self.bias_axes = equation, bias_axes or None
        sizes = (output_shape,) if isinstance(output_shape, int) else output_shape
        self.partial_output_shape = tuple(None if n is None else positive(n, "output_shape") for n in sizes)
        hidden = hidden_layers, hidden_units
        self.set_network(hidden, function, (bool(batch_norm), eps, momentum), table_idxs, parallelization_factor)
        self.input_shape = tuple(positive(n, "input_shape") for n in input_shape)
        self.build(self.input_shape)

    def declaration(self) -> Declaration:
        """Tables, Reduce, Add, Relu."""
        return TableEinsum(self.equation, self.partial_output_shape, self.bias_axes, **self.declared())

    def extra_repr(self) -> str:
        """Equation, shapes and bias."""
        shapes = f"{self.partial_output_shape}, bias_axes={self.bias_axes!r}, input_shape={self.input_shape}"
        return f"{self.equation!r}, {shapes}"
