"""What may be asked of `hgq_hw.hls4ml.lower`, checked before anything is built or written."""

from __future__ import annotations

from difflib import get_close_matches
from importlib.util import find_spec

from hgq_core.errors import ConfigError, MissingDependencyError, UnsupportedError
from hgq_hw._names import CPP, check_name

__all__ = ["PER_ELEMENT", "PER_TENSOR", "backend_name", "check_options"]

PER_ELEMENT = ("Vitis", "Vivado")
"""Back ends with a type for every element."""

PER_TENSOR = ("Quartus", "Catapult")
"""Back ends with a type for every tensor."""

_REFUSED = ("oneAPI", "Libero", "VivadoAccelerator")

_STRATEGIES = ("Latency", "Resource", "distributed_arithmetic")


def backend_name(backend: str) -> str:
    """The back end in hls4ml's spelling; hls4ml takes names in any case.

    >>> backend_name("VITIS")
    'Vitis'

    Raises:
        ConfigError: no such back end, with a suggestion.
        UnsupportedError: one that cannot be simulated here.
    """
    given: object = backend
    spelled = {name.lower(): name for name in (*PER_ELEMENT, *PER_TENSOR, *_REFUSED)}
    name = spelled.get(given.lower(), "") if isinstance(given, str) else ""
    if name in _REFUSED:
        message = f"backend {name!r} cannot be simulated here; expected one of {[*PER_ELEMENT, *PER_TENSOR]}"
        raise UnsupportedError(message)
    if not name:
        close = get_close_matches(str(given).lower(), spelled, n=1)
        hint = f"; did you mean {spelled[close[0]]!r}?" if close else ""
        message = f"backend: received {given!r}, expected one of {[*PER_ELEMENT, *PER_TENSOR]}{hint}"
        raise ConfigError(message)
    return name


def check_options(
    backend: str, io_type: str, strategy: str, clock_period: float, project_name: str, reuse_factor: int
) -> None:
    """Raises ConfigError or MissingDependencyError for options that `lower` cannot work with."""
    for name, value, known in (
        ("io_type", io_type, ("io_parallel", "io_stream")),
        ("strategy", strategy, _STRATEGIES),
    ):
        if value not in known:
            message = f"{name}: received {value!r}, expected one of {list(known)}"
            raise ConfigError(message)
    if strategy == "distributed_arithmetic" and (reuse_factor != 1 or backend not in PER_ELEMENT):
        message = (
            f"strategy 'distributed_arithmetic': received backend {backend!r} and reuse_factor {reuse_factor}, "
            f"expected one of {list(PER_ELEMENT)} and 1"
        )
        raise ConfigError(message)
    if strategy == "distributed_arithmetic" and find_spec("da4ml") is None:
        message = "strategy 'distributed_arithmetic' needs da4ml: python3 -m pip install 'hgq-hw[da4ml]'"
        raise MissingDependencyError(message)
    check_name("project_name", project_name, CPP)
    if reuse_factor < 1 or reuse_factor != int(reuse_factor):
        message = f"reuse_factor: received {reuse_factor!r}, expected a whole number of at least 1"
        raise ConfigError(message)
    if not clock_period > 0:
        message = f"clock_period: received {clock_period!r}, expected nanoseconds greater than 0"
        raise ConfigError(message)
