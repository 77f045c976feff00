"""Spiking modules: `QLIF` and `QLIFCell`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hgq_core.layers import ArcTangent
from hgq_torch.nn._cell_base import CellModule
from hgq_torch.nn._recurrent_base import RecurrentModule
from hgq_torch.nn._spikes import OfDistance, Spiking

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch
    from torch import Tensor

    from hgq_torch._make import QuantizerLike

__all__ = ["QLIF", "QLIFCell"]


class QLIF(Spiking, RecurrentModule):
    r"""Leaky membranes that integrate their inputs and fire, with trained widths.

    .. math::
        u_t &= Q_s(\beta u_{t-1} + Q_i(x_t) - \theta [u_{t-1} > \theta]) \\
        y_t &= g [u_t > \theta]

    It is called as `torch.nn.RNN`: ``spikes, membranes = layer(x, membranes)``, with the spikes of all steps. A
    membrane that fired is reset at the next step; `hgq_core.layers.SpikingCell` has the other resets, inhibition, and
    what it costs.

    Args:
        size: membranes, as many as features.
        beta: what a membrane keeps from step to step, 1 for all; the weight is ``leak``.
        threshold: above which a membrane fires; the weight is ``level``.
        batch_first: whether the batch is on axis 0, as a Graph needs it.
        spike_grad: function of the distance from the threshold whose derivative is that of a spike; None: that of an
            arc tangent, `hgq_core.layers.ArcTangent`.
        surrogate_disable: whether no gradient flows through a spike.
        inhibition: whether only the highest membranes of a step fire.
        learn_beta: whether the leak is trained.
        learn_threshold: whether the threshold is.
        reset_mechanism: ``"subtract"`` the threshold from a membrane that fired, set it to ``"zero"``, or ``"none"``.
        detach_reset: whether no gradient flows through the reset.
        graded_spikes_factor: number of a spike; the weight is ``grade``.
        learn_graded_spikes_factor: whether it is trained.
        iq: quantizer of the data; of a sequence seen as ``(batch * steps, size)``: widths are shared along the steps.
        sq: quantizer of the membrane.
        lkq: quantizer of the leak.
        thq: quantizer of the threshold.
        grq: quantizer of the number of a spike.
        oq: quantizer of the spikes of all steps; giving one enables it.
        enable_sq: whether the membrane is quantized, as the Graph needs it; the scope's default if None, as are the
            next ones.
        enable_iq: whether the data are quantized.
        enable_oq: whether the spikes are.
        enable_ebops: whether the layer counts EBOPs: those of a step, times the steps that are built.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: how many steps are built in hardware, -1 for all.
        device: of the parameters.
        dtype: of the parameters, float32 or float64.

    Raises:
        ConfigError: a number, a reset or another option that does not fit.

    >>> import torch
    >>> spikes, membranes = QLIF(3, batch_first=True)(torch.zeros(2, 4, 3))
    >>> spikes.shape, membranes.shape
    (torch.Size([2, 4, 3]), torch.Size([1, 2, 3]))
    """

    def __init__(
        self,
        size: int,
        beta: float = 0.5,
        threshold: float = 1.0,
        batch_first: bool = False,
        *,
        spike_grad: Callable[[Tensor], Tensor] | None = None,
        surrogate_disable: bool = False,
        inhibition: bool = False,
        learn_beta: bool = False,
        learn_threshold: bool = False,
        reset_mechanism: str = "subtract",
        detach_reset: bool = True,
        graded_spikes_factor: float = 1.0,
        learn_graded_spikes_factor: bool = False,
        iq: QuantizerLike = None,
        sq: QuantizerLike = None,
        lkq: QuantizerLike = None,
        thq: QuantizerLike = None,
        grq: QuantizerLike = None,
        oq: QuantizerLike = None,
        enable_sq: bool | None = None,
        enable_iq: bool | None = None,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        parallelization_factor: int = -1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.read_spikes(
            (beta, threshold, graded_spikes_factor),
            (learn_beta, learn_threshold, learn_graded_spikes_factor),
            None if surrogate_disable else ArcTangent() if spike_grad is None else OfDistance(spike_grad),
            {"inhibition": bool(inhibition), "reset_mechanism": reset_mechanism, "detach_reset": bool(detach_reset)},
            enable_sq,
        )
        RecurrentModule.__init__(
            self,
            (size, size, 1),
            {
                "bias": False, "batch_first": batch_first, "dropout": 0.0, "bidirectional": False,
                "recurrent_dropout": 0.0, "parallelization_factor": parallelization_factor,
            },
            {"iq": iq, "sq": sq, "lkq": lkq, "thq": thq, "grq": grq},
            {
                "oq": oq, "enable_iq": enable_iq, "enable_oq": enable_oq, "enable_ebops": enable_ebops,
                "beta0": beta0, "device": device, "dtype": dtype,
            },
        )  # fmt: skip


class QLIFCell(Spiking, CellModule):
    """One step of `QLIF`: ``spikes, membranes = cell(x, membranes)``.

    Args:
        size: membranes, as many as features.
        beta: what a membrane keeps from step to step, 1 for all; the weight is ``leak``.
        threshold: above which a membrane fires; the weight is ``level``.
        spike_grad: function of the distance from the threshold whose derivative is that of a spike; None: that of an
            arc tangent, `hgq_core.layers.ArcTangent`.
        surrogate_disable: whether no gradient flows through a spike.
        inhibition: whether only the highest membranes of a step fire.
        learn_beta: whether the leak is trained.
        learn_threshold: whether the threshold is.
        reset_mechanism: ``"subtract"`` the threshold from a membrane that fired, set it to ``"zero"``, or ``"none"``.
        detach_reset: whether no gradient flows through the reset.
        graded_spikes_factor: number of a spike; the weight is ``grade``.
        learn_graded_spikes_factor: whether it is trained.
        iq: quantizer of the data.
        sq: quantizer of the membrane.
        lkq: quantizer of the leak.
        thq: quantizer of the threshold.
        grq: quantizer of the number of a spike.
        enable_sq: whether the membrane is quantized, as the Graph needs it; the scope's default if None, as are the
            next ones.
        enable_iq: whether the data are quantized.
        enable_ebops: whether the cell counts EBOPs, those of one step.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of the parameters.
        dtype: of the parameters, float32 or float64.

    Raises:
        ConfigError: a number, a reset or another option that does not fit.

    >>> import torch
    >>> spikes, membranes = QLIFCell(3)(torch.zeros(2, 3))
    >>> spikes.shape, membranes.shape
    (torch.Size([2, 3]), torch.Size([2, 3]))
    """

    def __init__(
        self,
        size: int,
        beta: float = 0.5,
        threshold: float = 1.0,
        *,
        spike_grad: Callable[[Tensor], Tensor] | None = None,
        surrogate_disable: bool = False,
        inhibition: bool = False,
        learn_beta: bool = False,
        learn_threshold: bool = False,
        reset_mechanism: str = "subtract",
        detach_reset: bool = True,
        graded_spikes_factor: float = 1.0,
        learn_graded_spikes_factor: bool = False,
        iq: QuantizerLike = None,
        sq: QuantizerLike = None,
        lkq: QuantizerLike = None,
        thq: QuantizerLike = None,
        grq: QuantizerLike = None,
        enable_sq: bool | None = None,
        enable_iq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.read_spikes(
            (beta, threshold, graded_spikes_factor),
            (learn_beta, learn_threshold, learn_graded_spikes_factor),
            None if surrogate_disable else ArcTangent() if spike_grad is None else OfDistance(spike_grad),
            {"inhibition": bool(inhibition), "reset_mechanism": reset_mechanism, "detach_reset": bool(detach_reset)},
            enable_sq,
        )
        CellModule.__init__(
            self,
            (size, size),
            False,
            {"iq": iq, "sq": sq, "lkq": lkq, "thq": thq, "grq": grq},
            {
                "enable_iq": enable_iq, "enable_oq": False, "enable_ebops": enable_ebops, "beta0": beta0,
                "device": device, "dtype": dtype,
            },
        )  # fmt: skip

    def returned(self, y: Tensor, *states: Tensor) -> Any:
        """Spikes and membranes."""
        return (y, *states)

    def results_of(self, returned: Any) -> Sequence[Any]:
        """The same."""
        return tuple(returned)
