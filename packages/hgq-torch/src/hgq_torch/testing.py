"""hgq-torch as a backend of the conformance suite: ``--backend torch``."""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import hgq_torch
from hgq_core.conformance.backend import Backend, Gradients, Layer, Mode, Model, Quantizer
from hgq_core.conformance.wiring import evaluated, input_count
from hgq_core.errors import DeadLayerWarning, PrecisionWarning
from hgq_core.formats import Formats
from hgq_core.quantize import fixed_point
from hgq_torch._ops import TORCH
from hgq_torch._testing_layers import SuiteLayer, turned

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hgq_core.graph import Graph
    from hgq_core.modes import Overflow, Round
    from hgq_core.spec import Spec

    Array = NDArray[Any]

__all__ = ["TorchBackend", "TorchModel"]


def _tensor(x: Array) -> torch.Tensor:
    return torch.as_tensor(np.array(x), dtype=torch.float32)


def _in_mode(module: torch.nn.Module, mode: Mode, *inputs: Array) -> Array:
    module.train(mode is Mode.TRAIN)
    tensors = [_tensor(x) for x in inputs]
    if mode is Mode.CALIBRATE:
        with hgq_torch.calibrating(module):
            result = module(*tensors)
    else:
        # As users run it: what inference keeps is kept only where nothing asks for gradients.
        with torch.set_grad_enabled(mode is Mode.TRAIN):
            result = module(*tensors)
    module.eval()
    return np.asarray(result.detach().numpy())


class _Quantizer(Quantizer):
    """A quantizer; with ``axes`` it sees the tensors of the suite with their axes in this order."""

    def __init__(self, quantizer: hgq_torch.Quantizer, axes: Sequence[int] | None = None) -> None:
        self.quantizer = quantizer
        self.axes = axes
        self.back = None if axes is None else tuple(int(n) for n in np.argsort(axes))

    def _turn(self, x: Any) -> Any:
        return turned(x, self.axes)

    def _return(self, x: Any) -> Any:
        return turned(x, self.back)

    def forward(self, x: Array, mode: Mode) -> Array:
        return np.asarray(self._return(_in_mode(self.quantizer, mode, self._turn(x))))

    def gradients(self, x: Array, g: Array) -> Gradients:
        self.quantizer.train()
        given = _tensor(self._turn(x)).requires_grad_()
        self.quantizer.zero_grad()
        result = self.quantizer(given)
        result.backward(_tensor(self._turn(g)))
        self.quantizer.eval()
        dx = torch.zeros_like(given) if given.grad is None else given.grad
        parameters = dict(self.quantizer.named_parameters())
        widths = {name: None if p.grad is None else self._return(p.grad.numpy()) for name, p in parameters.items()}
        return Gradients(self._return(result.detach().numpy()), self._return(dx.numpy()), widths)

    def widths(self) -> dict[str, Array]:
        stored = {name: getattr(self.quantizer, name).detach().numpy().copy() for name in self.quantizer.stored}
        return {name: self._return(width) for name, width in stored.items()}

    def assign(self, widths: Mapping[str, Any]) -> None:
        self.quantizer.assign(**{name: self._turn(np.asarray(width)) for name, width in widths.items()})

    def formats(self) -> Formats:
        formats = self.quantizer.formats()
        return Formats.of(*(self._return(part) for part in (formats.k, formats.i, formats.f)))

    def bits(self) -> Array:
        return np.asarray(self._return(self.quantizer.counted_bits().detach().numpy()))


class _Net(torch.nn.Module):
    """The layers of a case, applied as it says."""

    def __init__(self, given: Sequence[Layer], input_shape: tuple[int, ...], *, build: bool) -> None:
        super().__init__()
        self.given = given
        self.layers = torch.nn.ModuleDict()

        def shape(number: int, operands: list[Any]) -> Any:
            if str(number) not in self.layers:
                shapes = [tuple(x.shape[1:]) for x in operands]
                self.layers[str(number)] = SuiteLayer(given[number], shapes, build=build)
                made = self.layers[str(number)] if build else SuiteLayer(given[number], shapes)
                results[number] = made.eval()(*operands).detach()
            return results[number]

        results: dict[int, torch.Tensor] = {}
        evaluated(given, [torch.zeros(1, *input_shape)] * input_count(given), shape)

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = evaluated(self.given, inputs, lambda number, xs: self.layers[str(number)](*xs))
        return result


class TorchModel(Model):
    """A module of the layers of a case."""

    def __init__(self, layers: Sequence[Layer], input_shape: tuple[int, ...], *, build: bool = True) -> None:
        self.layers, self.input_shape = layers, input_shape
        self.module = _Net(layers, input_shape, build=build).eval()

    def forward(self, *inputs: Array, mode: Mode = Mode.INFER) -> Array:
        return _in_mode(self.module, mode, *inputs)

    def calibrate(self, *inputs: Array, batch_size: int | None = None) -> None:
        tensors = [_tensor(x).split(batch_size or len(x)) for x in inputs]
        # A tuple is of inputs and targets, and the inputs of one model are several.
        hgq_torch.calibrate(self.module, [(rows,) for rows in zip(*tensors, strict=True)])

    def ebops(self) -> float:
        return hgq_torch.ebops(self.module)

    def cost_gradients(self, *inputs: Array) -> Mapping[tuple[int, str], Mapping[str, Array]]:
        self.module.train()
        hgq_torch.set_beta(self.module, 1.0)
        self.module.zero_grad()
        self.module(*(_tensor(x) for x in inputs))
        loss = hgq_torch.ebops_loss(self.module)
        if loss.requires_grad:  # a layer of moves costs nothing, whatever its widths
            loss.backward()
        self.module.eval()
        found: dict[tuple[int, str], dict[str, Array]] = {}
        for n, layer in enumerate(self.layers):
            for name in layer.quantizers:
                adapter = self._adapter(n, name)
                for width in adapter.quantizer.trained:
                    stored = getattr(adapter.quantizer, width)
                    gradient = np.zeros(stored.shape) if stored.grad is None else stored.grad.numpy()
                    found.setdefault((n, name), {})[width] = turned(gradient, adapter.back)
        return found

    def to_graph(self) -> Graph:
        with warnings.catch_warnings():
            # The table of cases holds layers whose widths are random: some are dead, some wider than float32.
            warnings.simplefilter("ignore", DeadLayerWarning)
            warnings.simplefilter("ignore", PrecisionWarning)
            return hgq_torch.to_graph(self.module, [torch.zeros(1, *self.input_shape)] * input_count(self.layers))

    def _adapter(self, layer: int, name: str) -> _Quantizer:
        made: Any = self.module.layers[str(layer)]
        return _Quantizer(made.quantizers(name)[0], made.axes_of(name))

    def quantizer(self, layer: int, name: str) -> Quantizer:
        return self._adapter(layer, name)

    def save_and_load(self, folder: Path, save_format: str) -> Model:
        path = folder / f"model.{save_format}"
        torch.save(self.module.state_dict(), path)
        fresh = type(self)([_bare(layer) for layer in self.layers], self.input_shape, build=False)
        fresh.module.load_state_dict(torch.load(path, weights_only=True))
        return fresh

    def train(
        self, x: Array | Sequence[Array], y: Array, *, steps: int, learning_rate: float, beta: float
    ) -> Sequence[float]:
        self.module.train()
        hgq_torch.set_beta(self.module, beta)
        optimizer = torch.optim.Adam(self.module.parameters(), lr=learning_rate)
        inputs, targets = [_tensor(part) for part in ((x,) if isinstance(x, np.ndarray) else x)], _tensor(y)
        losses = []
        for _ in range(steps):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(self.module(*inputs), targets) + hgq_torch.ebops_loss(self.module)
            torch.autograd.backward(loss)
            optimizer.step()
            losses.append(loss.item())
        self.module.eval()
        return losses


def _bare(layer: Layer) -> Layer:
    """The layer as configured, with other weights and its initial widths: what a file has to restore."""
    options = dict(layer.options)
    if "parts" in options:
        options["parts"] = tuple(_bare(part) for part in options["parts"])
    weights = {name: np.ones_like(value) for name, value in layer.weights.items()}
    return dataclasses.replace(layer, options=options, weights=weights, widths={})


class TorchBackend(Backend):
    """`hgq_torch.Quantizer` and `hgq_torch.nn` on the CPU."""

    version = f"hgq-torch {hgq_torch.__version__}, torch {torch.__version__}"
    environment: Mapping[str, str] = {"device": "cpu"}
    save_formats = ("pt",)
    model_class: type[TorchModel] = TorchModel

    def quantize(
        self, x: Array, k: Array, i: Array, f: Array, *, round_mode: Round, overflow_mode: Overflow, wrap: bool = True
    ) -> Array:
        """The shared body on torch tensors."""
        tensors = (_tensor(part) for part in (x, k, i, f))
        result = fixed_point(TORCH, *tensors, round_mode=round_mode, overflow_mode=overflow_mode, wrap=wrap)
        return np.asarray(result.numpy())

    def quantizer(
        self,
        spec: Spec,
        shape: tuple[int | None, ...],
        *,
        scaler: float | None = None,
        affine: tuple[float, float] | None = None,
        qnoise_factor: float | None = None,
    ) -> Quantizer:
        """A `hgq_torch.Quantizer` for tensors of this shape."""
        place = "datalane" if shape and shape[0] is None else "weight"
        return _Quantizer(
            hgq_torch.Quantizer(spec, place, shape=shape, scaler=scaler, affine=affine, qnoise_factor=qnoise_factor)
        )

    def model(self, layers: Sequence[Layer], input_shape: tuple[int, ...]) -> Model:
        """A module of these layers."""
        return self.model_class(layers, input_shape)
