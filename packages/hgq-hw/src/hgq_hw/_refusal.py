"""The entry of a table of rules for a kind of node that the target cannot take."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Refusal"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a target has no rule for a kind of node, as the end of a sentence about the node.

    Attributes:
        what: what is in the way, such as ``is a recurrence``.
        remedy: what the user can do instead.
    """

    what: str
    remedy: str
