"""What a quantizer is before it has variables: frozen specifications, their names, and the defaults of each place."""

from __future__ import annotations

from dataclasses import fields
from difflib import get_close_matches
from math import inf
from typing import TYPE_CHECKING, Any

from hgq_core._specs import KBI, KIF, WIDEST, Bounds, Dummy, Float, Spec, check_widths
from hgq_core.errors import ConfigError
from hgq_core.modes import Overflow

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "KBI",
    "KIF",
    "PLACES",
    "TYPES",
    "WIDEST",
    "Bounds",
    "Dummy",
    "Float",
    "Spec",
    "check_names",
    "check_widths",
    "default_parameters",
    "make_spec",
]

PLACES = ("weight", "bias", "table", "datalane")
TYPES = ("kbi", "kif", "float", "dummy")
_MONO_L1 = 1e-8
_CLASSES: dict[str, type[Any]] = {"kif": KIF, "kbi": KBI, "float": Float, "dummy": Dummy}


def default_type(place: str) -> str:
    """``kif`` for data, ``kbi`` for everything else; raises ConfigError for an unknown place."""
    return "kif" if normalized_place(place) == "datalane" else "kbi"


def normalized_place(place: object) -> str:
    """The place's name in the singular; raises ConfigError for an unknown one."""
    for name in PLACES:
        if place in (name, f"{name}s"):
            return name
    message = f"place: received {place!r}, expected one of {PLACES}"
    raise ConfigError(message)


def normalized_type(q_type: str) -> str:
    """The quantizer type's name; raises ConfigError for an unknown one."""
    if q_type not in TYPES:
        message = f"quantizer type: received {q_type!r}, expected one of {TYPES} or 'default'"
        raise ConfigError(message)
    return q_type


def parameter_names(q_type: str) -> tuple[str, ...]:
    """Names of the parameters of a quantizer type."""
    return tuple(f.name for f in fields(_CLASSES[normalized_type(q_type)]))


def check_names(names: Mapping[str, object], q_types: tuple[str, ...]) -> None:
    """Raise ConfigError, with a suggestion, for a name that none of these quantizer types knows."""
    known = {name for q_type in q_types for name in parameter_names(q_type)}
    for name in names:
        if name not in known:
            close = get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            message = (
                f"unknown quantizer parameter {name!r} for type {' or '.join(q_types)}{hint}; known: {sorted(known)}"
            )
            raise ConfigError(message)


def default_parameters(q_type: str, place: str) -> dict[str, Any]:
    """The defaults of the specification (numbers, section 9) as keyword arguments of the spec.

    >>> default_parameters("kif", "datalane")["homogeneous_axis"]
    (0,)
    """
    q_type, place = normalized_type(q_type), normalized_place(place)
    places: dict[str, dict[str, Any]] = {
        "weight": {"homogeneous_axis": (), "heterogeneous_axis": None},
        "bias": {"homogeneous_axis": (), "heterogeneous_axis": None},
        "table": {"homogeneous_axis": None, "heterogeneous_axis": ()},
        "datalane": {"homogeneous_axis": (0,), "heterogeneous_axis": None},
    }
    axes = places[place]
    if q_type == "dummy":
        return {}
    if q_type == "float":
        return {"mr": _MONO_L1, "er": _MONO_L1, **axes}
    common: dict[str, Any] = {
        "overflow_mode": Overflow.SAT_SYM if place in ("weight", "table") else Overflow.WRAP,
        "i_decay_speed": 0.01 if place in ("bias", "datalane") else inf,
        "is_weight": place == "weight",
        **axes,
    }
    if q_type == "kif":
        return common | {"ic": Bounds(-23, 23), "fc": Bounds(-24, 24), "ir": _MONO_L1, "fr": _MONO_L1}
    bits = 23 if place in ("weight", "table") else 24
    return common | {"bc": Bounds(0, bits), "br": _MONO_L1}


def make_spec(q_type: str, parameters: Mapping[str, Any]) -> Spec:
    """The frozen specification; raises ConfigError for an unknown name.

    Giving one of the two axis arguments clears the default of the other one.
    """
    check_names(parameters, (normalized_type(q_type),))
    spec: Spec = _CLASSES[q_type](**parameters)
    return spec


def merged(defaults: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Overrides on top of defaults; giving one kind of axes replaces the other kind.

    Raises:
        ConfigError: both kinds of axes are given.
    """
    both = [name for name in ("homogeneous_axis", "heterogeneous_axis") if overrides.get(name) is not None]
    if len(both) == 2:
        message = (
            f"received homogeneous_axis={overrides['homogeneous_axis']} and "
            f"heterogeneous_axis={overrides['heterogeneous_axis']}; they exclude each other, give one"
        )
        raise ConfigError(message)
    result = dict(defaults) | dict(overrides)
    if both:
        result["heterogeneous_axis" if both[0] == "homogeneous_axis" else "homogeneous_axis"] = None
        result[both[0]] = tuple(result[both[0]])
    return result
