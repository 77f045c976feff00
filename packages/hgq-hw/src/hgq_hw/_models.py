"""What is accepted where a model is: a graph, a saved graph, a Keras file, a model of either framework."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hgq_core.errors import ConfigError, FileError, MissingDependencyError
from hgq_core.graph import Graph, load

__all__ = ["as_graph", "is_hgq_keras", "load_model"]


def as_graph(model: Graph | Any) -> Graph:
    """The graph of a Graph or of a Keras model.

    Raises:
        ConfigError: anything else; a PyTorch model needs an example input, so export it yourself.
        MissingDependencyError: hgq-keras is not installed.
    """
    if isinstance(model, Graph):
        return model
    roots = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    if "keras" in roots:
        graph = _package("hgq_keras", "hgq-keras").to_graph(model)
        if isinstance(graph, Graph):
            return graph
    if "torch" in roots:
        message = "a PyTorch model needs an example input: pass hgq_torch.to_graph(model, example) instead"
        raise ConfigError(message)
    message = f"received a {type(model).__name__}, expected a Graph or a Keras model"
    raise ConfigError(message)


def is_hgq_keras(model: Any) -> bool:
    """Whether a Keras model has a layer of hgq-keras, nested models included; imports no framework."""
    if any(kind.__module__.partition(".")[0] == "hgq_keras" for kind in type(model).__mro__):
        return True
    return any(is_hgq_keras(layer) for layer in getattr(model, "layers", ()))


def load_model(argument: str) -> Graph:
    """The graph that a command-line argument names.

    Args:
        argument: a saved graph ``*.hgq.npz``, a Keras file ``*.keras`` or ``*.h5``, or ``package.module:factory``, a
        function
            without arguments that returns a graph, a Keras model, or a PyTorch model and an example input.

    Raises:
        FileError: no such file, or a damaged one.
        ConfigError: none of the above.
        MissingDependencyError: the package that reads this kind of model is not installed.
    """
    path = Path(argument)
    if argument.endswith(".hgq.npz"):
        return load(path)
    if path.suffix in (".keras", ".h5"):
        return _from_keras(path)
    module, colon, name = argument.partition(":")
    if colon and all(part.isidentifier() for part in (*module.split("."), name)):
        return _from_factory(module, name)
    message = (
        f"model: received {argument!r}, expected a saved graph '*.hgq.npz', a Keras file '*.keras', "
        "or 'package.module:factory'"
    )
    raise ConfigError(message)


def _from_keras(path: Path) -> Graph:
    if not path.is_file():
        message = f"there is no file {str(path)!r}"
        raise FileError(message)
    package = _package("hgq_keras", "hgq-keras")
    model = package.load_model(path, compile=False)
    graph = package.to_graph(model)
    if not isinstance(graph, Graph):
        message = f"hgq_keras.to_graph gave a {type(graph).__name__}, expected a Graph; upgrade hgq-keras"
        raise ConfigError(message)
    return graph


def _from_factory(module: str, name: str) -> Graph:
    # A module next to where the command is typed is what users mean; console scripts do not look there.
    if (here := os.getcwd()) not in sys.path:  # noqa: PTH109  # sys.path holds strings
        sys.path.insert(0, here)
    try:
        factory = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        message = f"model: there is no module {error.name!r}; expected 'package.module:factory'"
        raise ConfigError(message) from error
    except AttributeError as error:
        message = f"model: {module!r} has no {name!r}"
        raise ConfigError(message) from error
    made = factory() if callable(factory) and not isinstance(factory, Graph) else factory
    if isinstance(made, tuple) and len(made) == 2:
        graph = _package("hgq_torch", "hgq-torch").to_graph(*made)
        if isinstance(graph, Graph):
            return graph
    return as_graph(made)


def _package(module: str, distribution: str) -> Any:
    if find_spec(module) is None:
        message = f"this model needs {distribution}: python3 -m pip install {distribution}"
        raise MissingDependencyError(message)
    return import_module(module)
