"""One step of a recurrent layer in PyTorch's terms: `QRNNCell`, `QGRUCell`, `QLSTMCell`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hgq_torch.nn._cell_base import CellModule
from hgq_torch.nn._gates import Gru, Lstm, SimpleRnn

if TYPE_CHECKING:
    import torch

    from hgq_torch._make import QuantizerLike

__all__ = ["QGRUCell", "QLSTMCell", "QRNNCell"]


class QRNNCell(SimpleRnn, CellModule):
    """One step of `QRNN`; `torch.nn.RNNCell`.

    Args:
        input_size: features of a step.
        hidden_size: size of the state.
        bias: whether there is one.
        nonlinearity: ``"hardtanh"``, the limits of ``paq``; ``"tanh"`` or ``"sigmoid"``, a table; or ``"relu"``.
        iq: quantizer of the data.
        sq: quantizer of the state where a step reads it.
        kq: quantizer of ``weight_ih``, seen as it is stored.
        rkq: quantizer of ``weight_hh``, seen as it is stored.
        bq: quantizer of ``bias_ih``.
        paq: quantizer before the activation; without one its limits, -1 and 1 by default, are the activation.
        paq_oq: quantizer of the table of ``activation``, where it is one.
        enable_sq: whether the state has a quantizer of its own where a step reads it, else it has that of the output.
        enable_iq: whether the data are quantized; the scope's default if None, as are the next ones.
        enable_ebops: whether the cell counts EBOPs, those of one step.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of the parameters.
        dtype: of the parameters, float32 or float64.

    Raises:
        ConfigError: an option that does not fit.

    >>> import torch
    >>> QRNNCell(3, 5)(torch.zeros(2, 3)).shape
    torch.Size([2, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        nonlinearity: str = "hardtanh",
        iq: QuantizerLike = None,
        sq: QuantizerLike = None,
        kq: QuantizerLike = None,
        rkq: QuantizerLike = None,
        bq: QuantizerLike = None,
        paq: QuantizerLike = None,
        paq_oq: QuantizerLike = None,
        enable_sq: bool | None = None,
        enable_iq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.read_cell(nonlinearity, enable_sq)
        CellModule.__init__(
            self,
            (input_size, hidden_size),
            bias,
            {
                "iq": iq,
                "sq": sq,
                "kq": kq,
                "rkq": rkq,
                "bq": bq,
                "paq": paq,
                "paq_oq": paq_oq,
            },
            {
                "enable_iq": enable_iq,
                "enable_oq": False,
                "enable_ebops": enable_ebops,
                "beta0": beta0,
                "device": device,
                "dtype": dtype,
            },
        )


class QGRUCell(Gru, CellModule):
    """One step of `QGRU`; `torch.nn.GRUCell`.

    Args:
        input_size: features of a step.
        hidden_size: size of the state.
        bias: whether there is one.
        activation: ``"hardtanh"``, the limits of ``paq``; ``"tanh"`` or ``"sigmoid"``, a table; or ``"relu"``.
        recurrent_activation: ``"hardsigmoid"``, the limits of ``praq``; or as ``activation``.
        reset_after: whether the reset gate acts behind the product with ``weight_hh``, as in PyTorch; else before it,
            on the state, and there is no ``bias_hh``.
        iq: quantizer of the data.
        sq: quantizer of the state where a step reads it.
        kq: quantizer of ``weight_ih``, seen as it is stored.
        rkq: quantizer of ``weight_hh``, seen as it is stored.
        rckq: without ``reset_after``, that of its candidate part, seen transposed; ``rkq`` is of the gates alone then.
        bq: quantizer of ``bias_ih``.
        rbq: quantizer of ``bias_hh``.
        praq: quantizer before the activation of the gates; by default a hard sigmoid.
        paq: quantizer before the activation; without one its limits, -1 and 1 by default, are the activation.
        rhq: quantizer of what the reset gate multiplies.
        paq_oq: quantizer of the table of ``activation``, where it is one.
        praq_oq: quantizer of the table of ``recurrent_activation``, where it is one.
        enable_iq: whether the data are quantized; the scope's default if None, as are the next ones.
        enable_ebops: whether the cell counts EBOPs, those of one step.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of the parameters.
        dtype: of the parameters, float32 or float64.

    Raises:
        ConfigError: an option that does not fit.

    >>> import torch
    >>> QGRUCell(3, 5)(torch.zeros(2, 3)).shape
    torch.Size([2, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        activation: str = "hardtanh",
        recurrent_activation: str = "hardsigmoid",
        reset_after: bool = True,
        iq: QuantizerLike = None,
        sq: QuantizerLike = None,
        kq: QuantizerLike = None,
        rkq: QuantizerLike = None,
        rckq: QuantizerLike = None,
        bq: QuantizerLike = None,
        rbq: QuantizerLike = None,
        praq: QuantizerLike = None,
        paq: QuantizerLike = None,
        rhq: QuantizerLike = None,
        paq_oq: QuantizerLike = None,
        praq_oq: QuantizerLike = None,
        enable_iq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.read_activations(activation, recurrent_activation)
        self.reset_after = bool(reset_after)
        CellModule.__init__(
            self,
            (input_size, hidden_size),
            bias,
            {
                "iq": iq,
                "sq": sq,
                "kq": kq,
                "rkq": rkq,
                "rckq": rckq,
                "bq": bq,
                "rbq": rbq,
                "praq": praq,
                "paq": paq,
                "rhq": rhq,
                "paq_oq": paq_oq,
                "praq_oq": praq_oq,
            },
            {
                "enable_iq": enable_iq,
                "enable_oq": False,
                "enable_ebops": enable_ebops,
                "beta0": beta0,
                "device": device,
                "dtype": dtype,
            },
        )


class QLSTMCell(Lstm, CellModule):
    """One step of `QLSTM`; `torch.nn.LSTMCell`.

    Args:
        input_size: features of a step.
        hidden_size: size of the state.
        bias: whether there is one.
        activation: ``"hardtanh"``, the limits of ``paq``; ``"tanh"`` or ``"sigmoid"``, a table; or ``"relu"``.
        recurrent_activation: ``"hardsigmoid"``, the limits of ``praq``; or as ``activation``.
        iq: quantizer of the data.
        sq: quantizer of the state where a step reads it.
        csq: quantizer of the cell state where a step reads it.
        kq: quantizer of ``weight_ih``, seen as it is stored.
        rkq: quantizer of ``weight_hh``, seen as it is stored.
        bq: quantizer of ``bias_ih``.
        praq: quantizer before the activation of the gates; by default a hard sigmoid.
        paq: quantizer before the activation; without one its limits, -1 and 1 by default, are the activation.
        caq: quantizer of the new cell state before its activation, as ``paq``.
        paq_oq: quantizer of the table of ``activation``, where it is one.
        praq_oq: quantizer of the table of ``recurrent_activation``, where it is one.
        caq_oq: quantizer of the table behind ``caq``.
        enable_iq: whether the data are quantized; the scope's default if None, as are the next ones.
        enable_ebops: whether the cell counts EBOPs, those of one step.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        device: of the parameters.
        dtype: of the parameters, float32 or float64.

    Raises:
        ConfigError: an option that does not fit.

    >>> import torch
    >>> h, c = QLSTMCell(3, 5)(torch.zeros(2, 3))
    >>> h.shape, c.shape
    (torch.Size([2, 5]), torch.Size([2, 5]))
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        *,
        activation: str = "hardtanh",
        recurrent_activation: str = "hardsigmoid",
        iq: QuantizerLike = None,
        sq: QuantizerLike = None,
        csq: QuantizerLike = None,
        kq: QuantizerLike = None,
        rkq: QuantizerLike = None,
        bq: QuantizerLike = None,
        praq: QuantizerLike = None,
        paq: QuantizerLike = None,
        caq: QuantizerLike = None,
        paq_oq: QuantizerLike = None,
        praq_oq: QuantizerLike = None,
        caq_oq: QuantizerLike = None,
        enable_iq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.read_activations(activation, recurrent_activation)
        CellModule.__init__(
            self,
            (input_size, hidden_size),
            bias,
            {
                "iq": iq,
                "sq": sq,
                "csq": csq,
                "kq": kq,
                "rkq": rkq,
                "bq": bq,
                "praq": praq,
                "paq": paq,
                "caq": caq,
                "paq_oq": paq_oq,
                "praq_oq": praq_oq,
                "caq_oq": caq_oq,
            },
            {
                "enable_iq": enable_iq,
                "enable_oq": False,
                "enable_ebops": enable_ebops,
                "beta0": beta0,
                "device": device,
                "dtype": dtype,
            },
        )
