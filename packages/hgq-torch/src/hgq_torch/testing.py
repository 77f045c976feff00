"""hgq-torch as a backend of the conformance suite: ``--backend torch``."""

from __future__ import annotations

import dataclasses
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import hgq_torch
from hgq_core.conformance.backend import Backend, Gradients, Layer, Mode, Model, Quantizer
from hgq_core.errors import DeadLayerWarning, PrecisionWarning, UnsupportedError
from hgq_core.formats import Formats
from hgq_core.quantize import fixed_point
from hgq_core.spec import Dummy
from hgq_torch.nn import QLinear
from hgq_torch.ops import TORCH

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from hgq_core.graph import Graph
    from hgq_core.modes import Overflow, Round
    from hgq_core.spec import Spec

    Array = NDArray[Any]

__all__ = ["TorchBackend"]


def _tensor(x: Array) -> torch.Tensor:
    return torch.as_tensor(np.array(x), dtype=torch.float32)


def _in_mode(module: torch.nn.Module, mode: Mode, *inputs: Array) -> Array:
    module.train(mode is Mode.TRAIN)
    tensors = [_tensor(x) for x in inputs]
    if mode is Mode.CALIBRATE:
        with hgq_torch.calibrating(module):
            result = module(*tensors)
    else:
        result = module(*tensors)
    module.eval()
    return np.asarray(result.detach().numpy())


class _Quantizer(Quantizer):
    """A quantizer; ``turned`` if it sees a kernel as ``(out, in)``, where the suite has ``(in, out)``."""

    def __init__(self, quantizer: hgq_torch.Quantizer, *, turned: bool = False) -> None:
        self.quantizer = quantizer
        self.turned = turned

    def _turn(self, x: Any) -> Any:
        return np.transpose(x) if self.turned else x

    def forward(self, x: Array, mode: Mode) -> Array:
        return np.asarray(self._turn(_in_mode(self.quantizer, mode, self._turn(x))))

    def gradients(self, x: Array, g: Array) -> Gradients:
        self.quantizer.train()
        given = _tensor(self._turn(x)).requires_grad_()
        self.quantizer.zero_grad()
        result = self.quantizer(given)
        result.backward(_tensor(self._turn(g)))
        self.quantizer.eval()
        dx = torch.zeros_like(given) if given.grad is None else given.grad
        parameters = dict(self.quantizer.named_parameters())
        widths = {name: None if p.grad is None else self._turn(p.grad.numpy()) for name, p in parameters.items()}
        return Gradients(self._turn(result.detach().numpy()), self._turn(dx.numpy()), widths)

    def widths(self) -> dict[str, Array]:
        stored = {name: getattr(self.quantizer, name).detach().numpy().copy() for name in self.quantizer.stored}
        return {name: self._turn(width) for name, width in stored.items()}

    def assign(self, widths: Mapping[str, Any]) -> None:
        self.quantizer.assign(**{name: self._turn(np.asarray(width)) for name, width in widths.items()})

    def formats(self) -> Formats:
        formats = self.quantizer.formats()
        return Formats.of(*(self._turn(part) for part in (formats.k, formats.i, formats.f)))

    def bits(self) -> Array:
        return np.asarray(self._turn(self.quantizer.counted_bits().detach().numpy()))


class _Model(Model):
    def __init__(self, layers: Sequence[Layer], input_shape: tuple[int, ...]) -> None:
        self.layers, self.input_shape = layers, input_shape
        modules: list[torch.nn.Module] = []
        shape = input_shape
        for layer in layers:
            module, shape = _module(layer, shape)
            modules.append(module)
        self.module = torch.nn.Sequential(*modules).eval()

    def forward(self, *inputs: Array, mode: Mode = Mode.INFER) -> Array:
        return _in_mode(self.module, mode, *inputs)

    def calibrate(self, *inputs: Array, batch_size: int | None = None) -> None:
        tensors = [_tensor(x).split(batch_size or len(x)) for x in inputs]
        hgq_torch.calibrate(self.module, list(zip(*tensors, strict=True)))

    def ebops(self) -> float:
        return hgq_torch.ebops(self.module)

    def cost_gradients(self, *inputs: Array) -> Mapping[tuple[int, str], Mapping[str, Array]]:
        self.module.train()
        hgq_torch.set_beta(self.module, 1.0)
        self.module.zero_grad()
        self.module(*(_tensor(x) for x in inputs))
        hgq_torch.ebops_loss(self.module).backward()
        self.module.eval()
        found: dict[tuple[int, str], dict[str, Array]] = {}
        for n, layer in enumerate(self.layers):
            for name in layer.quantizers:
                quantizer = getattr(self.module[n], name)
                for width in quantizer.trained:
                    stored = getattr(quantizer, width)
                    gradient = np.zeros(stored.shape) if stored.grad is None else stored.grad.numpy()
                    found.setdefault((n, name), {})[width] = gradient.T if name == "kq" else gradient
        return found

    def to_graph(self) -> Graph:
        with warnings.catch_warnings():
            # The table of cases holds layers whose widths are random: some are dead, some wider than float32.
            warnings.simplefilter("ignore", DeadLayerWarning)
            warnings.simplefilter("ignore", PrecisionWarning)
            return hgq_torch.to_graph(self.module, torch.zeros(1, *self.input_shape))

    def quantizer(self, layer: int, name: str) -> Quantizer:
        return _Quantizer(getattr(self.module[layer], name), turned=name == "kq")

    def save_and_load(self, folder: Path, save_format: str) -> Model:
        path = folder / f"model.{save_format}"
        torch.save(self.module.state_dict(), path)
        fresh = _Model([_bare(layer) for layer in self.layers], self.input_shape)
        fresh.module.load_state_dict(torch.load(path, weights_only=True))
        return fresh

    def train(self, x: Array, y: Array, *, steps: int, learning_rate: float, beta: float) -> Sequence[float]:
        self.module.train()
        hgq_torch.set_beta(self.module, beta)
        optimizer = torch.optim.Adam(self.module.parameters(), lr=learning_rate)
        inputs, targets = _tensor(x), _tensor(y)
        losses = []
        for _ in range(steps):
            optimizer.zero_grad()
            loss = torch.nn.functional.mse_loss(self.module(inputs), targets) + hgq_torch.ebops_loss(self.module)
            torch.autograd.backward(loss)
            optimizer.step()
            losses.append(loss.item())
        self.module.eval()
        return losses


def _turned(spec: Spec) -> Spec:
    """The specification of a kernel ``(in, out)`` for one that is stored as ``(out, in)``."""
    if isinstance(spec, Dummy):
        return spec
    axes: dict[str, Any] = {
        name: None if given is None else tuple(1 - axis % 2 for axis in given)
        for name in ("homogeneous_axis", "heterogeneous_axis")
        for given in [getattr(spec, name)]
    }
    blocks = {1 - axis % 2: size for axis, size in spec.blocks.items()}
    return dataclasses.replace(spec, **axes, blocks=blocks)


def _bare(layer: Layer) -> Layer:
    """The layer as configured, with other weights and its initial widths: what a file has to restore."""
    return Layer(layer.kind, layer.options, layer.quantizers, {n: np.ones_like(w) for n, w in layer.weights.items()})


def _module(layer: Layer, shape: tuple[int, ...]) -> tuple[torch.nn.Module, tuple[int, ...]]:
    """The module of a layer, with weights and widths assigned, and its output shape."""
    if layer.kind == "flatten":
        return torch.nn.Flatten(), (int(np.prod(shape)),)
    if layer.kind != "dense":
        message = f"layer kind {layer.kind!r}: hgq-torch has no such module yet"
        raise UnsupportedError(message)
    quantizers: dict[str, Any] = dict(layer.quantizers)
    if "kq" in quantizers:
        quantizers["kq"] = _turned(quantizers["kq"])
    module = QLinear(
        shape[-1],
        layer.options["units"],
        bias="bias" in layer.weights,
        activation=layer.options.get("activation"),
        input_shape=shape,
        enable_iq="iq" in layer.quantizers,
        enable_oq="oq" in layer.quantizers,
        parallelization_factor=layer.options.get("parallelization_factor", -1),
        **quantizers,
    )
    with torch.no_grad():
        module.weight.copy_(_tensor(layer.weights["kernel"]).T)
        if module.bias is not None:
            module.bias.copy_(_tensor(layer.weights["bias"]))
    for name, widths in layer.widths.items():
        _Quantizer(getattr(module, name), turned=name == "kq").assign(widths)
    return module, module.output_shape


class TorchBackend(Backend):
    """`hgq_torch.Quantizer` and `hgq_torch.nn` on the CPU."""

    version = f"hgq-torch {hgq_torch.__version__}, torch {torch.__version__}"
    environment: Mapping[str, str] = {"device": "cpu"}
    missing_kinds: Mapping[str, str] = dict.fromkeys(
        ("einsum_dense", "conv1d", "conv2d", "batch_norm", "max_pool2d", "average_pool2d", "add", "unary_lut"),
        "hgq_torch.nn begins with QLinear",
    )
    save_formats = ("pt",)

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
        """A `torch.nn.Sequential`."""
        return _Model(layers, input_shape)
