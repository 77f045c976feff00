"""A subclass that computes something else than its base class must not be exported as the base class."""

from __future__ import annotations

from typing import Any

import keras

from hgq_core.errors import UnsupportedError
from hgq_keras._quantizer import Quantizer

__all__ = ["check_own_computation"]


def check_own_computation(layer: Any, label: str) -> None:
    """Raise UnsupportedError if a model or quantizer has a computation of its own, which no Graph describes."""
    kind = type(layer)
    named = f"layer {label!r} ({kind.__name__})"
    if isinstance(layer, keras.Model):
        if not _definer(kind, "call").__module__.startswith("keras."):
            message = f"model {label!r} ({kind.__name__}) has its own call; leave it to Keras, or put it into a layer"
            raise UnsupportedError(message)
    elif isinstance(layer, Quantizer) and kind.call is not Quantizer.call:
        raise UnsupportedError(f"{named} has its own call, which the Graph does not know; use Quantizer itself")


def _definer(kind: type, method: str) -> type:
    """The class that a method comes from."""
    return next(base for base in kind.__mro__ if method in vars(base))
