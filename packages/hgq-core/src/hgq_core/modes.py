"""Rounding and overflow modes on two's complement; each mode is what the ``ap_fixed`` mode of that name does."""

from __future__ import annotations

from difflib import get_close_matches
from enum import StrEnum
from typing import TypeVar

from hgq_core.errors import ConfigError

__all__ = ["Overflow", "Round"]

_Mode = TypeVar("_Mode", bound=StrEnum)


class Round(StrEnum):
    """How a value between two representable ones is rounded; hardware cost rises from ``TRN`` to ``RND_CONV``.

    >>> Round.parse("s_rnd")
    <Round.RND_INF: 'RND_INF'>
    """

    TRN = "TRN"
    """Floor: the fraction bits are dropped (AP_TRN)."""
    TRN_ZERO = "TRN_ZERO"
    """Toward zero (AP_TRN_ZERO)."""
    RND = "RND"
    """Nearest, ties toward plus infinity (AP_RND)."""
    RND_ZERO = "RND_ZERO"
    """Nearest, ties toward zero (AP_RND_ZERO)."""
    RND_INF = "RND_INF"
    """Nearest, ties away from zero (AP_RND_INF); also written ``S_RND``, S for symmetric."""
    RND_MIN_INF = "RND_MIN_INF"
    """Nearest, ties toward minus infinity (AP_RND_MIN_INF)."""
    RND_CONV = "RND_CONV"
    """Nearest, ties to even (AP_RND_CONV); also written ``S_RND_CONV``, it is symmetric already."""

    @classmethod
    def parse(cls, name: str) -> Round:
        """The mode of this name, in any case; raises ConfigError with a suggestion for an unknown one."""
        aliases = {"S_RND": cls.RND_INF, "S_RND_CONV": cls.RND_CONV}
        return _parse(cls, name, aliases)


class Overflow(StrEnum):
    """What happens to a value outside the range; hardware cost rises from ``WRAP`` to ``SAT_SYM``.

    >>> Overflow.parse("sat")
    <Overflow.SAT: 'SAT'>
    """

    WRAP = "WRAP"
    """Two's complement wrap-around: in [-8, 7], 9 becomes -7. Rounds, then wraps."""
    SAT = "SAT"
    """Clips to [-k * 2**i, 2**i - 2**-f], then rounds."""
    SAT_SYM = "SAT_SYM"
    """Clips to the symmetric range [-k * (2**i - 2**-f), 2**i - 2**-f], then rounds."""

    @classmethod
    def parse(cls, name: str) -> Overflow:
        """The mode of this name, in any case; raises ConfigError with a suggestion for an unknown one."""
        return _parse(cls, name, {})


def _parse(kind: type[_Mode], name: object, aliases: dict[str, _Mode]) -> _Mode:
    known = {member.value: member for member in kind} | aliases
    if not isinstance(name, str) or name.upper() not in known:
        close = get_close_matches(str(name).upper(), known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        message = f"unknown {kind.__name__.lower()} mode: received {name!r}, expected one of {sorted(known)}{hint}"
        raise ConfigError(message)
    return known[name.upper()]
