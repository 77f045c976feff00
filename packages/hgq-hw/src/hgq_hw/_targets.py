"""Names of targets, as they are typed: ``da4ml`` or ``hls4ml:<backend>:<io_type>``."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from hgq_core.errors import ConfigError

__all__ = ["Target"]

_BACKENDS = {name.lower(): name for name in ("Vitis", "Vivado", "Quartus", "Catapult", "oneAPI", "Libero")}
_IO_TYPES = ("io_parallel", "io_stream")
_LANGUAGES = ("verilog", "vhdl", "vitis")


@dataclass(frozen=True, slots=True)
class Target:
    """What a graph is lowered to.

    Attributes:
        engine: ``da4ml`` or ``hls4ml``.
        backend: for hls4ml its backend, in hls4ml's spelling; for da4ml the language.
        io_type: for hls4ml, ``io_parallel`` or ``io_stream``; empty for da4ml.
    """

    engine: str
    backend: str
    io_type: str = ""

    @classmethod
    def parse(cls, text: str) -> Target:
        """Read a target; parts left out take the first value.

        >>> Target.parse("hls4ml:vitis")
        Target(engine='hls4ml', backend='Vitis', io_type='io_parallel')

        Raises:
            ConfigError: an unknown part, with a suggestion.
        """
        engine, *rest = text.lower().split(":")
        _known("target", engine, ("da4ml", "hls4ml"))
        if len(rest) > (2 if engine == "hls4ml" else 1):
            message = f"target: received {text!r}, expected 'da4ml[:language]' or 'hls4ml[:backend[:io_type]]'"
            raise ConfigError(message)
        if engine == "da4ml":
            language = rest[0] if rest else _LANGUAGES[0]
            _known("language of da4ml", language, _LANGUAGES)
            return cls(engine, language)
        backend = rest[0] if rest else "vitis"
        _known("backend of hls4ml", backend, tuple(_BACKENDS))
        io_type = rest[1] if len(rest) > 1 else _IO_TYPES[0]
        _known("io_type of hls4ml", io_type, _IO_TYPES)
        return cls(engine, _BACKENDS[backend], io_type)


def _known(what: str, received: str, expected: tuple[str, ...]) -> None:
    if received not in expected:
        close = get_close_matches(received, expected, n=1, cutoff=0.5)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        message = f"{what}: received {received!r}, expected one of {', '.join(expected)}{hint}"
        raise ConfigError(message)
