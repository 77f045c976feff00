"""Whole models on disk: complete files only, and one clear error for a file that cannot be read."""

from __future__ import annotations

import os
import re
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import keras

from hgq_core.errors import DataError, DeadLayerWarning, FileError, HGQError
from hgq_core.quantizer import width_names
from hgq_core.spec import check_widths
from hgq_keras._calibrate import quantizers
from hgq_keras._training_state import has_training_state, read_training_state, write_training_state
from hgq_keras.layers import quantized_layers

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["load_model", "save_model"]

_SUFFIXES = (".keras", ".h5")
# What Keras raises for archives, configurations and arrays that are not as it expects.
_UNREADABLE = (
    ValueError, TypeError, KeyError, AttributeError, ImportError, RuntimeError, OSError, zipfile.BadZipFile, zlib.error
)  # fmt: skip


def save_model(model: keras.Model, path: str | os.PathLike[str]) -> Path:
    """Write a model to a ``.keras`` or ``.h5`` file; a file that exists is replaced only once the new one is complete.

    Either holds the optimizer of a compiled model too. In a ``.h5`` file only `load_model` finds it.

    Raises:
        FileError: another suffix.
    """
    target = _checked(path)
    fresh = target.with_name(f".{os.getpid()}.{target.name}")
    try:
        if target.suffix == ".h5":
            model.save(fresh, include_optimizer=False)
            write_training_state(fresh, model)
        else:
            model.save(fresh)
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)
    return target


def load_model(
    path: str | os.PathLike[str],
    *,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,  # noqa: A002 (as in Keras)
    safe_mode: bool = True,
) -> keras.Model:
    """Read a model that Keras or `save_model` wrote.

    Args:
        path: a ``.keras`` or ``.h5`` file.
        custom_objects: classes and functions of the user's by name, as in ``keras.saving.load_model``.
        compile: compile the model as it was.
        safe_mode: refuse code in the file, such as that of a ``Lambda`` layer.

    Raises:
        FileError: the file is missing, truncated, foreign, of HGQ2, written by a newer version, or holds widths or
            betas that no training leaves.
    """
    target = _checked(path)
    if not target.exists():
        message = f"there is no model file {str(target)!r}"
        raise FileError(message)
    if target.suffix == ".keras" and not zipfile.is_zipfile(target):
        message = f"{str(target)!r} is no .keras archive, or only the beginning of one; save the model again"
        raise FileError(message)
    try:
        _refuse_peer(target)
        ours = target.suffix == ".h5" and has_training_state(target)
        with warnings.catch_warnings():
            # Of initial widths, which the file's replace.
            warnings.simplefilter("ignore", DeadLayerWarning)
            model: keras.Model = keras.saving.load_model(
                target, custom_objects=custom_objects, compile=compile and not ours, safe_mode=safe_mode
            )
        _check_numbers(model, target)
        if ours and compile:
            read_training_state(target, model, custom_objects, safe_mode=safe_mode)
    except HGQError:
        raise
    except _UNREADABLE as error:
        remedy = (
            "; if only the way in which it was compiled cannot be read, load it with compile=False"
            if compile and target.suffix == ".h5"
            else ""
        )
        message = (
            f"{str(target)!r} is damaged or holds something else than this package can build: {_reason(error)}{remedy}"
        )
        raise FileError(message) from error
    return model


def _reason(error: Exception) -> str:
    """What went wrong in one line; where Keras counts the parts that failed, what the first of them said."""
    paragraphs = [part.strip() for part in str(error).split("\n\n") if part.strip()]
    if not paragraphs:
        return type(error).__name__
    counted = len(paragraphs) > 1 and "Example error message" in paragraphs[0]
    return paragraphs[1 if counted else 0].splitlines()[0]


def _refuse_peer(target: Path) -> None:
    """Raise FileError for a checkpoint of HGQ2, whose classes are registered as ``hgq>...``."""
    if target.suffix == ".keras":
        with zipfile.ZipFile(target) as archive:
            config = archive.read("config.json").decode()
    else:
        with h5py.File(target) as file:
            config = str(file.attrs.get("model_config", ""))
    names = sorted(set(re.findall(r'"hgq>(\w+)"', config)))
    if names:
        message = (
            f"{str(target)!r} is a checkpoint of HGQ2 (with {', '.join(names)}), which this version cannot read yet; "
            "build the model with the layers of hgq_keras and train it here, or open the file with HGQ2 in an "
            "environment of its own"
        )
        raise FileError(message)


def _check_numbers(model: keras.Model, target: Path) -> None:
    """Raise FileError for widths that no training leaves; in ``.h5`` files Keras assigns them past the quantizers."""
    for quantizer in quantizers(model):
        variables = {variable.name: variable for variable in quantizer.variables}
        for name in width_names(quantizer.spec.q_type):
            if name in variables:
                try:
                    check_widths(name, keras.ops.convert_to_numpy(variables[name]))
                except DataError as error:
                    message = f"{str(target)!r}: quantizer {quantizer.name!r}: {error}"
                    raise FileError(message) from error
    for layer in quantized_layers(model):
        layer.check_beta()


def _checked(path: str | os.PathLike[str]) -> Path:
    target = Path(path)
    if target.suffix not in _SUFFIXES:
        message = f"model file: received {target.name!r}, expected a name that ends in one of {_SUFFIXES}"
        raise FileError(message)
    return target
