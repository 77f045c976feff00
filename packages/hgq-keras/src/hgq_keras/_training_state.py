"""How a compiled model was compiled, and its optimizer's numbers, in a ``.h5`` file.

Keras' own way there loses them: it writes losses and metrics by names that it does not read back, such as ``"mse"``,
and takes the optimizer out of the model that it writes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import h5py
import keras

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["has_training_state", "read_training_state", "write_training_state"]

_GROUP = "hgq_keras_training"
_COMPILED = "compile_config"
_OPTIMIZER = "optimizer"


def write_training_state(path: Path, model: keras.Model) -> None:
    """Put how the model was compiled, and the optimizer's numbers, into a ``.h5`` file of the model."""
    config = model.get_compile_config()
    if not config:
        return
    with h5py.File(path, "r+") as file:
        group = file.create_group(_GROUP)
        group[_COMPILED] = json.dumps(config)
        if model.optimizer is not None and model.optimizer.built:
            model.optimizer.save_own_variables(group.create_group(_OPTIMIZER))


def has_training_state(path: Path) -> bool:
    """Whether `write_training_state` has written to this ``.h5`` file."""
    with h5py.File(path) as file:
        return _GROUP in file


def read_training_state(
    path: Path, model: keras.Model, custom_objects: Mapping[str, Any] | None, *, safe_mode: bool
) -> None:
    """Compile a model as it was when the file was written, with the optimizer's numbers."""
    with h5py.File(path) as file:
        group = file[_GROUP]
        config = json.loads(group[_COMPILED].asstr()[()])
        arguments = keras.saving.deserialize_keras_object(config, custom_objects=custom_objects, safe_mode=safe_mode)
        model.compile(**arguments)
        if _OPTIMIZER in group:
            model.optimizer.build(model.trainable_variables)
            model.optimizer.load_own_variables(group[_OPTIMIZER])
