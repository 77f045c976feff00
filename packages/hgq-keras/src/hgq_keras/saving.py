"""Whole models on disk: complete files only, and one clear error for a file that cannot be read."""

from __future__ import annotations

import os
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import keras

from hgq_core.errors import DeadLayerWarning, FileError, HGQError

__all__ = ["load_model", "save_model"]

_SUFFIXES = (".keras", ".h5")


def save_model(model: keras.Model, path: str | os.PathLike[str]) -> Path:
    """Write a model to a ``.keras`` or ``.h5`` file; a file that exists is replaced only once the new one is complete.

    Raises:
        FileError: another suffix.
    """
    target = _checked(path)
    fresh = target.with_name(f".{os.getpid()}.{target.name}")
    try:
        model.save(fresh)
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)
    return target


def load_model(path: str | os.PathLike[str], **options: Any) -> keras.Model:
    """Read a model that Keras or `save_model` wrote; ``options`` are those of ``keras.saving.load_model``.

    Raises:
        FileError: the file is missing, truncated, foreign, or written by a newer version.
    """
    target = _checked(path)
    if not target.exists():
        message = f"there is no model file {str(target)!r}"
        raise FileError(message)
    if target.suffix == ".keras" and not zipfile.is_zipfile(target):
        message = f"{str(target)!r} is no .keras archive, or only the beginning of one; save the model again"
        raise FileError(message)
    try:
        with warnings.catch_warnings():
            # Of initial widths, which the file's replace.
            warnings.simplefilter("ignore", DeadLayerWarning)
            model: keras.Model = keras.saving.load_model(target, **options)
    except HGQError:
        raise
    except (ValueError, TypeError, KeyError, OSError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        message = f"{str(target)!r} is damaged or holds something else than this package can build: {reason}"
        raise FileError(message) from error
    return model


def _checked(path: str | os.PathLike[str]) -> Path:
    target = Path(path)
    if target.suffix not in _SUFFIXES:
        message = f"model file: received {target.name!r}, expected a name that ends in one of {_SUFFIXES}"
        raise FileError(message)
    return target
