"""Calibration from the command line: a model of either framework, an array of data, a file of the calibrated model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hgq_core.errors import ConfigError
from hgq_core.graph import Graph
from hgq_hw._files import new_file
from hgq_hw._models import GRAPH_SUFFIX, KERAS_SUFFIXES, load_object, package

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TORCH_SUFFIXES", "calibrate_model", "check_calibrated_output"]

TORCH_SUFFIXES = (".pt", ".pth")
_KERAS_SUFFIX = ".keras"
"""Keras' older ``.h5`` holds numbers by position, and no mark that they are calibrated."""


def check_calibrated_output(argument: str, output: Path) -> tuple[str, ...]:
    """The suffixes that the file of the calibrated model may have.

    Raises:
        ConfigError: the argument names a graph.
    """
    if argument.endswith(GRAPH_SUFFIX) or output.name.endswith(GRAPH_SUFFIX):
        raise _no_graph()
    return (_KERAS_SUFFIX,) if Path(argument).suffix in KERAS_SUFFIXES else (_KERAS_SUFFIX, *TORCH_SUFFIXES)


def calibrate_model(argument: str, data: Any, output: Path, batch_size: int) -> float:
    """Calibrate what the argument names and write it.

    Args:
        argument: a Keras file, or ``package.module:factory`` that returns a Keras model or a PyTorch model, alone or
            with an example input.
        data: an array ``(n, ...)``, or a tuple of them if the model has several inputs.
        output: a Keras file for a Keras model, ``*.pt`` for the ``state_dict`` of a PyTorch model.
        batch_size: rows per call.

    Returns:
        EBOPs of the calibrated model.

    Raises:
        ConfigError: a graph, something that is no model, or a suffix of the other framework.
        DataError: data that the model cannot be calibrated on.
    """
    made = load_object(argument)
    if isinstance(made, Graph):
        raise _no_graph()
    model = made[0] if isinstance(made, tuple) and made else made
    roots = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    calibrate: Callable[[Any, Any, Path, int], float]
    suffixes: tuple[str, ...]
    if "keras" in roots:
        calibrate, suffixes = _keras, (_KERAS_SUFFIX,)
    elif "torch" in roots:
        calibrate, suffixes = _torch, TORCH_SUFFIXES
    else:
        message = f"{argument!r} gives a {type(model).__name__}, expected a Keras or a PyTorch model"
        raise ConfigError(message)
    if output.suffix not in suffixes:
        message = f"output: received {str(output)!r}, expected a name that ends in {' or '.join(map(repr, suffixes))}"
        raise ConfigError(message)
    return calibrate(model, data, output, batch_size)


def _keras(model: Any, data: Any, output: Path, batch_size: int) -> float:
    hgq_keras = package("hgq_keras", "hgq-keras")
    cost = float(hgq_keras.trace_minmax(model, list(data) if isinstance(data, tuple) else data, batch_size=batch_size))
    hgq_keras.save_model(model, output)
    return cost


def _torch(model: Any, data: Any, output: Path, batch_size: int) -> float:
    if isinstance(data, tuple):
        message = (
            "data: a PyTorch model is calibrated on one array here; call hgq_torch.calibrate with a loader instead"
        )
        raise ConfigError(message)
    hgq_torch, torch = package("hgq_torch", "hgq-torch"), package("torch", "torch")
    tensor = torch.as_tensor(data, dtype=torch.get_default_dtype())
    cost = float(hgq_torch.calibrate(model, list(tensor.split(batch_size))))
    with new_file(output) as fresh:
        torch.save(model.state_dict(), fresh)
    return cost


def _no_graph() -> ConfigError:
    return ConfigError(
        "a graph cannot be calibrated: its formats are fixed; calibrate the model that it was exported from "
        "(hgq calibrate model.keras data.npy calibrated.keras) and export again"
    )
