"""What every quantized layer is: a declaration, and a parameter, buffer or quantizer for each of its slots."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
from torch import Tensor, nn

from hgq_core.errors import ConfigError, HGQError, ShapeError
from hgq_core.layers import Bits, Emit, Layered, trace
from hgq_core.numbers import not_negative
from hgq_core.scope import layer_option
from hgq_torch import _build, _files
from hgq_torch._inputs import EXACT, differ, ordered, refuse_shapes, typed
from hgq_torch._made import Made
from hgq_torch._ops import TORCH
from hgq_torch._prepare import prepared
from hgq_torch._quantizer import Quantizer
from hgq_torch._slots import Layout, ModuleSlots
from hgq_torch._wrappers import unwrapped
from hgq_torch.kernels.fuse import FusedValues, sole_pattern

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hgq_core.graph import GraphBuilder
    from hgq_core.graph.ops import Shape
    from hgq_core.layers import Declaration, Program
    from hgq_torch._make import QuantizerLike

__all__ = ["QModule"]


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
        made: what was made of the declaration.

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
    fewest_axes: ClassVar[int] = 0
    """Axes of one example, which PyTorch's own layer takes without a batch axis too, before the layer is built."""
    momentum: float | None = 0.1
    """How far the moving averages of statistics go to those of each batch; None: they are those of all batches."""
    output_in_declaration: ClassVar[bool] = False
    """Whether the declaration quantizes the output itself, as a table does."""

    input_in_declaration: ClassVar[bool] = False
    """Whether the declaration quantizes the input itself, where it is brought to tables."""

    beta: Tensor

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
        if (torch.get_default_dtype() if dtype is None else dtype) not in EXACT:
            message = f"dtype: received {dtype}, expected torch.float32 or torch.float64, in which sums are exact"
            raise ConfigError(message)
        self.enable_iq = bool(_option(enable_iq, "enable_iq"))
        self.enable_oq = bool(_option(oq is not None or None if enable_oq is None else enable_oq, "enable_oq"))
        self.enable_ebops = bool(_option(enable_ebops, "enable_ebops"))
        given = {"iq": iq, "oq": oq, **(quantizers or {})}
        self.made = Made(given, counts=bool(enable_ebops))
        beta = not_negative(_option(beta0, "beta0"), "beta0")
        self.register_buffer("beta", torch.full((), beta, device=device, dtype=dtype))

    @abstractmethod
    def declaration(self) -> Declaration:
        """What the layer computes between its input and output quantizers: a function ``(t, *values) -> value``.

        It is called with a `hgq_core.layers.Trace`, whose methods give the steps, and a value for each input.
        """
        message = f"{self.title} has no declaration; give it a method `declaration` that returns a function of (t, x)"
        raise ConfigError(message)

    @property
    def title(self) -> str:
        """The layer in messages."""
        return type(self).__name__

    @property
    def program(self) -> Program | None:
        """The declaration, traced for ``built_for``; None before."""
        return self.made.program

    @property
    def built_for(self) -> tuple[Shape, ...] | None:
        """Shapes of the inputs without batch axis; None before they are known."""
        return self.made.built_for

    # --- building -----------------------------------------------------------------------------------------------------

    def build(self, *shapes: Sequence[int]) -> None:
        """Trace the declaration for inputs of these shapes, batch axes left out, and make what its slots need.

        Raises:
            ShapeError: shapes that the declaration does not take, or others than those that it was built for.
            ConfigError: a module inside that PyTorch does not know of, slots of one name.
        """
        wanted = tuple(tuple(int(n) for n in shape) for shape in shapes)
        if self.made.built_for is None:
            # A constructor builds what does not depend on the data; everything else is for these shapes.
            self.made.traced = self._traced(wanted)
            _build.make(self, self.made.traced, wanted)
        elif wanted != self.made.built_for:
            message = (
                f"{self.title}: received inputs of {wanted}, it is built for {self.made.built_for} (batch axes left "
                "out); hardware has one size: make another layer for the other one"
            )
            raise ShapeError(message)

    def begin(self, *shapes: Sequence[int]) -> None:
        """Make weights and quantizers in a constructor, before the shapes of the data are known.

        Args:
            *shapes: the smallest that the declaration takes; quantizers of data remain without shape.
        """
        self.made.traced = self._traced(tuple(tuple(shape) for shape in shapes))
        _build.make(self, self.made.traced, None)

    def _traced(self, shapes: tuple[Shape, ...]) -> Program:
        own_iq = self.enable_iq and not self.input_in_declaration
        own_oq = self.enable_oq and not self.output_in_declaration
        try:
            with self.made.written_in.entered():
                return trace(Layered(self.declaration(), own_iq, own_oq), *shapes)
        except HGQError as error:
            message = str(error)
            raise type(error)(message if message.startswith(self.title) else f"{self.title}: {message}") from error

    def retrace(self) -> None:
        """Read the declaration again after an option of it was changed; its slots stay."""
        if self.made.built_for is not None:
            self.made.traced = self.made.program = self._traced(self.made.built_for)
            self.made.running = prepared(self.made.program, self)
            self.made.pattern = sole_pattern(self.made.program, self.made.running)

    def traced_shape(self, *shapes: Shape) -> Shape:
        """Shape of the output for inputs of these shapes; the layer is built for them."""
        self.build(*shapes)
        (shape, *others) = self.checked_program().output_shapes
        if others:
            message = f"{self.title}: it has several results, and a layer inside of another one has to have one"
            raise ConfigError(message)
        return shape

    def checked_program(self) -> Program:
        """The program; raises ShapeError before the layer is built."""
        if self.made.program is None or self.made.built_for is None:
            message = (
                f"{self.title}: it does not know the shapes of its inputs yet; call hgq_torch.build(model, example), "
                "or apply the model to data first"
            )
            raise ShapeError(message)
        return self.made.program

    def reset_parameters(self) -> None:
        """Give every weight its initial values: of a kernel as `torch.nn.Linear`, else zeros or ones."""
        _build.reset(self)

    def inner_module(self, name: str) -> QModule:
        """The quantized layer that the declaration calls by this name."""
        return cast("QModule", unwrapped(self.get_submodule(self.made.paths[name])))

    # --- readings -----------------------------------------------------------------------------------------------------

    def forward(self, *xs: Tensor, **named: Tensor) -> Tensor:
        """The output for inputs ``(batch, *shape)``, or for one ``shape`` where PyTorch takes an example alone.

        Args:
            *xs: the inputs, in the order of the declaration.
            **named: inputs by the names that the declaration gives them.

        Raises:
            ShapeError: other shapes than those that the layer is built for.
            DataError: an input has a wider type than the weights, or, in training, no rows.
            ConfigError: the weights are in low precision.
        """
        if named or (len(xs) > 1 and xs[-1] is None):
            xs = self.in_order(xs, named)
        made = self.made
        built, program = made.built_for, made.running
        if self.fewest_axes and xs[0].ndim == (len(built[0]) if built else self.fewest_axes):
            return QModule.forward(self, *(x.unsqueeze(0) for x in xs)).squeeze(0)
        if built is None or program is None:
            self.build(*(x.shape[1:] for x in xs))
            return QModule.forward(self, *xs)
        x = xs[0]
        if len(xs) != len(built) or x.shape[1:] != built[0] or (len(xs) > 1 and differ(xs, built)):
            refuse_shapes(self.title, xs, built, self.shape_hint)
        result: Tensor = self.run(program, xs)
        return result

    def run(self, program: Program, xs: Sequence[Tensor]) -> Any:
        """The result of a program of this module for inputs that fit; a tuple where it has several."""
        x = xs[0]
        if torch.is_autocast_enabled(x.device.type):
            # Sums of products are exact in the weights' type only.
            with torch.autocast(x.device.type, enabled=False):
                return QModule.run(self, program, [x.to(self.beta.dtype) for x in xs])
        if len(xs) > 1 or x.dtype is not self.beta.dtype or x.dtype not in EXACT:
            xs = typed(self.title, xs, self.beta.dtype)
        if self.training and self.made.start.is_open and not torch.compiler.is_compiling():
            self.judge_start()
        return FusedValues(self).read(program, xs)

    def operands_of(self, given: Sequence[Any], title: str) -> Sequence[Any]:  # noqa: ARG002 (of other layers)
        """The operands of the program, as they stand in what `forward` was given, for a Graph."""
        return given

    def results_of(self, returned: Any) -> Sequence[Any]:
        """The results of the program, as they stand in what `forward` returned."""
        return (returned,)

    def in_order(self, xs: Sequence[Tensor | None], named: Mapping[str, Tensor | None]) -> tuple[Tensor, ...]:
        """The inputs in the order of the declaration; raises ConfigError for names that it does not have."""
        return ordered(self.title, self.declaration(), xs, named)

    def ebops(self) -> Tensor:
        """EBOPs of this layer without those of layers inside, shape ``()``, differentiable in the widths."""
        program = self.checked_program()
        total: Any = Bits(TORCH, ModuleSlots(self)).count(program) if self.enable_ebops else 0.0
        return total if isinstance(total, Tensor) else self.beta.new_full((), total)

    def emit(self, builder: GraphBuilder, label: str, inputs: Sequence[str]) -> tuple[str, ...]:
        """Append this layer's nodes to a Graph; returns the names of its results."""
        emitting = Emit(builder, ModuleSlots(self, label), label, float(self.enable_ebops))
        return emitting.append(self.checked_program(), inputs)

    def quantized_weights(self) -> dict[str, Tensor]:
        """The weights as the hardware has them, by name and in PyTorch's layout, without gradient."""
        slots = ModuleSlots(self)
        return {self.weight_name(slot): slots.inferred(slot) for slot in self.made.weight_quantizers}

    def weight_name(self, slot: str) -> str:
        """The name of what a weight quantizer quantizes: its parameter, or what is computed of several."""
        return _build.weight_name(self, slot)

    # --- what belongs to the layer --------------------------------------------------------------------------------

    def own_quantizers(self) -> dict[str, Quantizer]:
        """The quantizers of the layer itself, by attribute, without those of layers inside."""
        return {name: child for name, child in self.named_children() if isinstance(child, Quantizer)}

    def part_of(self, quantizer: str) -> str:  # noqa: ARG002 (for a module that stands for several layers)
        """The layer inside of this one that a quantizer, by its attribute, belongs to; empty for this one itself."""
        return ""

    def own_weights(self) -> list[Tensor]:
        """Parameters and buffers of the layer itself, without those of modules inside and without beta."""
        mine = (*self.parameters(recurse=False), *self.buffers(recurse=False))
        return [tensor for tensor in mine if tensor is not self.beta]

    def judge_start(self) -> None:
        """Widen, with a warning, the widths of weights that were made or loaded since and that they are too coarse for.

        Training calls it at its first step, and calibration before it begins. A layer without weights does nothing.
        """
        if self.made.start.is_open:
            self.made.start.judge(_build.started(self), self.title)

    def regularization(self) -> Tensor | None:
        """Sum of the regularisers of the widths of this layer; None without any."""
        terms = [quantizer.regularization() for quantizer in self.own_quantizers().values()]
        given = [term for term in terms if term is not None]
        return sum(given[1:], given[0]) if given else None

    # --- files --------------------------------------------------------------------------------------------------------

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if not self.shapes_from_arguments:
            _files.save_shapes(self, destination, prefix)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any) -> None:
        """Widths and beta that are no numbers are refused before anything of the layer is overwritten."""
        state_dict = _files.load_shapes(self, state_dict, prefix)
        _files.check(self, state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        _files.judge_again(self, state_dict, prefix)


def _option(given: object, name: str) -> Any:
    return layer_option(name) if given is None else given
