"""The widths that a quantizer stores: parameters where they are trained, buffers where they follow the data."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from hgq_core.errors import ConfigError, DataError, ShapeError
from hgq_core.formats import Formats
from hgq_core.quantizer import declared, fraction, second
from hgq_core.spec import KBI, KIF, Bounds, Dummy, Float, Spec, check_widths
from hgq_torch._functions import StoredWidth
from hgq_torch._ops import TORCH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hgq_core.granularity import Sharing
    from hgq_core.quantizer import Width

__all__ = ["StoredWidths", "check_stored"]


class _NoShape(UninitializedBuffer):
    """A buffer without a shape that can be copied, as PyTorch's parameters without a shape can."""

    def __deepcopy__(self, memo: dict[int, Any]) -> _NoShape:
        options: Any = {"requires_grad": self.requires_grad, "device": self.data.device, "dtype": self.data.dtype}
        return cast("_NoShape", memo.setdefault(id(self), type(self)(**options)))


class StoredWidths(nn.Module):
    """Abstract: the widths of one specification, stored as floats and read as ``rint(clip(width))``, bits.

    Attributes:
        spec: what the quantizer is.
        declared: what each width is (`hgq_core.quantizer.widths`).
        names: the widths: ``i, f`` of kif, ``b, i`` of kbi, ``m, e, e0`` of float, none of dummy.
        stored: names of everything that is stored: the widths, and ``k`` of fixed point.
        trained: names of the widths that are parameters.
        bounds: constraint of each width.
    """

    k: Tensor
    b: Tensor
    i: Tensor
    f: Tensor

    def __init__(self, spec: Spec, *, data: bool, **options: Any) -> None:
        super().__init__()
        self.spec = spec
        self.declared = {width.name: width for width in declared(spec)}
        self.names = tuple(name for name in self.declared if name != "k")
        self.trained = tuple(name for name, width in self.declared.items() if width.learned)
        self.stored = tuple(self.declared)
        self.bounds = {name: _bounds(self.declared[name]) for name in self.names}
        self._data = data
        self._sharing: Sharing | None = None
        # The sign is the last one in a file.
        for width in sorted(self.declared.values(), key=lambda width: width.name == "k"):
            if width.learned:
                parameter: Any = UninitializedParameter(requires_grad=width.trained, **options)
                self.register_parameter(width.name, parameter)
            else:
                self.register_buffer(width.name, _NoShape(requires_grad=False, **options))

    @property
    def fixed(self) -> bool:
        """Whether this is fixed point: kif or kbi."""
        return isinstance(self.spec, KIF | KBI)

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
            initial = self.declared[name].start
            width = getattr(self, name)
            if isinstance(width, UninitializedParameter | UninitializedBuffer):
                # A first call under inference_mode would leave widths that can never be trained.
                with torch.inference_mode(mode=False):
                    width.materialize(self._sharing.width_shape)
            values = initial(self._sharing.width_shape) if callable(initial) else initial
            self._store(name, values)

    def forget_shape(self) -> None:
        """Undo `build`; the parameters stay the same objects."""
        self._sharing = None
        for name in self.stored:
            width = getattr(self, name)
            shapeless: Any = UninitializedParameter if isinstance(width, nn.Parameter) else _NoShape
            fresh = shapeless(requires_grad=width.requires_grad, dtype=width.dtype, device=width.device)
            torch.utils.swap_tensors(width, fresh)

    def assign(self, **widths: Any) -> None:
        """Store these widths (bits); each broadcasts to the width tensor.

        Raises:
            ConfigError: a name that this quantizer does not have.
            DataError: NaN, infinity, or bits beyond what the arithmetic holds.
        """
        _ = self.sharing
        for name, values in widths.items():
            if name not in self.stored:
                message = f"a quantizer of type {self.spec.q_type!r} has no width {name!r}; it has {self.stored}"
                raise ConfigError(message)
            self._store(name, values)

    def _store(self, name: str, values: Any) -> None:
        given = torch.as_tensor(values, dtype=getattr(self, name).dtype)
        check_stored(name, given)
        with torch.no_grad():
            getattr(self, name).copy_(given)

    @property
    def sharing(self) -> Sharing:
        """How the elements of a tensor share the widths; raises ShapeError before the widths have a shape."""
        if self._sharing is None:
            message = "the quantizer has no widths yet: give `shape`, call `build`, or call it with a tensor first"
            raise ShapeError(message)
        return self._sharing

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
        if isinstance(self.spec, KIF | KBI):
            i = self.width("i")
            return self.k, i, fraction(self.spec, self.width(second(self.spec)), i)
        message = f"a quantizer of type {self.spec.q_type!r} has no fixed-point widths; expected 'kif' or 'kbi'"
        raise ConfigError(message)

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
            factor = self.declared[name].regularizer
            if callable(factor):
                terms.append(factor(getattr(self, name)))
            elif factor:
                terms.append(factor * getattr(self, name).sum())
        return cast("Tensor", sum(terms[1:], terms[0])) if terms else None

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        """Widths that have no shape yet are those of the specification, and not saved."""
        if self.built:
            super()._save_to_state_dict(destination, prefix, keep_vars)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Widths that have no shape yet take it from the file; those that are no bits are refused first."""
        for name in self.stored:
            check_stored(f"{prefix}{name}", state_dict.get(f"{prefix}{name}"))
        if not self.built and f"{prefix}{self.names[0]}" in state_dict:
            widths = state_dict[f"{prefix}{self.names[0]}"].shape
            own = cast("KIF | KBI | Float", self.spec).granularity
            shared = own.homogeneous_axis if own.homogeneous_axis is not None else ()
            blocks = {axis % len(widths): size for axis, size in own.blocks.items()} if len(widths) else {}
            data = {axis % len(widths) for axis in shared} if self._data else set()
            self.build(tuple(None if a in data else n * blocks.get(a, 1) for a, n in enumerate(widths)))
        if self.built:
            super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def check_stored(name: str, values: Any) -> None:
    """Raise DataError for stored widths that no arithmetic holds (`hgq_core.spec.check_widths`); None passes."""
    if isinstance(values, Tensor) and not values.is_meta:
        check_widths(name, values.detach().double().cpu().numpy())


def _bounds(width: Width) -> Bounds:
    bounds = width.constraint
    if bounds is None:
        return Bounds()
    if not isinstance(bounds, Bounds):
        message = f"constraint {width.name}c: received {bounds!r}, expected hgq_core.Bounds(low, high)"
        raise ConfigError(message)
    return bounds
