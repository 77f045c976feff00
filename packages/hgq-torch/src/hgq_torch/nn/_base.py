"""What every quantized layer shares: quantizers at its edges, a cost, and its nodes in the Graph."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from hgq_core.alive import widened
from hgq_core.errors import ConfigError, DataError, DeadLayerWarning
from hgq_core.scope import layer_option
from hgq_core.spec import KBI, KIF
from hgq_torch.quantizer import Quantizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hgq_core.graph import GraphBuilder

__all__ = ["QModule", "QuantizerLike", "finite_array", "keep_alive", "make_quantizer"]

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
    """

    beta: Tensor
    iq: Quantizer | None
    oq: Quantizer | None

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
        self.enable_ebops = bool(_option(enable_ebops, "enable_ebops"))
        if self.enable_ebops and not self.enable_iq:
            message = (
                f"{type(self).__name__}: EBOPs count the bits of the input, and enable_iq=False leaves them unknown; "
                "enable the input quantizer, or give enable_ebops=False"
            )
            raise ConfigError(message)
        self.register_buffer("beta", torch.full((), float(_option(beta0, "beta0")), **options))

    @abstractmethod
    def ebops(self) -> Tensor:
        """EBOPs of this layer, shape ``()``, differentiable in the widths."""

    @abstractmethod
    def to_nodes(self, builder: GraphBuilder, x: str, label: str) -> str:
        """Add this layer's nodes to a Graph; returns the name of its output."""

    @abstractmethod
    def quantized_weights(self) -> dict[str, Tensor]:
        """The weights as the hardware has them, by name, without gradient."""

    def regularization(self) -> Tensor | None:
        """Sum of the regularisers of all widths of this layer; None without any."""
        terms = [q.regularization() for q in self.children() if isinstance(q, Quantizer)]
        given = [term for term in terms if term is not None]
        return sum(given[1:], given[0]) if given else None


def _option(given: object, name: str) -> Any:
    return layer_option(name) if given is None else given


def keep_alive(quantizer: Quantizer, weight: Tensor, layer: str) -> None:
    """Widen the initial widths of a weight that they would round to zero (`hgq_core.alive`), and say so.

    Raises:
        DataError: NaN or infinity in the weight.
    """
    spec = quantizer.spec
    if not isinstance(spec, KIF | KBI) or weight.is_meta:
        return
    formats = quantizer.formats()
    grown = "b" if isinstance(spec, KBI) else "f"
    change = widened(
        weight.detach().double().cpu().numpy(),
        formats.k,
        formats.i,
        formats.f,
        round_mode=spec.round_mode,
        overflow_mode=spec.overflow_mode,
        room=quantizer.bounds[grown].high - getattr(quantizer, grown).detach().max().item(),
    )
    if not change:
        return
    more = change.bits if isinstance(spec, KBI) else change.fraction
    quantizer.assign(**{grown: getattr(quantizer, grown).detach() + more})
    if change.integer:
        quantizer.assign(i=quantizer.i.detach() + change.integer)
    message = (
        f"{layer}: its initial widths round most of the weight to zero or clip it; they now have {change.fraction} "
        f"more fraction bits and {change.integer} more integer bits. Give the weight quantizer more bits ({grown}0) or "
        "another i0 to choose them yourself"
    )
    warnings.warn(message, DeadLayerWarning, stacklevel=3)


def finite_array(values: Tensor, name: str) -> Any:
    """The tensor as float64 on the host; raises DataError, naming it, for NaN or infinity."""
    array = values.detach().double().cpu()
    if not bool(torch.isfinite(array).all()):
        message = (
            f"{name} contains NaN or infinity; the training diverged: lower the learning rate or restore a checkpoint"
        )
        raise DataError(message)
    return array.numpy()
