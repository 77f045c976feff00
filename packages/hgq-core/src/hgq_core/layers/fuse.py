"""Which of the inputs of an attention are one tensor, quantized once."""

from __future__ import annotations

from typing import Any, Literal

from hgq_core.errors import ConfigError

__all__ = ["Fuse", "check_fused", "fused_inputs"]

Fuse = Literal["none", "kv", "qkv"]

_INPUTS = {"none": 3, "kv": 2, "qkv": 1}


def fused_inputs(fuse: Any, argument: str = "fuse") -> int:
    """How many tensors, of query, value and key, there are.

    Raises:
        ConfigError: a word that says nothing of them.

    >>> fused_inputs("kv")
    2
    """
    if not isinstance(fuse, str) or fuse not in _INPUTS:
        message = f"{argument}: received {fuse!r}, expected one of {tuple(_INPUTS)}"
        raise ConfigError(message)
    return _INPUTS[fuse]


def check_fused(fuse: Fuse, query: Any, value: Any, key: Any, layer: str) -> None:
    """Raise ConfigError for different tensors where fusing needs one.

    >>> x, y = object(), object()
    >>> check_fused("kv", x, y, y, "attention")
    >>> check_fused("qkv", x, y, y, "attention")
    Traceback (most recent call last):
    ...
    hgq_core.errors.ConfigError: attention: received different tensors, expected one for fuse='qkv', which quantizes...
    """
    if (fuse != "none" and key is not value) or (fuse == "qkv" and value is not query):
        message = (
            f"{layer}: received different tensors, expected one for fuse={fuse!r}, which quantizes it once; give "
            "fuse='none'"
        )
        raise ConfigError(message)
