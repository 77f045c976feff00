"""Data with channels first: its shape, and paddings as PyTorch gives them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hgq_core.errors import ConfigError, ShapeError
from hgq_torch.nn._arguments import per_axis

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["check_channels", "declared_padding"]


def check_channels(shapes: Sequence[Sequence[int]], ranks: Sequence[int], channels: int | None, title: str) -> None:
    """Raise ShapeError unless there is one input of ``(channels, *spatial)``.

    Args:
        shapes: of the inputs, without batch axis.
        ranks: numbers of spatial axes that the layer takes.
        channels: of the data; None for any.
        title: the layer.
    """
    right = len(shapes) == 1 and len(shapes[0]) - 1 in ranks and channels in (None, shapes[0][0])
    if not right:
        received = ", ".join(str(("batch", *shape)).replace("'", "") for shape in shapes)
        first = "channels" if channels is None else str(channels)
        spatial = {0: "", 1: ", length", 2: ", height, width", 3: ", depth, height, width"}
        expected = " or ".join(f"(batch, {first}{spatial[rank]})" for rank in ranks)
        message = f"{title}: received {received}, expected {expected}, channels first"
        raise ShapeError(message)


def declared_padding(padding: Any, rank: int, names: Sequence[str]) -> str | tuple[tuple[int, int], ...]:
    """A padding as declarations have it: a name, or zeros before and after each spatial axis.

    Raises:
        ConfigError: another name, or numbers that are none.
    """
    if isinstance(padding, str):
        if padding not in names:
            message = f"padding: received {padding!r}, expected numbers or one of {tuple(names)}"
            raise ConfigError(message)
        return padding
    return tuple((n, n) for n in per_axis(padding, rank, "padding", least=0))
