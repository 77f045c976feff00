"""What every quantized layer shares: quantizers at its edges, a cost, and its nodes in the Graph."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from hgq_core.errors import ConfigError, DataError
from hgq_core.numbers import not_negative
from hgq_core.scope import layer_option
from hgq_torch._widths import check_stored
from hgq_torch.quantizer import Quantizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hgq_core.graph import GraphBuilder
    from hgq_torch.nn._start import Start

__all__ = ["QModule", "QuantizerLike", "finite_array", "make_quantizer"]

QuantizerLike = Any
"""A `Quantizer`, a specification of `hgq_core.spec`, a type's name, a dict of overrides, or None for the default."""


def make_quantizer(given: QuantizerLike, place: str, shape: Sequence[int | None], **options: Any) -> Quantizer:
    """The quantizer that was given, or one made of the specification, name or overrides that were given, and built.

    Raises:
        ConfigError: something else was given.
    """
    if isinstance(given, Quantizer):
        if not given.built:
            given.build(shape)
        return given
    if given is None or isinstance(given, str):
        return Quantizer(given or "default", place, shape=shape, **options)
    if hasattr(given, "q_type"):
        return Quantizer(given, place, shape=shape, **options)
    if isinstance(given, dict):
        overrides: Mapping[str, Any] = {"spec": "default", **given}
        return Quantizer(place=place, shape=shape, **options, **overrides)
    message = (
        f"quantizer for place {place!r}: received {given!r}, expected a Quantizer, a specification (hgq_core.KIF, KBI, "
        "Float, Dummy), the name of a type, or a dict of its parameters"
    )
    raise ConfigError(message)


class QModule(nn.Module):
    """Abstract base of the quantized layers.

    A layer has quantizers (``iq`` of its input, ``oq`` of its output, others of its weights), declares one operation,
    and tells its EBOPs and its nodes of the Graph.

    Args:
        enable_iq: whether the input is quantized; None: as the scope says, and so for the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: first value of ``beta``.
        **options: ``device`` and ``dtype`` of the buffers.

    Raises:
        ConfigError: EBOPs are to be counted and the input is not quantized.

    Attributes:
        beta: factor of this layer's EBOPs in `hgq_torch.ebops_loss`, a buffer of shape ``()``.
        iq: quantizer of the input, or None.
        oq: quantizer of the output, or None.
        start: whether the widths of the weight are still to be judged; None for a layer without weights.
    """

    beta: Tensor
    iq: Quantizer | None
    oq: Quantizer | None
    start: Start | None = None

    def __init__(
        self,
        *,
        enable_iq: bool | None,
        enable_oq: bool | None,
        enable_ebops: bool | None,
        beta0: float | None,
        **options: Any,
    ) -> None:
        super().__init__()
        self.enable_iq = bool(_option(enable_iq, "enable_iq"))
        self.enable_oq = bool(_option(enable_oq, "enable_oq"))
        if enable_ebops and not self.enable_iq:
            message = (
                f"{type(self).__name__}: EBOPs count the bits of the input, and enable_iq=False leaves them unknown; "
                "enable the input quantizer, or give enable_ebops=False"
            )
            raise ConfigError(message)
        self.enable_ebops = self.enable_iq and bool(_option(enable_ebops, "enable_ebops"))
        beta = not_negative(_option(beta0, "beta0"), "beta0")
        self.register_buffer("beta", torch.full((), beta, **options))

    @abstractmethod
    def ebops(self) -> Tensor:
        """EBOPs of this layer, shape ``()``, differentiable in the widths."""

    @abstractmethod
    def to_nodes(self, builder: GraphBuilder, x: str, label: str) -> str:
        """Add this layer's nodes to a Graph; returns the name of its output."""

    @abstractmethod
    def quantized_weights(self) -> dict[str, Tensor]:
        """The weights as the hardware has them, by name, without gradient."""

    def own_weights(self) -> list[Tensor]:
        """Parameters and buffers of the layer itself, without those of its quantizers and without beta."""
        inside = {id(t) for q in self.modules() if isinstance(q, Quantizer) for t in (*q.parameters(), *q.buffers())}
        mine = (*self.parameters(), *self.buffers())
        return [tensor for tensor in mine if id(tensor) not in inside and tensor is not self.beta]

    def judge_start(self) -> None:
        """Widen, with a warning, the widths of weights that were made or loaded since and that they are too coarse for.

        Training calls it at its first step, and calibration before it begins. A layer without weights does nothing.
        """

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Widths and beta that are no numbers are refused before anything of the layer is overwritten."""
        for path, quantizer in self.named_modules(prefix=prefix.removesuffix(".")):
            for name in quantizer.stored if isinstance(quantizer, Quantizer) else ():
                key = f"{path}.{name}" if path else name
                check_stored(key, state_dict.get(key))
        beta = state_dict.get(f"{prefix}beta")
        if isinstance(beta, Tensor) and not beta.is_meta and not bool(torch.isfinite(beta).all() & (beta >= 0).all()):
            message = f"{prefix}beta: received {beta.tolist()}, expected finite, at least 0; the file is damaged"
            raise DataError(message)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def regularization(self) -> Tensor | None:
        """Sum of the regularisers of all widths of this layer; None without any."""
        terms = [q.regularization() for q in self.children() if isinstance(q, Quantizer)]
        given = [term for term in terms if term is not None]
        return sum(given[1:], given[0]) if given else None


def _option(given: object, name: str) -> Any:
    return layer_option(name) if given is None else given


def finite_array(values: Tensor, name: str) -> Any:
    """The tensor as float64 on the host; raises DataError, naming it, for NaN or infinity."""
    array = values.detach().double().cpu()
    if not bool(torch.isfinite(array).all()):
        message = (
            f"{name} contains NaN or infinity; the training diverged: lower the learning rate or restore a checkpoint"
        )
        raise DataError(message)
    return array.numpy()
