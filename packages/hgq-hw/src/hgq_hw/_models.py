"""What is accepted where a model is: a graph, a saved graph, a Keras file, a model of either framework."""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hgq_core.errors import ConfigError, FileError, HGQError, MissingDependencyError
from hgq_core.graph import Graph, load
from hgq_hw._files import shown, writing

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "KERAS_SUFFIXES",
    "as_graph",
    "check_model_name",
    "is_hgq_keras",
    "load_model",
    "load_object",
    "package",
    "require_graph",
    "require_package",
]

GRAPH_SUFFIX, KERAS_SUFFIXES = ".hgq.npz", (".keras", ".h5")


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
        graph = package("hgq_keras", "hgq-keras").to_graph(model)
        if isinstance(graph, Graph):
            return graph
    if "torch" in roots:
        message = (
            "a PyTorch model needs an example input: pass hgq_torch.to_graph(model, example) instead; on the command "
            "line a factory returns (model, example)"
        )
        raise ConfigError(message)
    message = f"received a {type(model).__name__}, expected a Graph or a Keras model"
    raise ConfigError(message)


def require_graph(graph: object, call: str) -> None:
    """Raise ConfigError, with the remedy, for what is no Graph.

    Args:
        graph: what was received.
        call: the function that received it, for the message.
    """
    if isinstance(graph, Graph):
        return
    roots = {kind.__module__.partition(".")[0] for kind in type(graph).__mro__}
    remedy = (
        "hgq_keras.to_graph(model)"
        if "keras" in roots
        else "hgq_torch.to_graph(model, example)"
        if "torch" in roots
        else "to_graph of hgq_keras or hgq_torch, or hgq_core.graph.load"
    )
    message = f"{call}: received a {type(graph).__name__}, expected a Graph; get one by {remedy}"
    raise ConfigError(message)


def check_model_name(argument: str) -> None:
    """Raise FileError or ConfigError for a command-line argument that names no model; nothing is loaded."""
    path = Path(argument)
    if argument.endswith(GRAPH_SUFFIX) or path.suffix in KERAS_SUFFIXES:
        with writing(path):
            found = path.is_file()
        if not found:
            kind = "graph file" if argument.endswith(GRAPH_SUFFIX) else "file"
            message = f"there is no {kind} {shown(path)}"
            raise FileError(message)
        return
    if _factory(argument) is None:
        message = (
            f"model: received {argument!r}, expected a saved graph '*.hgq.npz', a Keras file '*.keras', "
            "or 'package.module:factory'"
        )
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
            function without arguments that returns a graph, a Keras model, or a PyTorch model and an example input.

    Raises:
        FileError: no such file, or a damaged one.
        ConfigError: none of the above.
        MissingDependencyError: the package that reads this kind of model is not installed.
    """
    made = load_object(argument)
    if isinstance(made, tuple) and len(made) == 2:
        graph = package("hgq_torch", "hgq-torch").to_graph(*made)
        if isinstance(graph, Graph):
            return graph
    return as_graph(made)


def load_object(argument: str) -> Any:
    """What a command-line argument names, as it is: a graph, a Keras model, or what a factory returns."""
    check_model_name(argument)
    if argument.endswith(GRAPH_SUFFIX):
        return load(argument)
    if Path(argument).suffix in KERAS_SUFFIXES:
        return package("hgq_keras", "hgq-keras").load_model(argument, compile=False)
    module, _, name = argument.partition(":")
    # A module next to where the command is typed is what users mean; console scripts do not look there.
    if (here := os.getcwd()) not in sys.path:  # noqa: PTH109  # sys.path holds strings
        sys.path.insert(0, here)
    found = _users(module, lambda: import_module(module))
    factory = getattr(found, name, None)
    if factory is None:
        message = f"model: {module!r} has no {name!r}"
        raise ConfigError(message)
    return _users(argument, factory) if callable(factory) and not isinstance(factory, Graph) else factory


def _users(name: str, call: Callable[[], Any]) -> Any:
    """What code of the user's returns; says as a ConfigError what it raises, and where."""
    try:
        return call()
    except HGQError:
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and name.startswith(error.name):
            message = f"model: there is no module {error.name!r}; expected 'package.module:factory'"
        else:
            message = f"model: {name!r} needs the module {error.name!r}, which is not installed"
        raise ConfigError(message) from error
    except Exception as error:  # it may raise anything
        last = traceback.extract_tb(error.__traceback__)[-1]
        message = f"model: {name!r} raised {type(error).__name__}: {error} ({Path(last.filename).name}:{last.lineno})"
        raise ConfigError(message) from error


def _factory(argument: str) -> tuple[str, str] | None:
    module, colon, name = argument.partition(":")
    return (module, name) if colon and all(part.isidentifier() for part in (*module.split("."), name)) else None


def require_package(module: str, distribution: str) -> None:
    """Raise MissingDependencyError if a package that a model needs is not installed; it is not imported."""
    if find_spec(module) is None:
        extra = "'hgq-keras[jax]' (or [tensorflow], [torch])" if distribution == "hgq-keras" else distribution
        message = f"this model needs {distribution}: python3 -m pip install {extra}"
        raise MissingDependencyError(message)


def package(module: str, distribution: str) -> Any:
    """A package that a model needs; raises MissingDependencyError if it is not installed."""
    require_package(module, distribution)
    return import_module(module)
