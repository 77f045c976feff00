"""`Quantizer`: a module whose parameters are bit-widths."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor

from hgq_core.errors import ConfigError, ShapeError
from hgq_core.numbers import checked_affine, checked_noise, checked_scaler
from hgq_core.quantizer import Mode, counted, full_width, transformed
from hgq_core.quantizer.range import follows, is_weight_range, wraps
from hgq_core.scope import resolve
from hgq_core.spec import KBI, KIF, Dummy, Float, Spec
from hgq_torch._functions import FixedPointFunction, MiniFloatFunction
from hgq_torch._kept import kept, may_keep
from hgq_torch._ops import TORCH
from hgq_torch._range import FollowedRange
from hgq_torch.kernels.inference import InferenceGrid, infer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from hgq_core.granularity import Sharing
    from hgq_core.kept import Kept

__all__ = ["Mode", "Quantizer"]


class Quantizer(FollowedRange):
    r"""Fixed-point or minifloat quantization with trained widths, straight-through gradients in closed form.

    Widths are stored as floats and read as ``rint(clip(width))``, bits. A trained width is a parameter (``i, f`` of
    kif, ``b, i`` of kbi, ``m, e, e0`` of float); ``k``, and ``i`` under WRAP, which follows the data, are buffers.

    .. math:: y = \operatorname{affine}(s \, Q(x / s)), \quad Q(x) = 2^{-f} \operatorname{round}(2^f x) \text{ in range}

    Constraints (`Bounds`) hold whenever a width is read. In training the stored floats are moved into their bounds as
    well, by `project_`, at the next forward pass, as an optimizer's projection would; nothing is saved for the
    backward pass that this could spoil.

    Args:
        spec: a specification (`hgq_core.spec`), or a type: ``"kif"``, ``"kbi"``, ``"float"``, ``"dummy"`` or
            ``"default"``.
        place: ``"weight"``, ``"bias"``, ``"table"`` or ``"datalane"``; with a type, gives the defaults of the scope.
        shape: shape of the tensors, the batch axis of data as None. Without it the widths take their shape from the
            first tensor (make the optimizer before or after, the parameters stay the same objects).
        scaler: s above, not 0.
        affine: ``(scale, shift)`` applied to the result, scale not 0.
        qnoise_factor: in training the output is ``x + qnoise_factor * (Q(x) - x)``; 0 to 1.
        device: where the widths live.
        dtype: of the widths.
        **overrides: parameters of the specification, when a type is given.

    Raises:
        ConfigError: an unknown type, place, parameter or axis.

    >>> q = Quantizer("kif", "datalane", shape=(None, 2), i0=1, f0=1).eval()
    >>> q(torch.tensor([[0.7, -0.3]])).detach()
    tensor([[ 0.5000, -0.5000]])
    >>> q.formats().width
    array([[3, 3]])
    """

    def __init__(
        self,
        spec: Spec | str = "default",
        place: str = "datalane",
        *,
        shape: Sequence[int | None] | None = None,
        scaler: float | None = None,
        affine: tuple[float, float] | None = None,
        qnoise_factor: float | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **overrides: Any,
    ) -> None:
        if isinstance(spec, str):
            spec = resolve(spec, place, **overrides)
        elif overrides:
            message = f"received a specification and also {sorted(overrides)}; put them into the specification"
            raise ConfigError(message)
        super().__init__(spec, data=place == "datalane", device=device, dtype=dtype)
        self.place = place
        self.scaler = checked_scaler(scaler)
        self.affine = checked_affine(affine)
        self.qnoise_factor = checked_noise(qnoise_factor)
        self._grid: Kept[InferenceGrid] = kept()
        self._weight: Kept[Tensor] = kept()
        if shape is not None:
            self.build(shape)

    @property
    def is_plain(self) -> bool:
        """Whether nothing surrounds the quantization: no scaler, affine map, noise factor, or hook of PyTorch."""
        return self.scaler is None and self.affine is None and self.qnoise_factor is None and not self.is_watched

    @property
    def is_watched(self) -> bool:
        """Whether PyTorch has hooks to call around it."""
        return bool(self._forward_hooks or self._forward_pre_hooks or self._backward_hooks or self._backward_pre_hooks)

    def counted_bits(self, values: Tensor | None = None) -> Tensor:
        """The widths that EBOPs counts (bits), differentiable, broadcastable to the tensor.

        A minifloat counts ``m + e + 1``, 0 for ``m = -1``. A dummy counts 0, of shape ``()``: a number without a format
        has no hardware to count.

        Args:
            values: the weight, for a weight quantizer under WRAP, whose range is always that of the weight.
        """
        if isinstance(self.spec, Dummy):
            return torch.zeros(()) if values is None else values.new_zeros(())
        width: Callable[[str], Tensor] = self._whole
        # In kbi the bits are stored, and do not depend on the range.
        if values is not None and isinstance(self.spec, KIF) and is_weight_range(self.spec):
            k, i, f = self._formats_of(self.sharing.split(TORCH, values.detach()), Mode.INFER)
            width = {"k": k, "i": i, "f": f}.__getitem__
        return cast("Tensor", self.sharing.expand(TORCH, counted(TORCH, self.spec, width)))

    def full_width(self) -> Tensor:
        """The widths of `counted_bits` with the sign in every mode, as layers of tables count data."""
        return cast("Tensor", self.sharing.expand(TORCH, full_width(TORCH, self.spec, self._whole)))

    def _whole(self, name: str) -> Tensor:
        return self.k if name == "k" else self.width(name)

    # --- quantization -------------------------------------------------------------------------------------------------

    def forward(self, x: Tensor) -> Tensor:
        """X quantized, of the same shape.

        Raises:
            ShapeError: x does not fit the widths.
            DataError: x is empty, where the range follows it.
        """
        if self._sharing is None and not isinstance(self.spec, Dummy):
            data = self.place == "datalane"
            self.build((None, *x.shape[1:]) if data else tuple(x.shape))
        return self._transformed(x, self.mode)

    def weight_at_hand(self, weight: Tensor) -> Tensor:
        """The quantized weight; at inference the one of last time, as long as weight and widths are the same.

        It is the tensor that is kept: do not write to it.
        """
        if self.mode is not Mode.INFER or self.calibrating or self.is_watched or not may_keep(weight):
            return cast("Tensor", self(weight))
        sources = [weight, *(getattr(self, name) for name in self.stored)]
        return self._weight.result(sources, lambda: cast("Tensor", self(weight)))

    def inferred(self, x: Tensor) -> Tensor:
        """X quantized as at inference, whatever the mode, without gradient and without a change of state."""
        with torch.no_grad():
            return self._transformed(x, Mode.INFER)

    def _transformed(self, x: Tensor, mode: Mode) -> Tensor:
        """Quantization with scaler, noise factor and affine map around it."""
        quantize = None if isinstance(self.spec, Dummy) else lambda inner: self._in_blocks(inner, mode)
        result = transformed(
            x, quantize, mode=mode, scaler=self.scaler, affine=self.affine, noise_factor=self.qnoise_factor
        )
        return cast("Tensor", result)

    def _in_blocks(self, x: Tensor, mode: Mode) -> Tensor:
        """Quantization of x in the shape in which blocks are axes of their own."""
        sharing = self.sharing
        self._check(x, sharing)
        return cast("Tensor", sharing.join(TORCH, self._quantized(sharing.split(TORCH, x), mode)))

    def _quantized(self, x: Tensor, mode: Mode) -> Tensor:
        spec = self.spec
        if mode is Mode.TRAIN:
            self.project_()
        if isinstance(spec, Float):
            return cast("Tensor", MiniFloatFunction.apply(x, *(self.width(name) for name in self.names)))
        spec = cast("KIF | KBI", spec)
        wrap = wraps(spec, mode)
        if mode is Mode.INFER and not self.calibrating and may_keep(x) and not follows(spec, mode):
            return infer(x, self._inference_grid(spec, wrap=wrap))
        if wrap and self.calibrating:
            self._observe_frozen(x.detach())
        k, i, f = self._formats_of(x.detach(), mode)
        noise = torch.rand_like(x) if spec.stochastic and mode is Mode.TRAIN else None
        result = FixedPointFunction.apply(x, k, i, f, spec.round_mode, spec.overflow_mode, wrap, noise)
        return cast("Tensor", result)

    def _inference_grid(self, spec: KIF | KBI, *, wrap: bool) -> InferenceGrid:
        """The grid of the present widths; kept until they change."""

        def compute() -> InferenceGrid:
            modes: dict[str, Any] = {"round_mode": spec.round_mode, "overflow_mode": spec.overflow_mode}
            return InferenceGrid.of(*self.kif(), wrap=wrap, **modes)

        return self._grid.result([getattr(self, name) for name in self.stored], compute)

    def _check(self, x: Tensor, sharing: Sharing) -> None:
        expected = sharing.joined_shape
        # An axis that shares one width may have any size.
        flexible = [
            want == -1 or (sharing.split_shape is None and sharing.width_shape[a] == 1)
            for a, want in enumerate(expected)
        ]
        sizes = zip(x.shape, expected, flexible, strict=False)
        if x.ndim != len(expected) or any(not free and have != want for have, want, free in sizes):
            names = ", ".join("batch" if n == -1 else str(n) for n in expected)
            message = f"the quantizer received shape {tuple(x.shape)}, its widths are for ({names})"
            raise ShapeError(message)

    def extra_repr(self) -> str:
        """Type, modes and the shape of the widths."""
        spec = self.spec
        shape = self._sharing.width_shape if self._sharing is not None else "not built"
        modes = f", {spec.round_mode}, {spec.overflow_mode}" if isinstance(spec, KIF | KBI) else ""
        return f"{spec.q_type}{modes}" if isinstance(spec, Dummy) else f"{spec.q_type}{modes}, widths={shape}"
