"""What layers of trained tables have in common: the network of an edge and the quantizers at its ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from hgq_core.errors import ConfigError
from hgq_core.layers import EdgeNetwork, FrameworkFunction
from hgq_torch._slots import Layout
from hgq_torch.nn._activated import Activated
from hgq_torch.nn._arguments import check_factor, positive
from hgq_torch.nn._lookup import check_elementwise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor

__all__ = ["Tables", "checked_idxs", "edge_network"]


def edge_network(
    hidden: int, units: int, function: Callable[[Tensor], Tensor] | None, *, batch_norm: bool, eps: float
) -> EdgeNetwork:
    """The network of an edge; raises ConfigError for a function that is not one of one number."""
    if function is not None:
        check_elementwise(function)
    net = None if function is None else FrameworkFunction(function)
    return EdgeNetwork(hidden, units, net, batch_norm, epsilon=eps)


def checked_idxs(table_idxs: tuple[int, int]) -> tuple[int, int]:
    """Two whole numbers of at least 1; raises ConfigError for others."""
    return positive(table_idxs[0], "table_idxs"), positive(table_idxs[1], "table_idxs")


class Tables(Activated):
    """Abstract: the network of an edge, and quantizers of its ends."""

    shapes_from_arguments: ClassVar[bool] = True
    input_in_declaration: ClassVar[bool] = True
    layouts: ClassVar[Mapping[str, Layout]] = {
        "bn_gamma": Layout("bn_weight"),
        "bn_beta": Layout("bn_bias"),
        "moving_mean": Layout("running_mean"), "moving_variance": Layout("running_var")
    }  # fmt: skip

    def set_network(
        self,
        hidden: tuple[int, int],
        function: Callable[[Tensor], Tensor] | None,
        normalised: tuple[bool, float, float | None],
        table_idxs: tuple[int, int],
        factor: int,
    ) -> None:
        """Take the arguments of the edges."""
        if not self.enable_iq:
            message = f"{type(self).__name__}: received enable_iq=False, expected True: a table has an entry per input"
            raise ConfigError(message)
        self.network = edge_network(*hidden, function, batch_norm=normalised[0], eps=normalised[1])
        self.momentum, self.table_idxs = normalised[2], checked_idxs(table_idxs)
        self.parallelization_factor = check_factor(factor)

    def declared(self) -> dict[str, Any]:
        """What both declarations take."""
        return {
            "network": self.network,
            "activation": self.declared_activation,
            "parallelization_factor": self.parallelization_factor,
            "table_idxs": self.table_idxs,
        }

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]  # one input
        """The output for x ``(batch, *input_shape)``; see `QModule.forward`."""
        return super().forward(x)
