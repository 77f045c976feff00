"""Recurrent layers in PyTorch's terms: `QRNN`, `QGRU`, `QLSTM`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hgq_torch.nn._gates import Gru, Lstm, SimpleRnn
from hgq_torch.nn._recurrent_base import RecurrentModule

if TYPE_CHECKING:
    import torch

    from hgq_torch._make import QuantizerLike

__all__ = ["QGRU", "QLSTM", "QRNN"]


class QRNN(SimpleRnn, RecurrentModule):
    r"""A recurrent layer whose data, state and weights have trained widths; `torch.nn.RNN`.

    .. math::
        h_t = \operatorname{act}(Q_{pa}(Q_i(x_t) Q_k(W_{ih})^T + Q_s(h_{t-1}) Q_{rk}(W_{hh})^T + Q_b(b)))

    The two biases of PyTorch's layer are one here, ``bias_ih_l0``: hardware adds one number.

    Args:
        input_size: features of a step.
        hidden_size: size of the state.
        num_layers: layers one behind the other.
        bias: whether there is one.
        batch_first: whether the batch is on axis 0, as a Graph needs it.
        dropout: rate of dropout between layers, of each number by itself.
        bidirectional: whether each layer has a second one that reads the sequence from its end.
        nonlinearity: ``"hardtanh"``, the limits of ``paq``; ``"tanh"`` or ``"sigmoid"``, a table; or ``"relu"``.
        recurrent_dropout: rate of dropout of the state, the same elements in all steps.
        iq: quantizer of the sequence, seen as ``(batch * steps, input_size)``: widths are shared along the steps.
        sq: quantizer of the state where a step reads it.
        kq: quantizer of ``weight_ih``, seen as it is stored.
        rkq: quantizer of ``weight_hh``, seen as it is stored.
        bq: quantizer of ``bias_ih``.
        paq: quantizer before the activation; without one its limits, -1 and 1 by default, are the activation.
        paq_oq: quantizer of the table of ``activation``, where it is one.
        oq: quantizer of the outputs of all steps; giving one enables it.
        enable_sq: whether the state has a quantizer of its own where a step reads it, else it has that of the output.
        enable_iq: whether the sequence is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the outputs are quantized.
        enable_ebops: whether the layer counts EBOPs: those of a step, times the steps that are built.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: how many steps are built in hardware, -1 for all.
        device: of the parameters.
        dtype: of the parameters, float32 or float64.

    Raises:
        ConfigError: an option that does not fit.

    >>> import torch
    >>> layer = QRNN(3, 5, batch_first=True)
    >>> y, last = layer(torch.zeros(2, 4, 3))
    >>> y.shape
    torch.Size([2, 4, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        nonlinearity: str = "hardtanh",
        recurrent_dropout: float = 0.0,
        iq: QuantizerLike = None,
        sq: QuantizerLike = None,
        kq: QuantizerLike = None,
        rkq: QuantizerLike = None,
        bq: QuantizerLike = None,
        paq: QuantizerLike = None,
        paq_oq: QuantizerLike = None,
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
        self.read_cell(nonlinearity, enable_sq)
        RecurrentModule.__init__(
            self,
            (input_size, hidden_size, num_layers),
            {
                "bias": bias, "batch_first": batch_first, "dropout": dropout, "bidirectional": bidirectional,
                "recurrent_dropout": recurrent_dropout, "parallelization_factor": parallelization_factor,
            },
            {
                "iq": iq, "sq": sq, "kq": kq, "rkq": rkq, "bq": bq, "paq": paq, "paq_oq": paq_oq,
            },
            {
                "oq": oq, "enable_iq": enable_iq, "enable_oq": enable_oq, "enable_ebops": enable_ebops,
                "beta0": beta0, "device": device, "dtype": dtype,
            },
        )  # fmt: skip


class QGRU(Gru, RecurrentModule):
    r"""A gated recurrent unit whose data, state, gates and weights have trained widths; `torch.nn.GRU`.

    .. math::
        r &= \sigma(x W_{ir}^T + b_{ir} + h W_{hr}^T + b_{hr}), \quad
        z = \sigma(x W_{iz}^T + b_{iz} + h W_{hz}^T + b_{hz}) \\
        n &= \operatorname{act}(x W_{in}^T + b_{in} + r \cdot Q_{rh}(h W_{hn}^T + b_{hn})), \quad
        h' = (1 - z) \cdot n + z \cdot h

    x, h and the weights are quantized by ``iq, sq, kq, rkq, bq, rbq``, what an activation takes by ``praq, paq``.

    Args:
        input_size: features of a step.
        hidden_size: size of the state.
        num_layers: layers one behind the other.
        bias: whether there is one.
        batch_first: whether the batch is on axis 0, as a Graph needs it.
        dropout: rate of dropout between layers, of each number by itself.
        bidirectional: whether each layer has a second one that reads the sequence from its end.
        activation: ``"hardtanh"``, the limits of ``paq``; ``"tanh"`` or ``"sigmoid"``, a table; or ``"relu"``.
        recurrent_activation: ``"hardsigmoid"``, the limits of ``praq``; or as ``activation``.
        reset_after: whether the reset gate acts behind the product with ``weight_hh``, as in PyTorch; else before it,
            on the state, and there is no ``bias_hh``.
        recurrent_dropout: rate of dropout of the state, the same elements in all steps.
        iq: quantizer of the sequence, seen as ``(batch * steps, input_size)``: widths are shared along the steps.
        sq: quantizer of the state where a step reads it.
        kq: quantizer of ``weight_ih``, seen as it is stored.
        rkq: quantizer of ``weight_hh``, seen as it is stored.
        rckq: without ``reset_after``, that of its candidate part, seen transposed; ``rkq`` is of the gates alone then.
        bq: quantizer of ``bias_ih``.
        rbq: quantizer of ``bias_hh``.
        paq: quantizer before the activation; without one its limits, -1 and 1 by default, are the activation.
        praq: quantizer before the activation of the gates; by default a hard sigmoid.
        rhq: quantizer of what the reset gate multiplies.
        paq_oq: quantizer of the table of ``activation``, where it is one.
        praq_oq: quantizer of the table of ``recurrent_activation``, where it is one.
        oq: quantizer of the outputs of all steps; giving one enables it.
        enable_iq: whether the sequence is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the outputs are quantized.
        enable_ebops: whether the layer counts EBOPs: those of a step, times the steps that are built.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: how many steps are built in hardware, -1 for all.
        device: of the parameters.
        dtype: of the parameters, float32 or float64.

    Raises:
        ConfigError: an option that does not fit.

    >>> import torch
    >>> layer = QGRU(3, 5, batch_first=True)
    >>> y, last = layer(torch.zeros(2, 4, 3))
    >>> y.shape
    torch.Size([2, 4, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        activation: str = "hardtanh",
        recurrent_activation: str = "hardsigmoid",
        reset_after: bool = True,
        recurrent_dropout: float = 0.0,
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
        oq: QuantizerLike = None,
        enable_iq: bool | None = None,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        parallelization_factor: int = -1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.read_activations(activation, recurrent_activation)
        self.reset_after = bool(reset_after)
        RecurrentModule.__init__(
            self,
            (input_size, hidden_size, num_layers),
            {
                "bias": bias, "batch_first": batch_first, "dropout": dropout, "bidirectional": bidirectional,
                "recurrent_dropout": recurrent_dropout, "parallelization_factor": parallelization_factor,
            },
            {
                "iq": iq, "sq": sq, "kq": kq, "rkq": rkq, "rckq": rckq, "bq": bq, "rbq": rbq, "praq": praq, "paq": paq,
                "rhq": rhq, "paq_oq": paq_oq, "praq_oq": praq_oq,
            },
            {
                "oq": oq, "enable_iq": enable_iq, "enable_oq": enable_oq, "enable_ebops": enable_ebops,
                "beta0": beta0, "device": device, "dtype": dtype,
            },
        )  # fmt: skip


class QLSTM(Lstm, RecurrentModule):
    r"""A long short-term memory whose data, states, gates and weights have trained widths; `torch.nn.LSTM`.

    .. math::
        i, f, o &= \sigma(x W_i^T + h W_h^T + b), \quad g = \operatorname{act}(x W_{ig}^T + h W_{hg}^T + b_g) \\
        c' &= f \cdot Q_{cs}(c) + i \cdot g, \quad h' = o \cdot \operatorname{act}(Q_{ca}(c'))

    The two biases of PyTorch's layer are one here, ``bias_ih_l0``. The states are ``h`` and ``c``.

    Args:
        input_size: features of a step.
        hidden_size: size of the state.
        num_layers: layers one behind the other.
        bias: whether there is one.
        batch_first: whether the batch is on axis 0, as a Graph needs it.
        dropout: rate of dropout between layers, of each number by itself.
        bidirectional: whether each layer has a second one that reads the sequence from its end.
        activation: ``"hardtanh"``, the limits of ``paq``; ``"tanh"`` or ``"sigmoid"``, a table; or ``"relu"``.
        recurrent_activation: ``"hardsigmoid"``, the limits of ``praq``; or as ``activation``.
        recurrent_dropout: rate of dropout of the state, the same elements in all steps.
        iq: quantizer of the sequence, seen as ``(batch * steps, input_size)``: widths are shared along the steps.
        sq: quantizer of the state where a step reads it.
        csq: quantizer of the cell state where a step reads it.
        kq: quantizer of ``weight_ih``, seen as it is stored.
        rkq: quantizer of ``weight_hh``, seen as it is stored.
        bq: quantizer of ``bias_ih``.
        paq: quantizer before the activation; without one its limits, -1 and 1 by default, are the activation.
        praq: quantizer before the activation of the gates; by default a hard sigmoid.
        caq: quantizer of the new cell state before its activation, as ``paq``.
        paq_oq: quantizer of the table of ``activation``, where it is one.
        praq_oq: quantizer of the table of ``recurrent_activation``, where it is one.
        caq_oq: quantizer of the table behind ``caq``.
        oq: quantizer of the outputs of all steps; giving one enables it.
        enable_iq: whether the sequence is quantized; the scope's default if None, as are the next ones.
        enable_oq: whether the outputs are quantized.
        enable_ebops: whether the layer counts EBOPs: those of a step, times the steps that are built.
        beta0: factor of EBOPs in `hgq_torch.ebops_loss`.
        parallelization_factor: how many steps are built in hardware, -1 for all.
        device: of the parameters.
        dtype: of the parameters, float32 or float64.

    Raises:
        ConfigError: an option that does not fit.

    >>> import torch
    >>> layer = QLSTM(3, 5, batch_first=True)
    >>> y, last = layer(torch.zeros(2, 4, 3))
    >>> y.shape
    torch.Size([2, 4, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        activation: str = "hardtanh",
        recurrent_activation: str = "hardsigmoid",
        recurrent_dropout: float = 0.0,
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
        oq: QuantizerLike = None,
        enable_iq: bool | None = None,
        enable_oq: bool | None = None,
        enable_ebops: bool | None = None,
        beta0: float | None = None,
        parallelization_factor: int = -1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.read_activations(activation, recurrent_activation)
        RecurrentModule.__init__(
            self,
            (input_size, hidden_size, num_layers),
            {
                "bias": bias, "batch_first": batch_first, "dropout": dropout, "bidirectional": bidirectional,
                "recurrent_dropout": recurrent_dropout, "parallelization_factor": parallelization_factor,
            },
            {
                "iq": iq, "sq": sq, "csq": csq, "kq": kq, "rkq": rkq, "bq": bq, "praq": praq, "paq": paq,
                "caq": caq, "paq_oq": paq_oq, "praq_oq": praq_oq, "caq_oq": caq_oq,
            },
            {
                "oq": oq, "enable_iq": enable_iq, "enable_oq": enable_oq, "enable_ebops": enable_ebops,
                "beta0": beta0, "device": device, "dtype": dtype,
            },
        )  # fmt: skip
