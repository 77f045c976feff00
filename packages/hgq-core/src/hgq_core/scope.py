"""Defaults that hold inside a ``with`` block: quantizer parameters per place, and layer options.

Scopes live in context variables, so that threads and asynchronous tasks do not see each other's. A scope may be entered
again.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Self

from hgq_core.errors import ConfigError
from hgq_core.numbers import not_negative
from hgq_core.spec import (
    PLACES,
    TYPES,
    Spec,
    check_names,
    default_parameters,
    default_type,
    make_spec,
    merged,
    normalized_place,
    normalized_type,
    parameter_names,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

__all__ = [
    "LAYER_OPTIONS",
    "KeptScope",
    "LayerConfigScope",
    "QuantizerConfigScope",
    "layer_option",
    "resolve",
    "resolved_parameters",
]

_LAYER_DEFAULTS: dict[str, Any] = {
    "beta0": 1e-5,
    "enable_ebops": True,
    "enable_iq": True,
    "enable_oq": False,
    "enable_sq": True,
}


LAYER_OPTIONS = tuple(_LAYER_DEFAULTS)
"""Names of the options that a `LayerConfigScope` takes."""


@dataclass(frozen=True, slots=True)
class _Override:
    types: tuple[str, ...]
    places: tuple[str, ...]
    default_type: str | None
    parameters: Mapping[str, Any]


_quantizers: ContextVar[tuple[_Override, ...]] = ContextVar("hgq_quantizer_overrides", default=())
_layers: ContextVar[tuple[Mapping[str, Any], ...]] = ContextVar("hgq_layer_overrides", default=())


class _Scope:
    """Pushes one entry onto a context variable for the length of a ``with`` block."""

    def __init__(self, variable: ContextVar[tuple[Any, ...]], entry: object) -> None:
        self._variable = variable
        self._entry = entry

    def __enter__(self) -> Self:
        self._variable.set((*self._variable.get(), self._entry))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The last one of ours: `override` may have put others behind it. A token would belong to whichever thread
        # entered last.
        entries = self._variable.get()
        last = max(n for n, entry in enumerate(entries) if entry is self._entry)
        self._variable.set(entries[:last] + entries[last + 1 :])

    def override(self) -> None:
        """Enter for good: until the end of this thread or asynchronous task, and in tasks that it starts.

        No block has to be open. Other threads keep their defaults: there is none that all of them share.
        """
        self.__enter__()


class QuantizerConfigScope(_Scope):
    """Quantizers that are specified inside the block take these parameters as defaults; an inner scope wins.

    Args:
        q_type: type or types that it concerns, or ``"all"``.
        place: place or places, or ``"all"``: ``weight``, ``bias``, ``table``, ``datalane``.
        default_q_type: type of quantizers at these places that do not name one.
        **parameters: as those of `KIF`, `KBI`, `Float`; each type takes the ones that it knows. Of ``i0, f0, b0``
            two give the third.

    Raises:
        ConfigError: unknown type, place, mode or parameter, both kinds of axes, or a number that no quantizer can use.

    >>> with QuantizerConfigScope(place="weight", b0=4):
    ...     resolve("default", "weight").b0
    4
    """

    def __init__(
        self,
        q_type: str | Sequence[str] = "all",
        place: str | Sequence[str] = "all",
        default_q_type: str | None = None,
        **parameters: Any,
    ) -> None:
        types = TYPES if q_type == "all" else tuple(normalized_type(t) for t in _as_sequence(q_type))
        places = PLACES if place == "all" else tuple(normalized_place(p) for p in _as_sequence(place))
        if default_q_type is not None:
            default_q_type = normalized_type(default_q_type)
        check_names(parameters, types)
        for kind in types:
            _check_parameters(kind, parameters)
        given = {name for name in ("i0", "f0", "b0") if isinstance(parameters.get(name), int | float)}
        if given == {"i0", "f0"}:
            parameters["b0"] = parameters["i0"] + parameters["f0"]
        elif given == {"i0", "b0"}:
            parameters["f0"] = parameters["b0"] - parameters["i0"]
        elif given == {"b0", "f0"}:
            parameters["i0"] = parameters["b0"] - parameters["f0"]
        super().__init__(_quantizers, _Override(types, places, default_q_type, parameters))


class KeptScope:
    """The defaults of quantizers where it is made, for what is built later and elsewhere.

    A layer has the defaults of the scope in which it is written, whatever the scope in which it first sees data.

    >>> with QuantizerConfigScope(place="weight", b0=4):
    ...     kept = KeptScope()
    >>> with kept.entered():
    ...     resolve("default", "weight").b0
    4
    """

    def __init__(self) -> None:
        self._entries = _quantizers.get()

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Inside the block these defaults hold, and none of the scopes around it."""
        token = _quantizers.set(self._entries)
        try:
            yield
        finally:
            _quantizers.reset(token)


class LayerConfigScope(_Scope):
    """Layers that are created inside the block take these options as defaults; an inner scope wins.

    Args:
        **options: ``beta0``, ``enable_ebops``, ``enable_iq``, ``enable_oq``, ``enable_sq``.

    Raises:
        ConfigError: unknown option, or a beta0 that is negative, NaN or beyond float32.
    """

    def __init__(self, **options: Any) -> None:
        for name in options:
            if name not in _LAYER_DEFAULTS:
                close = get_close_matches(name, _LAYER_DEFAULTS, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                message = f"unknown layer option {name!r}{hint}; known: {sorted(_LAYER_DEFAULTS)}"
                raise ConfigError(message)
        if "beta0" in options:
            not_negative(options["beta0"], "beta0 of the LayerConfigScope")
        super().__init__(_layers, options)


def _check_parameters(q_type: str, parameters: Mapping[str, Any]) -> None:
    """Raise ConfigError for parameters that this type of quantizer cannot have."""
    known = {name: value for name, value in parameters.items() if name in parameter_names(q_type)}
    make_spec(q_type, merged(default_parameters(q_type, "datalane"), known))


def _as_sequence(value: str | Sequence[str]) -> Sequence[str]:
    return (value,) if isinstance(value, str) else value


def layer_option(name: str) -> Any:
    """The value of a layer option in the current scope.

    >>> with LayerConfigScope(beta0=1e-3):
    ...     layer_option("beta0")
    0.001
    """
    for options in reversed(_layers.get()):
        if name in options:
            return options[name]
    return _LAYER_DEFAULTS[name]


def resolved_parameters(q_type: str, place: str, overrides: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Type, place and parameters of a quantizer in the current scope, the overrides on top.

    Raises:
        ConfigError: unknown type, place or parameter, or both kinds of axes.
    """
    place = normalized_place(place)
    scopes = [scope for scope in _quantizers.get() if place in scope.places]
    if q_type == "default":
        named = [scope.default_type for scope in scopes if scope.default_type is not None]
        q_type = named[-1] if named else default_type(place)
    q_type = normalized_type(q_type)
    check_names(overrides, (q_type,))
    parameters = default_parameters(q_type, place)
    known = parameter_names(q_type)
    for scope in scopes:
        if q_type in scope.types:
            parameters = merged(parameters, {n: v for n, v in scope.parameters.items() if n in known})
    return q_type, place, merged(parameters, overrides)


def resolve(q_type: str = "default", place: str = "datalane", **overrides: Any) -> Spec:
    """The specification of a quantizer in the current scope.

    Args:
        q_type: ``"kif"``, ``"kbi"``, ``"float"``, ``"dummy"`` or ``"default"``.
        place: ``"weight"``, ``"bias"``, ``"table"`` or ``"datalane"``.
        **overrides: parameters of the spec.

    >>> resolve(place="weights").q_type
    'kbi'
    """
    q_type, _, parameters = resolved_parameters(q_type, place, overrides)
    return make_spec(q_type, parameters)
