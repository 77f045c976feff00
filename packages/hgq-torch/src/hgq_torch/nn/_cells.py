"""One step of a recurrent layer in PyTorch's terms: `QRNNCell`, `QGRUCell`, `QLSTMCell`."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

from hgq_core.errors import ShapeError, UnsupportedError
from hgq_core.layers import OneStep
from hgq_torch.nn._arguments import positive
from hgq_torch.nn._gates import Gated, Gru, Lstm, SimpleRnn, stored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from torch import Tensor

    from hgq_core.layers import Declaration
    from hgq_torch._make import QuantizerLike
    from hgq_torch._slots import Layout

__all__ = ["QGRUCell", "QLSTMCell", "QRNNCell"]


class CellModule(Gated):
    """Abstract: what PyTorch's cells have in common.

    Args:
        sizes: of input and state.
        bias: whether there is one.
        quantizers: by slot.
        base: arguments of `QModule`.
    """

    input_in_declaration: ClassVar[bool] = True
    layouts: ClassVar[Mapping[str, Layout]] = stored()

    def __init__(
        self, sizes: tuple[int, int], bias: bool, quantizers: Mapping[str, QuantizerLike], base: Mapping[str, Any]
    ) -> None:
        super().__init__(quantizers=quantizers, **base)
        self.input_size, self.hidden_size = positive(sizes[0], "input_size"), positive(sizes[1], "hidden_size")
        self.use_bias = bool(bias)
        self.begin((self.input_size,), *((size,) for size in self.cell().states))

    @abstractmethod
    def cell(self) -> Any:
        """The step."""

    def declaration(self) -> Declaration:
        """The step, for data and states."""
        return OneStep(self.cell(), enable_iq=self.enable_iq)

    def forward(self, x: Tensor, hx: Any = None) -> Any:  # type: ignore[override]
        """The next state, or states, for data ``(batch, input_size)`` or ``(input_size,)``.

        Args:
            x: the data.
            hx: the states, as PyTorch's cell takes them; zeros if not given.

        Raises:
            ShapeError: data or states of other sizes.
        """
        if x.ndim not in (1, 2) or x.shape[-1] != self.input_size:
            message = (
                f"{self.title}: received a tensor of shape {tuple(x.shape)}, expected 2 axes, or 1 for one example, "
                f"the last of size {self.input_size}"
            )
            raise ShapeError(message)
        sizes = self.cell().states
        given = tuple(hx) if isinstance(hx, tuple | list) else () if hx is None else (hx,)
        states = given or tuple(x.new_zeros((*x.shape[:-1], size)) for size in sizes)
        if [tuple(state.shape) for state in states] != [(*x.shape[:-1], size) for size in sizes]:
            message = (
                f"{self.title}: received states of {[tuple(state.shape) for state in states]}, expected "
                f"{[(*x.shape[:-1], size) for size in sizes]}"
            )
            raise ShapeError(message)
        if x.ndim == 1:
            _, *following = super().forward(*(part.unsqueeze(0) for part in (x, *states)))
            following = [state.squeeze(0) for state in following]
        else:
            _, *following = super().forward(x, *states)
        return tuple(following) if len(following) > 1 else following[0]

    def operands_of(self, given: Sequence[Any], title: str) -> Sequence[Any]:
        """Data and states; raises UnsupportedError where the states are not given."""
        x, *hx = given
        states = tuple(hx[0]) if hx and isinstance(hx[0], tuple | list) else tuple(hx)
        if not states:
            message = f"{title} is applied without states; make them inputs of the model: cell(x, hx)"
            raise UnsupportedError(message)
        return (x, *states)

    def results_of(self, returned: Any) -> Sequence[Any]:
        """The output, which is the first state, and the states."""
        states = returned if isinstance(returned, tuple) else (returned,)
        return (states[0], *states)

    def extra_repr(self) -> str:
        """Sizes and options."""
        text = f"{self.input_size}, {self.hidden_size}"
        return text if self.use_bias else text + ", bias=False"


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
