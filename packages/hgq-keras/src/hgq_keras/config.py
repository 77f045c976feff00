"""`QuantizerConfig`: what a quantizer shall be, resolved in the scope in which it is written; Keras serialises it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from hgq_core.errors import ConfigError, FileError
from hgq_core.modes import Overflow
from hgq_core.numbers import checked_affine, checked_noise, checked_scaler
from hgq_core.presets import HARD_SIGMOID_AFFINE, beside, hard_sigmoid, hard_tanh
from hgq_core.scope import LayerConfigScope, QuantizerConfigScope, resolved_parameters
from hgq_core.spec import Spec, make_spec
from hgq_keras._checks import check_axes, check_start, start_inside
from hgq_keras.constraints import as_constraint
from hgq_keras.regularizers import as_regularizer

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["HardSigmoidConfig", "HardTanhConfig", "LayerConfigScope", "QuantizerConfig", "QuantizerConfigScope"]

FORMAT = 1
"""Version of the configurations that are written; newer ones are refused."""

_CONSTRAINTS = ("ic", "fc", "bc", "mc", "ec", "e0c")
_LIMITED = {"i0": "ic", "f0": "fc", "b0": "bc", "m0": "mc", "e0": "ec", "e00": "e0c"}
_REGULARIZERS = ("ir", "fr", "br", "mr", "er", "e0r")


@keras.saving.register_keras_serializable(package="hgq_keras")
class QuantizerConfig(Mapping[str, Any]):
    """The parameters of one quantizer; reads as a mapping.

    Args:
        q_type: ``"kbi"``, ``"kif"``, ``"float"``, ``"dummy"``, or ``"default"`` for the scope's type at this place.
        place: ``"weight"``, ``"bias"``, ``"table"`` or ``"datalane"``; gives the defaults.
        scaler: the input is divided by it before, and multiplied by it after quantization; not 0.
        affine: ``(scale, shift)`` applied to the output.
        qnoise_factor: in training the output is ``x + qnoise_factor * (q(x) - x)``; 0 to 1.
        **parameters: parameters of the type: widths ``k0, i0, f0, b0`` (bits), ``round_mode``, ``overflow_mode``,
            constraints ``ic, fc, bc``, regularisers ``ir, fr, br``, ``i_decay_speed`` (bits per step),
            ``homogeneous_axis`` or ``heterogeneous_axis``, ``blocks``, ``stochastic``, ``trainable``.

    Raises:
        ConfigError: unknown type, place, mode or parameter; both kinds of axes; a scaler of 0; a k0 other than 0 and 1;
            a noise factor outside [0, 1]; a number that is NaN, infinite or more than float32 holds; an initial width
            that is given here and lies outside of its constraint. One that a scope or a default brings starts at the
            edge of the constraint.

    >>> QuantizerConfig("kbi", "weight", b0=6)["b0"]
    6
    """

    def __init__(
        self,
        q_type: str = "default",
        place: str = "datalane",
        scaler: float | None = None,
        affine: Sequence[float] | None = None,
        qnoise_factor: float | None = None,
        **parameters: Any,
    ) -> None:
        check_axes(parameters)
        self.q_type, self.place, given = resolved_parameters(q_type, place, parameters)
        # Every parameter, those with a default too, so that another scope does not fill them in when it is read back.
        defaults = make_spec(self.q_type, {name: _python(value) for name, value in given.items()})
        resolved = {field.name: getattr(defaults, field.name) for field in fields(defaults)}
        for name in _CONSTRAINTS:
            if name in resolved:
                resolved[name] = as_constraint(resolved[name])
        for name in _REGULARIZERS:
            if name in resolved:
                resolved[name] = as_regularizer(resolved[name])
        if isinstance(resolved.get("k0"), int | float) and resolved["k0"] not in (0, 1):
            message = f"k0: received {resolved['k0']}, expected 1 to keep negative numbers or 0"
            raise ConfigError(message)
        for name in _LIMITED:
            if name in resolved:
                check_start(name, resolved[name])
        for name, limit in _LIMITED.items():
            # Under WRAP `i` only begins there: it follows the data, and stays inside its constraint as it does.
            if name in resolved and not (name == "i0" and resolved["overflow_mode"] is Overflow.WRAP):
                given_here = name in parameters
                resolved[name] = start_inside(name, resolved[name], limit, resolved[limit], given=given_here)
        self._parameters = resolved
        self.spec: Spec = make_spec(self.q_type, resolved)
        self.scaler = checked_scaler(scaler)
        self.affine = checked_affine(affine)
        self.qnoise_factor = checked_noise(qnoise_factor)

    def __getitem__(self, name: str) -> Any:
        return self._parameters[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        inner = ", ".join(f"{name}={value!r}" for name, value in self._parameters.items())
        return f"QuantizerConfig({self.q_type!r}, {self.place!r}, {inner})"

    @property
    def config(self) -> dict[str, Any]:
        """A copy of the parameters; to change one write `replaced`, since a quantizer may share this configuration."""
        return dict(self._parameters)

    def replaced(self, **parameters: Any) -> QuantizerConfig:
        """A copy with other parameters; this one does not change."""
        axes = {"homogeneous_axis", "heterogeneous_axis"}
        kept = {
            name: value
            for name, value in self._parameters.items()
            if name not in parameters
            and not (name in axes and axes & parameters.keys())
            and not (name in axes and value is None)
        }
        return QuantizerConfig(
            self.q_type, self.place, self.scaler, self.affine, self.qnoise_factor, **kept, **parameters
        )

    def get_quantizer(self) -> Any:
        """A `Quantizer` of these widths and modes alone, without scaler, affine map and noise; it is not built yet.

        >>> from hgq_keras import QuantizerConfig
        >>> QuantizerConfig("kif", "datalane", affine=(2.0, 0.0)).get_quantizer().affine is None
        True
        """
        # The layer takes a configuration and so is imported after it; the registry of Keras joins the two.
        layer = keras.saving.get_registered_object("hgq_keras>Quantizer")
        return layer(QuantizerConfig(self.q_type, self.place, **_without_empty_axes(self._parameters)))

    def get_config(self) -> dict[str, Any]:
        """Everything needed to build it again, independent of the scope."""
        serialize = keras.saving.serialize_keras_object
        parameters = {name: _plain(value) for name, value in self._parameters.items()}
        return {
            "format": FORMAT,
            "q_type": self.q_type,
            "place": self.place,
            "scaler": self.scaler,
            "affine": self.affine,
            "qnoise_factor": self.qnoise_factor,
            "parameters": {name: serialize(value) for name, value in parameters.items() if value is not None},
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> QuantizerConfig:
        """The inverse of `get_config`; raises FileError for a newer format."""
        config = dict(config)
        check_format(config.pop("format", 1), cls.__name__)
        stored = config.pop("parameters")
        parameters = {name: keras.saving.deserialize_keras_object(value) for name, value in stored.items()}
        for name in ("homogeneous_axis", "heterogeneous_axis"):
            if parameters.get(name) is not None:
                parameters[name] = tuple(parameters[name])
        if "blocks" in parameters:
            parameters["blocks"] = {int(axis): size for axis, size in parameters["blocks"].items()}
        # Written with every parameter: an absent constraint or regulariser means none, whatever the scope says.
        known = make_spec(config["q_type"], {})
        for name in (*_CONSTRAINTS, *_REGULARIZERS):
            if hasattr(known, name):
                parameters.setdefault(name, None)
        affine = config.pop("affine")
        return cls(affine=None if affine is None else tuple(affine), **config, **parameters)


def _without_empty_axes(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters without the kind of axes that is None: only one of both is given."""
    axes = ("homogeneous_axis", "heterogeneous_axis")
    return {name: value for name, value in parameters.items() if name not in axes or value is not None}


def _python(value: Any) -> Any:
    """Numbers of NumPy as those of Python, also in axes and blocks: a file holds no others."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return tuple(_python(item) for item in value)
    if isinstance(value, dict):
        return {_python(key): _python(item) for key, item in value.items()}
    return value


def _plain(value: Any) -> Any:
    """Enumerations as their names and infinity as text; JSON has neither."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping) and not isinstance(value, QuantizerConfig):
        return {str(key): item for key, item in value.items()}
    return value


def check_format(received: Any, name: str) -> None:
    """Raise FileError for a configuration that a newer version wrote."""
    if not isinstance(received, int) or received > FORMAT:
        message = f"{name} has format {received!r}, this version reads up to {FORMAT}; upgrade hgq-keras"
        raise FileError(message)


def configured(conf: Any, place: str, argument: str) -> QuantizerConfig:
    """The configuration that was given, or the scope's for this place; raises ConfigError for anything else."""
    if conf is None:
        return QuantizerConfig("default", place)
    if not isinstance(conf, QuantizerConfig):
        message = f"{argument}: received {conf!r}, expected a QuantizerConfig such as QuantizerConfig('kif', {place!r})"
        raise ConfigError(message)
    return conf


def HardTanhConfig(  # noqa: N802 (called as the class of that name, which users know)
    q_type: str = "kif", place: str = "datalane", symmetric: bool = False, **parameters: Any
) -> QuantizerConfig:
    """The configuration of a quantizer that is ``clip(x, -1, 1)``: no integer bits, and saturation.

    Args:
        q_type: ``"kif"`` or ``"kbi"``.
        place: see `QuantizerConfig`.
        symmetric: whether the lowest number is that above -1, as the highest is below 1.
        **parameters: see `QuantizerConfig`; those of the range are fixed.

    Raises:
        ConfigError: a parameter that is fixed here, or that the type does not have.

    >>> HardTanhConfig(f0=4)["i0"]
    0
    """
    return QuantizerConfig(q_type, place, **beside(hard_tanh(symmetric=symmetric), parameters, "HardTanhConfig"))


def HardSigmoidConfig(  # noqa: N802 (called as the class of that name, which users know)
    q_type: str = "kif", place: str = "datalane", **parameters: Any
) -> QuantizerConfig:
    """The configuration of a quantizer that is ``0.25 * clip(x, -2, 2) + 0.5``.

    Args:
        q_type: ``"kif"`` or ``"kbi"``.
        place: see `QuantizerConfig`.
        **parameters: see `QuantizerConfig`; those of the range, and the affine map, are fixed.

    Raises:
        ConfigError: a parameter that is fixed here, or that the type does not have.

    >>> HardSigmoidConfig().affine
    (0.25, 0.5)
    """
    fixed = hard_sigmoid() | {"affine": HARD_SIGMOID_AFFINE}
    return QuantizerConfig(q_type, place, **beside(fixed, parameters, "HardSigmoidConfig"))
