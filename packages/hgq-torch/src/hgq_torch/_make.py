"""Quantizers as a user gives them: an object, a specification, the name of a type, or a dict of parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hgq_core.errors import ConfigError
from hgq_torch._quantizer import Quantizer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["QuantizerLike", "make_quantizer"]

QuantizerLike = Any
"""A `Quantizer`, a specification of `hgq_core.spec`, a type's name, a dict of overrides, or None for the default."""

_AXES = {"homogeneous_axis", "heterogeneous_axis"}


def make_quantizer(
    given: QuantizerLike,
    place: str,
    shape: Sequence[int | None] | None = None,
    overrides: Mapping[str, Any] | None = None,
    **options: Any,
) -> Quantizer:
    """The quantizer that was given, or one made of the specification, name or overrides that were given.

    Args:
        given: see `QuantizerLike`.
        place: see `Quantizer`.
        shape: for which it is built; None leaves it without.
        overrides: parameters of the default specification; those that were given win.
        **options: ``device`` and ``dtype``.

    Raises:
        ConfigError: something else was given.
    """
    if isinstance(given, Quantizer):
        if not given.built and shape is not None:
            given.build(shape)
        return given
    if hasattr(given, "q_type"):
        return Quantizer(given, place, shape=shape, **options)
    if given is None or isinstance(given, str | dict):
        named: dict[str, Any] = given if isinstance(given, dict) else {"spec": given or "default"}
        default = dict(overrides or {}) if named.get("spec", "default") == "default" else {}
        if not _AXES.isdisjoint(named):
            default = {name: value for name, value in default.items() if name not in _AXES}
        return Quantizer(**({"spec": "default", "place": place, "shape": shape} | options | default | named))
    message = (
        f"quantizer for place {place!r}: received {given!r}, expected a Quantizer, a specification (hgq_core.KIF, KBI, "
        "Float, Dummy), the name of a type, or a dict of its parameters"
    )
    raise ConfigError(message)
