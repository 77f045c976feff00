"""Files of layers: the shapes that a layer was built for, and numbers that are none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from hgq_core.errors import DataError
from hgq_torch._build import started
from hgq_torch._quantizer import Quantizer
from hgq_torch._start import Start
from hgq_torch._widths import check_stored

if TYPE_CHECKING:
    from hgq_torch.nn._base import QModule

__all__ = ["check", "judge_again", "load_shapes", "save_shapes"]

_SHAPES = "built_for"


def save_shapes(module: QModule, destination: dict[str, Any], prefix: str) -> None:
    """Write the shapes that a layer was built for."""
    for number, shape in enumerate(module.built_for or ()):
        destination[f"{prefix}{_SHAPES}.{number}"] = torch.tensor(shape, dtype=torch.int64)


def load_shapes(module: QModule, state_dict: dict[str, Any], prefix: str) -> dict[str, Any]:
    """Build a module for the shapes in a file; returns the file's tensors without them.

    Raises:
        DataError: shapes that are none.
        ShapeError: shapes that the module does not take, or others than its own.
    """
    found = {}
    start = f"{prefix}{_SHAPES}."
    for key in [key for key in state_dict if key.startswith(start)]:
        shape = state_dict[key]
        if not isinstance(shape, Tensor) or shape.ndim != 1 or shape.is_floating_point() or bool((shape < 1).any()):
            message = f"{key}: received {shape!r}, expected whole sizes of at least 1; the file is damaged"
            raise DataError(message)
        found[int(key.removeprefix(start))] = tuple(shape.tolist())
    if not found:
        return state_dict
    module.build(*(found[number] for number in sorted(found)))
    return {key: value for key, value in state_dict.items() if not key.startswith(start)}


def check(module: QModule, state_dict: dict[str, Any], prefix: str) -> None:
    """Raise DataError for widths of the layer and a beta in a file that are no numbers for these."""
    for path, quantizer in module.named_modules(prefix=prefix.removesuffix(".")):
        for name in quantizer.stored if isinstance(quantizer, Quantizer) else ():
            key = f"{path}.{name}" if path else name
            check_stored(key, state_dict.get(key))
    beta = state_dict.get(f"{prefix}beta")
    if isinstance(beta, Tensor) and not beta.is_meta and not bool(torch.isfinite(beta).all() & (beta >= 0).all()):
        message = f"{prefix}beta: received {beta.tolist()}, expected finite, at least 0; the file is damaged"
        raise DataError(message)


def judge_again(module: QModule, state_dict: dict[str, Any], prefix: str) -> None:
    """A kernel that comes without its widths, as from a float model, is judged again."""
    paths = {quantizer: path for path, quantizer in module.own_quantizers().items()}
    waiting, loaded = set(), False
    for name, quantizer, _ in started(module):
        if f"{prefix}{name}" not in state_dict:
            waits = module.made.start.waits_for(name)
        else:
            loaded = True
            waits = not any(f"{prefix}{paths[quantizer]}.{width}" in state_dict for width in quantizer.trained)
        if waits:
            waiting.add(name)
    if loaded:
        module.made.start = Start(waiting)
