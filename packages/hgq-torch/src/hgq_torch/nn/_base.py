"""What every quantized layer is: a declaration, and a parameter, buffer or quantizer for each of its slots."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
from torch import Tensor, nn

from hgq_core.errors import ConfigError, DataError, HGQError, ShapeError
from hgq_core.layers import Bits, Emit, Layered, trace
from hgq_core.numbers import not_negative
from hgq_core.scope import layer_option
from hgq_torch import _build
from hgq_torch._prepare import prepared
from hgq_torch._slots import Layout, ModuleSlots
from hgq_torch._widths import check_stored
from hgq_torch._wrappers import unwrapped
from hgq_torch.fuse import FusedValues, sole_pattern
from hgq_torch.nn._start import Start
from hgq_torch.ops import TORCH
from hgq_torch.quantizer import Quantizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hgq_core.graph import GraphBuilder
    from hgq_core.graph.ops import Shape
    from hgq_core.layers import Declaration, Program, WeightSlot
    from hgq_torch._make import QuantizerLike
    from hgq_torch._slots import Turn
    from hgq_torch.fuse import Pattern

__all__ = ["QModule"]

_EXACT = (torch.float32, torch.float64)


class QModule(nn.Module):
    """Abstract base of the quantized layers, yours among them: a subclass has a `declaration`, and nothing else.

    What the declaration computes is the forward pass, what it costs is `ebops`, its nodes are those of the Graph. It
    is traced when the shapes of the inputs are known: by `build`, by `hgq_torch.build`, or by the first forward pass.
    The module then holds a `Quantizer` for each slot (``iq`` and ``oq``, or ``iq_0``, ``iq_1`` for several inputs, and
    those of the declaration) and a parameter or buffer for each weight; ``/`` in the name of a slot is ``_`` here.

    Args:
        iq: quantizer of the inputs, see `hgq_torch.nn.QLinear`.
        oq: quantizer of the output; giving one enables it.
        enable_iq: whether the inputs are quantized; None: as the scope says, and so for the next ones.
        enable_oq: whether the output is quantized.
        enable_ebops: whether the layer counts EBOPs.
        beta0: first value of ``beta``.
        quantizers: those of other slots, by slot.
        device: of parameters and buffers.
        dtype: of parameters and buffers, float32 or float64.

    Raises:
        ConfigError: low precision; EBOPs are to be counted and no quantizer gives the data widths.

    Attributes:
        beta: factor of this layer's EBOPs in `hgq_torch.ebops_loss`, a buffer of shape ``()``.
        program: the declaration, traced for ``built_for``; None before.
        built_for: shapes of the inputs without batch axis; None before they are known.

    A module that applies two others, of which PyTorch has to know: as attributes, or in an `torch.nn.ModuleList`.

    >>> from hgq_core.graph.ops import Add
    >>> from hgq_torch.nn import QLinear
    >>> class Residual(QModule):
    ...     def __init__(self) -> None:
    ...         super().__init__(enable_iq=True)
    ...         self.inner = nn.ModuleList([QLinear(4, 4, activation="relu"), QLinear(4, 4, enable_oq=True)])
    ...
    ...     def declaration(self):
    ...         def residual(t, x):
    ...             y = t.call("first", self.inner[0], x)
    ...             return t.op(Add(), x, t.call("second", self.inner[1], y))
    ...
    ...         return residual
    >>> Residual()(torch.zeros(2, 4)).shape
    torch.Size([2, 4])
    """

    layouts: ClassVar[Mapping[str, Layout]] = {}
    """How PyTorch stores the weights of the declaration, by slot."""
    shapes_from_arguments: ClassVar[bool] = False
    """Whether the constructor builds the layer; else a file says the shapes that it was built for."""
    shape_hint: ClassVar[str] = ""
    """What to do about inputs of another shape, after the message."""
    momentum: float = 0.1
    """How far the moving averages of statistics go to those of each batch."""
    output_in_declaration: ClassVar[bool] = False
    """Whether the declaration quantizes the output itself, as a table does."""

    beta: Tensor
    program: Program | None
    built_for: tuple[Shape, ...] | None

    def __init__(
        self,
        *,
        iq: QuantizerLike = None,
        oq: QuantizerLike = None,
        enable_iq: bool | None = None,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        quantizers: Mapping[str, QuantizerLike] | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        if (torch.get_default_dtype() if dtype is None else dtype) not in _EXACT:
            message = f"dtype: received {dtype}, expected torch.float32 or torch.float64, in which sums are exact"
            raise ConfigError(message)
        self.enable_iq = bool(_option(enable_iq, "enable_iq"))
        self.enable_oq = bool(_option(oq is not None or None if enable_oq is None else enable_oq, "enable_oq"))
        self.enable_ebops = bool(_option(enable_ebops, "enable_ebops"))
        self.ebops_asked = bool(enable_ebops)
        self.given: dict[str, QuantizerLike] = {"iq": iq, "oq": oq, **(quantizers or {})}
        self.storage: dict[str, Layout] = {}
        self.turns: dict[str, Turn] = {}
        self.inner: dict[str, str] = {}
        self.weight_quantizers: tuple[str, ...] = ()
        self.weight_slots: dict[str, WeightSlot] = {}
        self.made_slots: set[str] = set()
        self.sole_pattern: Pattern | None = None
        self.traced: Program | None = None
        self.program = None
        self.running: Program | None = None
        self.built_for = None
        self.start = Start()
        beta = not_negative(_option(beta0, "beta0"), "beta0")
        self.register_buffer("beta", torch.full((), beta, device=device, dtype=dtype))

    @abstractmethod
    def declaration(self) -> Declaration:
        """What the layer computes between its input and output quantizers: a function ``(t, *values) -> value``.

        It is called with a `hgq_core.layers.Trace`, whose methods give the steps, and a value for each input.
        """

    @property
    def title(self) -> str:
        """The layer in messages."""
        return type(self).__name__

    # --- building -----------------------------------------------------------------------------------------------------

    def build(self, *shapes: Sequence[int]) -> None:
        """Trace the declaration for inputs of these shapes, batch axes left out, and make what its slots need.

        Raises:
            ShapeError: shapes that the declaration does not take, or others than those that it was built for.
            ConfigError: a module inside that PyTorch does not know of, slots of one name.
        """
        wanted = tuple(tuple(int(n) for n in shape) for shape in shapes)
        if self.built_for is None:
            # A constructor builds what does not depend on the data; everything else is for these shapes.
            self.traced = self._traced(wanted)
            _build.make(self, self.traced, wanted)
        elif wanted != self.built_for:
            message = (
                f"{self.title}: received inputs of {wanted}, it is built for {self.built_for} (batch axes left out); "
                "hardware has one size: make another layer for the other one"
            )
            raise ShapeError(message)

    def begin(self, *shapes: Sequence[int]) -> None:
        """Make weights and quantizers in a constructor, before the shapes of the data are known.

        Args:
            *shapes: the smallest that the declaration takes; quantizers of data remain without shape.
        """
        self.traced = self._traced(tuple(tuple(shape) for shape in shapes))
        _build.make(self, self.traced, None)

    def _traced(self, shapes: tuple[Shape, ...]) -> Program:
        own_oq = self.enable_oq and not self.output_in_declaration
        try:
            return trace(Layered(self.declaration(), self.enable_iq, own_oq), *shapes)
        except HGQError as error:
            message = str(error)
            raise type(error)(message if message.startswith(self.title) else f"{self.title}: {message}") from error

    def retrace(self) -> None:
        """Read the declaration again after an option of it was changed; its slots stay."""
        if self.built_for is not None:
            self.traced = self.program = self._traced(self.built_for)
            self.running = prepared(self.program, self)
            self.sole_pattern = sole_pattern(self.running)

    def traced_shape(self, *shapes: Shape) -> Shape:
        """Shape of the output for inputs of these shapes; the layer is built for them."""
        self.build(*shapes)
        return self.checked_program().output_shape

    def checked_program(self) -> Program:
        """The program; raises ShapeError before the layer is built."""
        if self.program is None or self.built_for is None:
            message = (
                f"{self.title}: it does not know the shapes of its inputs yet; call hgq_torch.build(model, example), "
                "or apply the model to data first"
            )
            raise ShapeError(message)
        return self.program

    def reset_parameters(self) -> None:
        """Give every weight its initial values: of a kernel as `torch.nn.Linear`, else zeros or ones."""
        _build.reset(self)

    def inner_module(self, name: str) -> QModule:
        """The quantized layer that the declaration calls by this name."""
        return cast("QModule", unwrapped(self.get_submodule(self.inner[name])))

    # --- readings -----------------------------------------------------------------------------------------------------

    def forward(self, *xs: Tensor) -> Tensor:
        """The output for inputs ``(batch, *shape)``.

        Raises:
            ShapeError: other shapes than those that the layer is built for.
            DataError: an input has a wider type than the weights, or, in training, no rows.
            ConfigError: the weights are in low precision.
        """
        built, program = self.built_for, self.running
        if built is None or program is None:
            self.build(*(x.shape[1:] for x in xs))
            return QModule.forward(self, *xs)
        x = xs[0]
        if len(xs) != len(built) or x.shape[1:] != built[0] or (len(xs) > 1 and self._differ(xs, built)):
            self._refuse_shapes(xs)
        if torch.is_autocast_enabled(x.device.type):
            # Sums of products are exact in the weights' type only.
            with torch.autocast(x.device.type, enabled=False):
                return QModule.forward(self, *(x.to(self.beta.dtype) for x in xs))
        if len(xs) > 1 or x.dtype is not self.beta.dtype or x.dtype not in _EXACT:
            xs = self._typed(xs)
        if self.training and self.start.is_open and not torch.compiler.is_compiling():
            self.judge_start()
        result: Tensor = FusedValues(self).read(program, xs)
        return result

    @staticmethod
    def _differ(xs: Sequence[Tensor], shapes: Sequence[Shape]) -> bool:
        return any(x.shape[1:] != shape for x, shape in zip(xs, shapes, strict=True))

    def _refuse_shapes(self, xs: Sequence[Tensor]) -> None:
        received = ", ".join(str(tuple(x.shape)) for x in xs)
        expected = ", ".join(f"(batch, {', '.join(map(str, shape))})" for shape in self.built_for or ())
        message = f"{self.title}: received {received}, expected {expected}{self.shape_hint}"
        raise ShapeError(message)

    def _typed(self, xs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The inputs in the type of the weights, if that holds them."""
        own = self.beta.dtype
        if own not in _EXACT:
            message = (
                f"{self.title}: its weights are {own}, in which sums of products are not exact; expected torch.float32 "
                "or torch.float64: call .float() on the model, and use torch.autocast for the layers around it"
            )
            raise ConfigError(message)
        for x in xs:
            if torch.promote_types(x.dtype, own) != own:
                message = (
                    f"{self.title}: received {x.dtype}, its weights are {own}; convert the data, x.to({own}), or the "
                    "model"
                )
                raise DataError(message)
        return tuple(x.to(own) for x in xs)

    def ebops(self) -> Tensor:
        """EBOPs of this layer without those of layers inside, shape ``()``, differentiable in the widths."""
        program = self.checked_program()
        total: Any = Bits(TORCH, ModuleSlots(self)).count(program) if self.enable_ebops else 0.0
        return total if isinstance(total, Tensor) else self.beta.new_full((), total)

    def emit(self, builder: GraphBuilder, label: str, inputs: Sequence[str]) -> str:
        """Append this layer's nodes to a Graph; returns the name of its output."""
        emitting = Emit(builder, ModuleSlots(self, label), label, float(self.enable_ebops))
        return str(emitting.read(self.checked_program(), inputs))

    def quantized_weights(self) -> dict[str, Tensor]:
        """The weights as the hardware has them, by name and in PyTorch's layout, without gradient."""
        slots = ModuleSlots(self)
        return {self.weight_name(slot): slots.inferred(slot) for slot in self.weight_quantizers}

    def weight_name(self, slot: str) -> str:
        """The name of what a weight quantizer quantizes: its parameter, or what is computed of several."""
        return _build.weight_name(self, slot)

    # --- what belongs to the layer --------------------------------------------------------------------------------

    def own_quantizers(self) -> dict[str, Quantizer]:
        """The quantizers of the layer itself, by attribute, without those of layers inside."""
        return {name: child for name, child in self.named_children() if isinstance(child, Quantizer)}

    def own_weights(self) -> list[Tensor]:
        """Parameters and buffers of the layer itself, without those of modules inside and without beta."""
        mine = (*self.parameters(recurse=False), *self.buffers(recurse=False))
        return [tensor for tensor in mine if tensor is not self.beta]

    def judge_start(self) -> None:
        """Widen, with a warning, the widths of weights that were made or loaded since and that they are too coarse for.

        Training calls it at its first step, and calibration before it begins. A layer without weights does nothing.
        """
        if self.start.is_open:
            self.start.judge(_build.started(self), self.title)

    def regularization(self) -> Tensor | None:
        """Sum of the regularisers of the widths of this layer; None without any."""
        terms = [quantizer.regularization() for quantizer in self.own_quantizers().values()]
        given = [term for term in terms if term is not None]
        return sum(given[1:], given[0]) if given else None

    # --- files --------------------------------------------------------------------------------------------------------

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if not self.shapes_from_arguments:
            for number, shape in enumerate(self.built_for or ()):
                destination[f"{prefix}{_build.SHAPES}.{number}"] = torch.tensor(shape, dtype=torch.int64)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Widths and beta that are no numbers are refused before anything of the layer is overwritten."""
        state_dict = _build.load_shapes(self, state_dict, prefix)
        for path, quantizer in self.named_modules(prefix=prefix.removesuffix(".")):
            for name in quantizer.stored if isinstance(quantizer, Quantizer) else ():
                key = f"{path}.{name}" if path else name
                check_stored(key, state_dict.get(key))
        beta = state_dict.get(f"{prefix}beta")
        if isinstance(beta, Tensor) and not beta.is_meta and not bool(torch.isfinite(beta).all() & (beta >= 0).all()):
            message = f"{prefix}beta: received {beta.tolist()}, expected finite, at least 0; the file is damaged"
            raise DataError(message)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        # A kernel that comes without its widths, as from a float model, is judged again.
        for name, quantizer, _ in _build.started(self):
            if f"{prefix}{name}" in state_dict:
                path = next(path for path, child in self.named_children() if child is quantizer)
                known = any(f"{prefix}{path}.{width}" in state_dict for width in quantizer.trained)
                self.start = Start(is_open=not known)


def _option(given: object, name: str) -> Any:
    return layer_option(name) if given is None else given
