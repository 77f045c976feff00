"""The defaults that hold where they are read, as mappings that cannot be written; scopes change them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from hgq_core.scope import LAYER_OPTIONS, layer_option, resolve, resolved_parameters
from hgq_core.spec import PLACES, TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["all_places", "all_quantizer_types", "default_configs", "default_q_type", "global_config"]


class _LayerOptions(Mapping[str, Any]):
    """The options of layers in the present `LayerConfigScope`."""

    def __getitem__(self, name: str) -> Any:
        if name not in LAYER_OPTIONS:
            raise KeyError(name)
        return layer_option(name)

    def __iter__(self) -> Iterator[str]:
        return iter(LAYER_OPTIONS)

    def __len__(self) -> int:
        return len(LAYER_OPTIONS)


class _Parameters(Mapping[tuple[str, str], Mapping[str, Any]]):
    """The parameters of quantizers by type and place in the present `QuantizerConfigScope`."""

    def __getitem__(self, key: tuple[str, str]) -> Mapping[str, Any]:
        if key not in list(self):
            raise KeyError(key)
        spec = resolve(*key)
        return {field.name: getattr(spec, field.name) for field in fields(spec)}

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((q_type, place) for q_type in TYPES for place in PLACES)

    def __len__(self) -> int:
        return len(TYPES) * len(PLACES)


class _Types(Mapping[str, str]):
    """The type of quantizer at each place in the present `QuantizerConfigScope`."""

    def __getitem__(self, place: str) -> str:
        if place not in PLACES:
            raise KeyError(place)
        return resolved_parameters("default", place, {})[0]

    def __iter__(self) -> Iterator[str]:
        return iter(PLACES)

    def __len__(self) -> int:
        return len(PLACES)


global_config: Mapping[str, Any] = _LayerOptions()
default_configs: Mapping[tuple[str, str], Mapping[str, Any]] = _Parameters()
default_q_type: Mapping[str, str] = _Types()


def all_quantizer_types() -> tuple[str, ...]:
    """The types of quantizers."""
    return tuple(TYPES)


def all_places() -> tuple[str, ...]:
    """The places of quantizers."""
    return tuple(PLACES)
