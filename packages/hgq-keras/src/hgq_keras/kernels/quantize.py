"""One custom-gradient operation for each kind of quantizer: the core's body forward, its closed form backward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

from hgq_core.modes import Overflow, Round
from hgq_core.quantize import LN2, Grid, grid_gradients, minifloat, minifloat_gradients
from hgq_core.spec import KBI, KIF
from hgq_keras._ops import KERAS
from hgq_keras.kernels import on_grid, residual_sum, sums, without_history, written, written_data

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["minifloat_op", "quantize_op"]

_TAKES_NONE = keras.backend.backend() != "jax"
"""Whether a gradient that does not exist is None; JAX wants zeros, which it leaves out itself."""


def quantize_op(axes: tuple[int, ...], spec: KIF | KBI, *, wrap: bool, noisy: bool = False) -> Callable[..., Any]:
    """``(x, i, f or b, k) -> xq`` in fixed point, with gradients to the first three.

    The sign bits k, and the uniform numbers in [0, 1) of stochastic rounding behind them, are operands too: in a loop,
    JAX asks for the gradient when what a closure would hold is gone.

    Args:
        axes: axes of x that share a width; gradients to widths are summed over them.
        spec: parametrisation and modes.
        wrap: False rounds only under WRAP.
        noisy: whether rounding is stochastic, by a fifth operand of the shape of x.
    """
    kif = isinstance(spec, KIF)
    rounding = Round.TRN if noisy else spec.round_mode

    @ops.custom_gradient
    def quantized(x: Any, i: Any, second: Any, k: Any, noise: Any = None) -> Any:
        whole_i, whole = KERAS.rint(i), KERAS.rint(second)
        f = whole if kif else whole - whole_i
        grid = Grid.of(KERAS, k, whole_i, f, round_mode=rounding, overflow_mode=spec.overflow_mode)
        if axes:
            grid = _shared(grid)
        xq = _on_grid(x, grid, wrap=wrap, noise=noise)
        if axes:
            xq = written_data(xq)
        elif len(x.shape) == 1:  # a bias, added to every row
            (xq,) = written(xq)

        own = without_history(xq)
        others = [None if _TAKES_NONE else ops.zeros_like(part) for part in (k, noise) if part is not None]

        def gradients(*args: Any, upstream: Any = None) -> tuple[Any, ...]:
            g = args[0] if upstream is None else upstream
            if spec.overflow_mode is Overflow.WRAP:
                # The factor stays outside of the sum: XLA would spread it over an array of the size of x.
                total, g = residual_sum(g, x, own, axes)
                return g, ops.zeros_like(i), LN2 * total, *others

            def widths(g: Any, x: Any, xq: Any) -> tuple[Any, Any]:
                _, di, df = grid_gradients(KERAS, g, x, xq, grid)
                return di, df

            di, df = sums(widths, (g, x, own), axes)
            return grid_gradients(KERAS, g, x, own, grid)[0], di if kif else di - df, df, *others

        return xq, gradients

    return quantized


def _shared(grid: Grid) -> Grid:
    """The grid, computed before the loop over the data that shares it."""
    names = ["scale", "step", "units", "lowest", "highest", "top", "huge"]
    return grid._replace(**dict(zip(names, written(*(getattr(grid, name) for name in names)), strict=True)))


def _on_grid(x: Any, grid: Grid, *, wrap: bool, noise: Any) -> Any:
    if noise is None:
        return on_grid(KERAS, x, grid, wrap=wrap)
    # Unbiased: floor(x 2**f + u) / 2**f, limited to the range first, so that the noise cannot leave it.
    if grid.overflow_mode is not Overflow.WRAP:
        x = ops.minimum(ops.maximum(x, grid.lowest), grid.highest)
    return on_grid(KERAS, x + noise * grid.step, grid._replace(overflow_mode=Overflow.WRAP), wrap=False)


def minifloat_op(axes: tuple[int, ...]) -> Callable[..., Any]:
    """``(x, m, e, e0) -> xq`` as minifloat, with gradients to all four."""

    @ops.custom_gradient
    def quantized(x: Any, m: Any, e: Any, e0: Any) -> Any:
        widths = [KERAS.rint(w) for w in (m, e, e0)]
        xq = minifloat(KERAS, x, *widths)
        own = without_history(xq)

        def gradients(*args: Any, upstream: Any = None) -> tuple[Any, ...]:
            g = args[0] if upstream is None else upstream
            dx, *dw = minifloat_gradients(KERAS, g, x, own, *widths)
            return dx, *(KERAS.sum(d, axes) if axes else d for d in dw)

        return xq, gradients

    return quantized
