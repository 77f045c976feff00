"""`Quantizer`: a module whose parameters are bit-widths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from hgq_core.cost import counted_bits
from hgq_core.errors import ConfigError, DataError, ShapeError
from hgq_core.formats import Formats
from hgq_core.modes import Overflow
from hgq_core.quantize import integer_bits_kbi, integer_bits_kif, round_scaled
from hgq_core.scope import resolve
from hgq_core.spec import KBI, KIF, Bounds, Dummy, Float, Spec
from hgq_torch._functions import FixedPointFunction, MiniFloatFunction, StoredWidth
from hgq_torch.ops import TORCH

if TYPE_CHECKING:
    from hgq_core.granularity import Sharing

__all__ = ["Mode", "Quantizer", "calibrating"]


class Mode(StrEnum):
    """What a quantizer does with a batch (`Quantizer.mode`)."""

    TRAIN = "train"
    """WRAP only rounds, and its ``i`` follows the batch."""
    CALIBRATE = "calibrate"
    """WRAP only rounds, and its ``i`` and ``k`` grow to hold the batch."""
    INFER = "infer"
    """What the hardware does: WRAP wraps."""


_NAMES = {"kif": ("i", "f"), "kbi": ("b", "i"), "float": ("m", "e", "e0"), "dummy": ()}
_INITIAL = {"float": {"m": "m0", "e": "e0", "e0": "e00"}}


class Quantizer(nn.Module):
    r"""Fixed-point or minifloat quantization with trained widths, straight-through gradients in closed form.

    Widths are stored as floats and read as ``rint(clip(width))``, bits. A trained width is a parameter (``i, f`` of kif,
    ``b, i`` of kbi, ``m, e, e0`` of float); ``k``, and ``i`` under WRAP, which follows the data, are buffers.

    .. math:: y = \operatorname{affine}(s \, Q(x / s)), \quad Q(x) = 2^{-f} \operatorname{round}(2^f x) \text{ in range}

    Constraints (`Bounds`) hold whenever a width is read. In training the stored floats are moved into their bounds as
    well, by `project_`, at the next forward pass, as an optimizer's projection would; nothing is saved for the
    backward pass that this could spoil.

    Args:
        spec: a specification (`hgq_core.spec`), or a type: ``"kif"``, ``"kbi"``, ``"float"``, ``"dummy"``, ``"default"``.
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
        super().__init__()
        if isinstance(spec, str):
            spec = resolve(spec, place, **overrides)
        elif overrides:
            message = f"received a specification and also {sorted(overrides)}; put them into the specification"
            raise ConfigError(message)
        _check_transforms(scaler, affine, qnoise_factor)
        self.spec = spec
        self.place = place
        self.scaler, self.affine, self.qnoise_factor = scaler, affine, qnoise_factor
        self.calibrating = False
        self.process_group: Any = None
        self.names = _NAMES[spec.q_type]
        self.bounds = {name: _bounds(spec, name) for name in self.names}
        self._sharing: Sharing | None = None
        options: dict[str, Any] = {"device": device, "dtype": dtype}
        for name in self.names:
            if name in self.trained:
                requires_grad = cast("KIF | KBI | Float", spec).trainable
                self.register_parameter(name, UninitializedParameter(requires_grad=requires_grad, **options))
            else:
                self.register_buffer(name, UninitializedBuffer(requires_grad=False, **options))
        if isinstance(spec, KIF | KBI):
            self.register_buffer("k", UninitializedBuffer(requires_grad=False, **options))
        if shape is not None:
            self.build(shape)

    # --- building -----------------------------------------------------------------------------------------------------

    @property
    def trained(self) -> tuple[str, ...]:
        """Names of the widths that are parameters."""
        wraps = isinstance(self.spec, KIF | KBI) and self.spec.overflow_mode is Overflow.WRAP
        return tuple(name for name in self.names if not (wraps and name == "i"))

    @property
    def fixed(self) -> bool:
        """Whether this is fixed point: kif or kbi."""
        return isinstance(self.spec, KIF | KBI)

    @property
    def stored(self) -> tuple[str, ...]:
        """Names of everything that is stored: the widths, and ``k`` of fixed point."""
        return ("k", *self.names) if self.fixed else self.names

    @property
    def built(self) -> bool:
        """Whether the widths have a shape."""
        return self._sharing is not None or isinstance(self.spec, Dummy)

    def build(self, shape: Sequence[int | None]) -> None:
        """Give the widths their shape and initial values; ``shape`` is that of the tensors, the batch axis as None.

        Raises:
            ShapeError: an axis with its own widths has no fixed size.
            ConfigError: an axis is out of range.
        """
        if isinstance(self.spec, Dummy):
            return
        self._sharing = self.spec.granularity.resolve(tuple(shape))
        for name in self.stored:
            initial = getattr(self.spec, _INITIAL.get(self.spec.q_type, {}).get(name, f"{name}0"))
            width = getattr(self, name)
            if isinstance(width, UninitializedParameter | UninitializedBuffer):
                width.materialize(self._sharing.width_shape)
            values = initial(self._sharing.width_shape) if callable(initial) else initial
            self._store(name, values)

    def assign(self, **widths: Any) -> None:
        """Store these widths (bits); each broadcasts to the width tensor.

        Raises:
            ConfigError: a name that this quantizer does not have.
            DataError: NaN or infinity.
        """
        _ = self.sharing
        for name, values in widths.items():
            if name not in self.stored:
                message = f"a quantizer of type {self.spec.q_type!r} has no width {name!r}; it has {self.stored}"
                raise ConfigError(message)
            self._store(name, values)

    def _store(self, name: str, values: Any) -> None:
        given = torch.as_tensor(values, dtype=getattr(self, name).dtype)
        if not given.is_meta and not bool(torch.isfinite(given).all()):
            message = f"width {name!r} received NaN or infinity; expected finite bits"
            raise DataError(message)
        with torch.no_grad():
            getattr(self, name).copy_(given)

    @property
    def sharing(self) -> Sharing:
        """How the elements of a tensor share the widths; raises ShapeError before the widths have a shape."""
        if self._sharing is None:
            message = "the quantizer has no widths yet: give `shape`, call `build`, or call it with a tensor first"
            raise ShapeError(message)
        return self._sharing

    # --- widths -------------------------------------------------------------------------------------------------------

    @property
    def mode(self) -> Mode:
        """CALIBRATE inside `calibrating`, else TRAIN or INFER as ``training`` says."""
        if self.calibrating:
            return Mode.CALIBRATE
        return Mode.TRAIN if self.training else Mode.INFER

    def width(self, name: str) -> Tensor:
        """Whole bits of a stored width, differentiable by the straight-through rule."""
        bounds = self.bounds[name]
        return cast("Tensor", StoredWidth.apply(getattr(self, name), bounds.low, bounds.high))

    def project_(self) -> None:
        """Move the stored widths into their bounds."""
        with torch.no_grad():
            for name in self.trained:
                bounds = self.bounds[name]
                if bounds.low > -inf or bounds.high < inf:
                    getattr(self, name).clamp_(bounds.low, bounds.high)

    def kif(self) -> tuple[Tensor, Tensor, Tensor]:
        """Sign, integer and fraction bits of fixed point, whole, of the shape of the width tensor."""
        _ = self.sharing
        if isinstance(self.spec, KIF):
            return self.k, self.width("i"), self.width("f")
        if isinstance(self.spec, KBI):
            i = self.width("i")
            return self.k, i, self.width("b") - i
        message = f"a quantizer of type {self.spec.q_type!r} has no fixed-point widths; expected 'kif' or 'kbi'"
        raise ConfigError(message)

    def counted_bits(self, values: Tensor | None = None) -> Tensor:
        """The widths that EBOPs counts (bits), differentiable, broadcastable to the tensor; ``m + e + 1`` of a minifloat.

        Args:
            values: the weight, for a weight quantizer under WRAP, whose range is always that of the weight.
        """
        sharing = self.sharing
        if isinstance(self.spec, Float):
            m, e = self.width("m"), self.width("e")
            return sharing.expand(TORCH, torch.where(m < 0, 0.0, m + e + 1.0))
        k, i, f = self.kif()
        if values is not None and self._tracks and self._exempt:
            _, i, f = self._formats_of(sharing.split(TORCH, values.detach()), Mode.INFER)
        spec = cast("KIF | KBI", self.spec)
        return sharing.expand(TORCH, counted_bits(TORCH, k, i, f, spec.overflow_mode))

    def formats(self) -> Formats:
        """The formats at inference, broadcastable to the tensor without the batch axis kept at size 1; on the host."""
        sharing = self.sharing
        with torch.no_grad():
            parts = [sharing.expand(TORCH, part).double().cpu().numpy() for part in self.kif()]
        if not all(np.isfinite(part).all() for part in parts):
            message = "a width is NaN or infinite; the training diverged, or a file was damaged"
            raise DataError(message)
        return Formats.of(*parts)

    def regularization(self) -> Tensor | None:
        """``sum over trained widths of l1 * sum(width)``, or None without a regulariser."""
        terms = []
        for name in self.trained if self.built else ():
            factor = getattr(self.spec, f"{name}r", None)
            if callable(factor):
                terms.append(factor(getattr(self, name)))
            elif factor:
                terms.append(factor * getattr(self, name).sum())
        return cast("Tensor", sum(terms[1:], terms[0])) if terms else None

    # --- the data's range under WRAP --------------------------------------------------------------------------------

    @property
    def _tracks(self) -> bool:
        return isinstance(self.spec, KIF | KBI) and self.spec.overflow_mode is Overflow.WRAP

    @property
    def _exempt(self) -> bool:
        return isinstance(self.spec, KIF | KBI) and self.spec.is_weight

    def _formats_of(self, x: Tensor, mode: Mode) -> tuple[Tensor, Tensor, Tensor]:
        """``k, i, f`` for this batch; under WRAP they follow it and are stored, but for a weight at inference."""
        spec = cast("KIF | KBI", self.spec)
        if not self._tracks or (mode is Mode.INFER and not self._exempt):
            return self.kif()
        own = self.width("f" if isinstance(spec, KIF) else "b")
        with torch.no_grad():
            k, i = self._followed(x, own, mode)
        return k, i, own if isinstance(spec, KIF) else own - i

    def _followed(self, x: Tensor, own: Tensor, mode: Mode) -> tuple[Tensor, Tensor]:
        """Sign and whole integer bits that follow the batch; stored, except at inference."""
        spec = cast("KIF | KBI", self.spec)
        axes = self.sharing.shared_axes
        low, high = TORCH.amin(x, axes), TORCH.amax(x, axes)
        needed_for = integer_bits_kif if isinstance(spec, KIF) else integer_bits_kbi
        needed = needed_for(TORCH, low, high, own, round_mode=spec.round_mode)
        bounds = self.bounds["i"]
        if mode is Mode.INFER:
            return self.k, torch.round(torch.clamp(needed, bounds.low, bounds.high))
        self.reduce_max(needed)
        kept = self.i - spec.i_decay_speed if mode is Mode.TRAIN else self.i
        self.i.copy_(torch.clamp(torch.maximum(kept, needed), bounds.low, bounds.high))
        i = torch.round(self.i)
        if mode is Mode.CALIBRATE:
            f = own if isinstance(spec, KIF) else own - i
            negative = (round_scaled(TORCH, low, TORCH.power_of_two(f), spec.round_mode) < 0).to(self.k.dtype)
            self.reduce_max(negative)
            self.k.copy_(torch.maximum(self.k, negative))
        return self.k, i

    def reduce_max(self, extreme: Tensor) -> None:
        """Maximum over replicas, in place, if `hgq_torch.synchronize` asked for it."""
        if self.process_group is not None:
            torch.distributed.all_reduce(extreme, torch.distributed.ReduceOp.MAX, group=self.process_group)

    def reset_range(self) -> None:
        """Forget the data's range: the fewest integer bits that the constraint allows, and no sign (WRAP only)."""
        if self._tracks and self.built:
            low = self.bounds["i"].low
            self.assign(i=low if low > -inf else -32.0, k=0)

    # --- quantization -------------------------------------------------------------------------------------------------

    def forward(self, x: Tensor) -> Tensor:
        """X quantized, of the same shape.

        Raises:
            ShapeError: x does not fit the widths.
        """
        if self._sharing is None and not isinstance(self.spec, Dummy):
            data = self.place == "datalane"
            self.build((None, *x.shape[1:]) if data else tuple(x.shape))
        return self._transformed(x, self.mode)

    def inferred(self, x: Tensor) -> Tensor:
        """X quantized as at inference, whatever the mode, without gradient and without a change of state."""
        with torch.no_grad():
            return self._transformed(x, Mode.INFER)

    def _transformed(self, x: Tensor, mode: Mode) -> Tensor:
        """Quantization with scaler, noise factor and affine map around it."""
        y = x
        if not isinstance(self.spec, Dummy):
            sharing = self.sharing
            self._check(x, sharing)
            y = sharing.split(TORCH, x if self.scaler is None else x / self.scaler)
            y = sharing.join(TORCH, self._quantized(y, mode))
            y = y if self.scaler is None else y * self.scaler
        if self.qnoise_factor is not None and mode is Mode.TRAIN:
            y = x + self.qnoise_factor * (y - x)
        return y if self.affine is None else y * self.affine[0] + self.affine[1]

    def _quantized(self, x: Tensor, mode: Mode) -> Tensor:
        spec = self.spec
        if mode is Mode.TRAIN:
            self.project_()
        if isinstance(spec, Float):
            return cast("Tensor", MiniFloatFunction.apply(x, *(self.width(name) for name in self.names)))
        spec = cast("KIF | KBI", spec)
        k, i, f = self._formats_of(x.detach(), mode)
        wrap = mode is Mode.INFER and not self._exempt
        noise = torch.rand_like(x) if spec.stochastic and mode is Mode.TRAIN else None
        result = FixedPointFunction.apply(x, k, i, f, spec.round_mode, spec.overflow_mode, wrap, noise)
        return cast("Tensor", result)

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

    # --- state --------------------------------------------------------------------------------------------------------

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Widths that have no shape yet take it from the file."""
        if not self.built and f"{prefix}{self.names[0]}" in state_dict:
            widths = state_dict[f"{prefix}{self.names[0]}"].shape
            own = cast("KIF | KBI | Float", self.spec).granularity
            shared = own.homogeneous_axis if own.homogeneous_axis is not None else ()
            blocks = {axis % len(widths): size for axis, size in own.blocks.items()} if len(widths) else {}
            data = {axis % len(widths) for axis in shared} if self.place == "datalane" else set()
            self.build(tuple(None if a in data else n * blocks.get(a, 1) for a, n in enumerate(widths)))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def extra_repr(self) -> str:
        """Type, modes and the shape of the widths."""
        spec = self.spec
        shape = self._sharing.width_shape if self._sharing is not None else "not built"
        modes = f", {spec.round_mode}, {spec.overflow_mode}" if isinstance(spec, KIF | KBI) else ""
        return f"{spec.q_type}{modes}" if isinstance(spec, Dummy) else f"{spec.q_type}{modes}, widths={shape}"


def _bounds(spec: Spec, name: str) -> Bounds:
    bounds = getattr(spec, f"{name}c", None)
    if bounds is None:
        return Bounds()
    if not isinstance(bounds, Bounds):
        message = f"constraint {name}c: received {bounds!r}, expected hgq_core.Bounds(low, high)"
        raise ConfigError(message)
    return bounds


def _check_transforms(scaler: float | None, affine: tuple[float, float] | None, noise: float | None) -> None:
    if scaler is not None and scaler == 0:
        message = "scaler: received 0, expected another number"
        raise ConfigError(message)
    if affine is not None and (len(affine) != 2 or affine[0] == 0):
        message = f"affine: received {affine!r}, expected (scale, shift) with scale not 0"
        raise ConfigError(message)
    if noise is not None and not 0 <= noise <= 1:
        message = f"qnoise_factor: received {noise!r}, expected 0 to 1"
        raise ConfigError(message)


@contextmanager
def calibrating(module: nn.Module) -> Iterator[None]:
    """Every quantizer of the module is in CALIBRATE mode inside the block, and every other module in evaluation mode.

    >>> q = Quantizer("kif", "datalane", shape=(None, 1)).eval()
    >>> with calibrating(q):
    ...     _ = q(torch.tensor([[11.0]]))
    >>> float(q.i)
    4.0
    """
    quantizers = [m for m in module.modules() if isinstance(m, Quantizer)]
    training = {m: m.training for m in module.modules()}
    module.eval()
    for quantizer in quantizers:
        quantizer.calibrating = True
    try:
        yield
    finally:
        for quantizer in quantizers:
            quantizer.calibrating = False
        for m, was in training.items():
            m.training = was
