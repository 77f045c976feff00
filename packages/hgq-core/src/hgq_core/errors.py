"""The exceptions and warnings of every HGQ package: each says what was received, what was expected and what to do."""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "DataError",
    "DeadLayerWarning",
    "FileError",
    "FormatError",
    "GraphError",
    "HGQError",
    "HGQWarning",
    "LargeDesignWarning",
    "MissingDependencyError",
    "PrecisionWarning",
    "ShapeError",
    "ToolError",
    "UncalibratedWarning",
    "UnsupportedError",
    "VerificationError",
]


class HGQError(Exception):
    """Base class of every error that HGQ raises on purpose."""


class FormatError(HGQError, ValueError):
    """A number format that cannot exist, or a value that it cannot hold."""


class ConfigError(HGQError, ValueError):
    """An unknown option, mode, place or axis, or options that exclude each other."""


class ShapeError(HGQError, ValueError):
    """A tensor of the wrong rank or shape."""


class DataError(HGQError, ValueError):
    """NaN or infinity in weights, data or widths."""


class GraphError(HGQError, ValueError):
    """A graph that is not well formed."""


class FileError(HGQError, ValueError):
    """A file that is damaged, foreign, or written by a newer version."""


class UnsupportedError(HGQError, ValueError):
    """A layer, an operation or a mode that the requested target cannot take."""


class MissingDependencyError(HGQError, ImportError):
    """An optional package that the call needs is not installed."""


class ToolError(HGQError, RuntimeError):
    """An external program (compiler, simulator) is missing or failed."""


class VerificationError(HGQError, RuntimeError):
    """Two descriptions of one model disagree."""


class HGQWarning(UserWarning):
    """Base class of every warning that HGQ gives."""


class DeadLayerWarning(HGQWarning):
    """A layer that is about to start, or has become, entirely zero."""


class LargeDesignWarning(HGQWarning):
    """A graph that is about to be lowered, and that no device holds or no engine finishes."""


class UncalibratedWarning(HGQWarning):
    """A graph that is about to be lowered, and that has ranges which never were calibrated."""


class PrecisionWarning(HGQWarning):
    """A model whose own floating-point arithmetic may round what its graph and hardware compute exactly."""
