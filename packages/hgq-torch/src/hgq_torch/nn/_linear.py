"""`QLinear`: a dense layer with trained widths."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from hgq_core.cost import bias_cost, contraction_cost
from hgq_core.errors import ConfigError, DataError, ShapeError
from hgq_core.graph import ops as op
from hgq_core.linear import Contract
from hgq_core.spec import Dummy
from hgq_torch import _nodes
from hgq_torch.nn._base import QModule, QuantizerLike, finite_array, make_quantizer
from hgq_torch.nn._fused import fused_step
from hgq_torch.nn._plan import Plan, plan_of
from hgq_torch.nn._start import Start
from hgq_torch.ops import TORCH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hgq_core.graph import GraphBuilder
    from hgq_torch.quantizer import Quantizer

__all__ = ["QLinear"]


class QLinear(QModule):
    r"""A dense layer whose input, weight and bias have trained widths.

    .. math:: y = Q_o(\operatorname{act}(Q_i(x) Q_k(W)^T + Q_b(b)))

    Weights are stored as those of `torch.nn.Linear`. If the initial widths would round most of the weight to zero, or
    clip it, wider ones are taken, with a `DeadLayerWarning`; so for a weight that is loaded without widths, or assigned
    before training, at the first training step.

    Args:
        in_features: size of the last axis of the input.
        out_features: size of the last axis of the output.
        bias: whether there is a bias.
        activation: None or ``"relu"``.
        kq: quantizer of the weight, seen as ``(out_features, in_features)``; a `Quantizer`, a specification
            (`hgq_core.KBI` and so on), the name of a type, a dict of its parameters, or None for the scope's default.
        bq: quantizer of the bias, seen as ``(out_features,)``.
        iq: quantizer of the input, seen as ``(batch, *input_shape)``.
        oq: quantizer of the output, seen as ``(batch, *input_shape[:-1], out_features)``; giving one enables it.
        input_shape: shape of the input without the batch axis; ``(in_features,)`` if not given.
        enable_iq: whether the input is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: how many of the positions of ``input_shape[:-1]`` are built in hardware, -1 for all.
        device: of the parameters.
        dtype: of the parameters, float32 or float64.

    Raises:
        ConfigError: an unknown option, a size below 1, or low precision.

    Shape: ``(batch, *input_shape) -> (batch, *input_shape[:-1], out_features)``.

    >>> layer = QLinear(16, 64, activation="relu")
    >>> layer(torch.zeros(8, 16)).shape
    torch.Size([8, 64])
    """

    weight: nn.Parameter
    bias: nn.Parameter | None
    kq: Quantizer
    bq: Quantizer | None
    start: Start

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        activation: str | None = None,
        *,
        kq: QuantizerLike = None,
        bq: QuantizerLike = None,
        iq: QuantizerLike = None,
        oq: QuantizerLike = None,
        input_shape: Sequence[int] | None = None,
        enable_iq: bool | None = None,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        parallelization_factor: int = -1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        _check_sizes(in_features=in_features, out_features=out_features)
        options: dict[str, Any] = {"device": device, "dtype": _checked_dtype(dtype)}
        if oq is not None and enable_oq is None:
            enable_oq = True
        super().__init__(enable_iq=enable_iq, enable_oq=enable_oq, enable_ebops=enable_ebops, beta0=beta0, **options)
        self.in_features, self.out_features = in_features, out_features
        self.activation = _checked_activation(activation)
        self.input_shape = (in_features,) if input_shape is None else tuple(input_shape)
        if not self.input_shape or self.input_shape[-1] != in_features or 0 in self.input_shape:
            message = (
                f"input_shape: received {self.input_shape}, expected a shape that ends in in_features={in_features}, "
                "without an axis of size 0"
            )
            raise ConfigError(message)
        self.output_shape = (*self.input_shape[:-1], out_features)
        self.parallelization_factor = parallelization_factor
        instances = math.prod(self.input_shape[:-1])
        if parallelization_factor != -1 and not 1 <= parallelization_factor <= instances:
            message = f"parallelization_factor: received {parallelization_factor}, expected -1 or 1 to {instances}"
            raise ConfigError(message)
        self.ebops_factor = 1.0 if parallelization_factor == -1 else parallelization_factor / instances
        letters = "tuvwxyz"[: len(self.input_shape) - 1]
        self.operation = Contract(f"b{letters}i,io->b{letters}o")
        self.weight = nn.Parameter(torch.empty((out_features, in_features), **options))
        if bias:
            self.bias = nn.Parameter(torch.empty(out_features, **options))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()
        self.kq = make_quantizer(kq, "weight", (out_features, in_features), **options)
        self.bq = make_quantizer(bq, "bias", (out_features,), **options) if bias else None
        self.iq = make_quantizer(iq, "datalane", (None, *self.input_shape), **options) if self.enable_iq else None
        self.oq = make_quantizer(oq, "datalane", (None, *self.output_shape), **options) if self.enable_oq else None
        self.start = Start()
        self.start.judge(self.kq, self.weight, self._title, made=True)
        self.plan: Plan | None = plan_of(self)

    def reset_parameters(self) -> None:
        """Initialise weight and bias as `torch.nn.Linear` does."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features) if self.in_features else 0
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """The output ``(batch, *input_shape[:-1], out_features)`` for x ``(batch, *input_shape)``.

        Raises:
            ShapeError: x has another shape.
            DataError: x has a wider type than the weights, or, in training, no rows.
            ConfigError: the weights are in low precision.
        """
        if x.shape[1:] != self.input_shape:
            message = (
                f"{self._title}: received {tuple(x.shape)}, expected (batch, "
                f"{', '.join(map(str, self.input_shape))}); give input_shape for data with more axes"
            )
            raise ShapeError(message)
        if torch.is_autocast_enabled(x.device.type):
            # Sums of products are exact in the weights' type only.
            with torch.autocast(x.device.type, enabled=False):
                return self.forward(x.to(self.weight.dtype))
        if x.dtype is not self.weight.dtype or self.weight.dtype not in _EXACT:
            self._check_types(x)
        if not self.training or torch.compiler.is_compiling():
            y = self._plain(x)
        else:
            y = self._step(x)
        return y if self.oq is None else self.oq(y)

    def _check_types(self, x: Tensor) -> None:
        own, layer = self.weight.dtype, self._title
        if own not in _EXACT:
            message = (
                f"{layer}: its weights are {own}, in which sums of products are not exact; expected torch.float32 or "
                "torch.float64: call .float() on the model, and use torch.autocast for the layers around it"
            )
            raise ConfigError(message)
        if torch.promote_types(x.dtype, own) is not own:
            message = f"{layer}: received {x.dtype}, its weights are {own}; convert the data, x.to({own}), or the model"
            raise DataError(message)

    def _step(self, x: Tensor) -> Tensor:
        """Everything but the output quantizer in training; a compiler fuses the composed path itself."""
        if self.start.is_open:
            self.judge_start()
        iq, kq, bq = self.iq, self.kq, self.bq
        if self.plan is not None and not self.plan.holds(self.activation, iq, kq, bq):
            self.plan = plan_of(self)
        if self.plan is None or iq is None or x.dtype is not self.weight.dtype:
            return self._plain(x)
        if not all(q is None or (q.training and not q.calibrating and q.is_plain) for q in (iq, kq, bq)):
            return self._plain(x)
        y = fused_step(self, self.plan, (iq, kq, bq), x)
        return self._plain(x) if y is None else y

    @property
    def _title(self) -> str:
        return f"QLinear({self.in_features}, {self.out_features})"

    def judge_start(self) -> None:
        """See `QModule.judge_start`."""
        if self.start.is_open:
            self.start.judge(self.kq, self.weight, self._title)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """A weight that comes without its widths, as from a float model, is judged again."""
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        if f"{prefix}weight" in state_dict:
            given = any(f"{prefix}kq.{name}" in state_dict for name in self.kq.trained)
            self.start = Start(is_open=not given)

    def _plain(self, x: Tensor) -> Tensor:
        """Everything but the output quantizer, from composed modules."""
        if self.iq is not None:
            x = self.iq(x)
        bias = None if self.bias is None or self.bq is None else self.bq(self.bias)
        y = nn.functional.linear(x, self.kq(self.weight), bias)
        return torch.relu(y) if self.activation == "relu" else y

    def ebops(self) -> Tensor:
        """EBOPs of the contraction and of the bias, shape ``()``, differentiable in the widths."""
        if self.iq is None or not self.enable_ebops:
            return self.weight.new_zeros(())
        sizes = dict(zip(self.operation.terms[0], (1, *self.input_shape), strict=True)) | {"o": self.out_features}
        data = self._bits(self.iq, 1 + len(self.input_shape))
        kernel = self._bits(self.kq, 2, self.weight).transpose(0, 1)
        total = contraction_cost(TORCH, self.operation, data, kernel, sizes)
        if self.bias is not None and self.bq is not None:
            total = total + bias_cost(TORCH, self._bits(self.bq, 1, self.bias), self.output_shape)
        return total * self.ebops_factor

    def _bits(self, quantizer: Quantizer, rank: int, values: Tensor | None = None) -> Tensor:
        """The widths that EBOPs counts; a dummy has none, and so no shape of its own."""
        if isinstance(quantizer.spec, Dummy):
            return self.weight.new_zeros((1,) * rank)
        return quantizer.counted_bits(values)

    def quantized_weights(self) -> dict[str, Tensor]:
        """``weight`` and ``bias`` as the hardware has them, without gradient."""
        result = {"weight": self.kq.inferred(self.weight)}
        if self.bias is not None and self.bq is not None:
            result["bias"] = self.bq.inferred(self.bias)
        return result

    def to_nodes(self, builder: GraphBuilder, x: str, label: str) -> str:
        """Quantize, Contract, Add, Relu, Quantize."""
        factor = self.ebops_factor if self.enable_ebops else 0.0
        weights = self.quantized_weights()
        if self.iq is not None:
            x = _nodes.quantize(builder, self.iq, x, label, "iq", self.weight.dtype)
        kernel = finite_array(weights["weight"], f"{label or 'model'}.weight").T
        bits = _nodes.constant_bits(self.kq, self.weight)
        constant = op.Constant.of(kernel, None if bits is None else bits.T)
        # A dummy has no bits to count, as in `ebops`, though the edge behind it may have some.
        counted = 0.0 if self.iq is not None and isinstance(self.iq.spec, Dummy) else factor
        x = builder.add(self.operation, x, builder.add(constant, label=label), label=label, ebops_factor=counted)
        if "bias" in weights and self.bq is not None and self.bias is not None:
            values = finite_array(weights["bias"], f"{label or 'model'}.bias")
            offset = builder.add(op.Constant.of(values, _nodes.constant_bits(self.bq, self.bias)), label=label)
            x = builder.add(op.Add(), x, offset, label=label, ebops_factor=factor)
        if self.activation == "relu":
            x = builder.add(op.Relu(), x, label=label, ebops_factor=factor)
        return x if self.oq is None else _nodes.quantize(builder, self.oq, x, label, "oq", self.weight.dtype)

    def extra_repr(self) -> str:
        """Features, bias and activation."""
        return f"{self.in_features}, {self.out_features}, bias={self.bias is not None}, activation={self.activation!r}"


_EXACT = (torch.float32, torch.float64)


def _checked_dtype(dtype: torch.dtype | None) -> torch.dtype | None:
    if (torch.get_default_dtype() if dtype is None else dtype) not in _EXACT:
        message = f"dtype: received {dtype}, expected torch.float32 or torch.float64, in which sums are exact"
        raise ConfigError(message)
    return dtype


def _check_sizes(**sizes: Any) -> None:
    for name, size in sizes.items():
        if not hasattr(size, "__index__") or size < 1:
            message = f"{name}: received {size!r}, expected a whole number of at least 1"
            raise ConfigError(message)


def _checked_activation(name: str | None) -> str | None:
    if name not in (None, "relu", "linear"):
        message = f"activation: received {name!r}, expected None or 'relu'; put other activations after the layer"
        raise ConfigError(message)
    return None if name == "linear" else name
