"""Group cost_gradients: the derivative of EBOPs to every stored width, 0 bits and ties included.

The cost of linear layers is linear in each width, so that one bit more costs what the derivative says: the expected
number is a difference of two counts by loops.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hgq_core.conformance import compare, oracle
from hgq_core.conformance.backend import Backend, Layer
from hgq_core.modes import Overflow
from hgq_core.spec import KBI, KIF, Bounds

pytestmark = pytest.mark.feature("cost_gradients")

DATA = KIF(overflow_mode=Overflow.SAT_SYM, homogeneous_axis=(0,))
ONE_FOR_ALL = KIF(overflow_mode=Overflow.SAT_SYM, homogeneous_axis=None, heterogeneous_axis=())
WRAPPED = KIF(overflow_mode=Overflow.WRAP, ic=Bounds(1, 1), homogeneous_axis=(0,))
"""The range does not follow the data, so that they can have less than 0 bits too."""
KERNEL = KBI(overflow_mode=Overflow.SAT_SYM, bc=Bounds(0, 24))
BIAS = KBI(overflow_mode=Overflow.WRAP, bc=Bounds(0, 24))
FRACTIONS = [-2.0, -1.0, 0.0, 4.0]
"""Of data with ``i = 1``: -1, 0, 1 and 5 bits."""
WIDTHS = [0.3, 5.0, 0.0, 1.0, 3.4]
"""Of weights: 0, 5, 0, 1 and 3 bits."""


def cycled(values: Sequence[float], *shape: int) -> np.ndarray:
    """An array of this shape that repeats the values."""
    return np.resize(np.array(values), shape)


def data_widths(f: np.ndarray) -> dict[str, Any]:
    """Stored widths of data with one integer bit."""
    return {"k": 1.0, "i": 1.0, "f": f}


def weight_widths(*shape: int) -> dict[str, Any]:
    """Stored widths of a weight."""
    return {"k": 1.0, "i": 2.0, "b": cycled(WIDTHS, *shape)}


def linear(kind: str, kernel: tuple[int, ...], shape: tuple[int, ...], data: KIF = DATA, **options: Any) -> Layer:
    """A layer with a kernel and a bias whose widths include 0 bits; kernels are 1, so that none begins dead.

    ``seen`` is the shape in which the kernel is quantized, where it is not that of the kernel.
    """
    f = np.array(0.0) if data is ONE_FOR_ALL else cycled(FRACTIONS, 1, *shape)
    bias, seen = options.pop("bias", kernel[-1:]), options.pop("seen", kernel)
    return Layer(
        kind,
        options,
        {"iq": data, "kq": KERNEL, "bq": BIAS},
        {"kernel": np.ones(kernel, np.float32), "bias": np.ones(bias, np.float32)},
        {"iq": data_widths(f), "kq": weight_widths(*seen), "bq": weight_widths(*bias)},
    )


LINEAR: dict[str, tuple[Layer, tuple[int, ...]]] = {
    "dense": (linear("dense", (5, 3), (5,), units=3), (5,)),
    "dense-one-width-for-all-data": (linear("dense", (5, 3), (5,), ONE_FOR_ALL, units=3), (5,)),
    # As the defaults are, which front ends compute in one step.
    "dense-wrapped": (linear("dense", (5, 3), (5,), WRAPPED, units=3), (5,)),
    "dense-rows": (linear("dense", (4, 3), (2, 4), units=3, parallelization_factor=1), (2, 4)),
    "einsum-dense": (
        linear("einsum_dense", (2, 3, 4), (2, 3), equation="abc,bcd->ad", output_shape=4, bias_axes="d"),
        (2, 3),
    ),
    "conv1d": (linear("conv1d", (2, 3, 2), (4, 3), filters=2, kernel_size=(2,)), (4, 3)),
    "conv2d": (linear("conv2d", (2, 2, 1, 3), (3, 3, 1), filters=3, kernel_size=(2, 2), padding="same"), (3, 3, 1)),
    "depthwise2d": (
        linear(
            "depthwise2d",
            (2, 2, 3, 2),
            (3, 3, 3),
            bias=(6,),
            seen=(2, 2, 1, 6),
            kernel_size=(2, 2),
            depth_multiplier=2,
            padding="same",
        ),
        (3, 3, 3),
    ),
    "transposed2d": (
        linear(
            "transposed2d",
            (2, 3, 2, 3),
            (2, 2, 3),
            bias=(2,),
            seen=(2, 3, 3, 2),
            filters=2,
            kernel_size=(2, 3),
            strides=2,
            padding="same",
        ),
        (2, 2, 3),
    ),
    "batch-norm": (
        Layer(
            "batch_norm",
            {"epsilon": 0.25},
            {"iq": DATA, "kq": KERNEL, "bq": BIAS},
            {n: np.ones(5, np.float32) for n in ("gamma", "beta", "moving_mean", "moving_variance")},
            {"iq": data_widths(cycled(FRACTIONS, 1, 5)), "kq": weight_widths(5), "bq": weight_widths(5)},
        ),
        (5,),
    ),
}


def one_bit_more(layer: Layer, shape: tuple[int, ...], place: str, name: str, stored: np.ndarray) -> np.ndarray:
    """What one more bit of each stored width costs."""

    def cost(widths: np.ndarray) -> float:
        changed = {**layer.widths, place: {**layer.widths[place], name: widths}}
        return oracle.total_ebops([replace(layer, widths=changed)], shape)

    before = cost(stored)
    result = np.empty(stored.shape)
    for at in np.ndindex(stored.shape):
        wider = stored.copy()
        wider[at] += 1
        result[at] = cost(wider) - before
    return result


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.kinds(layer.kind), id=name) for name, (layer, _) in LINEAR.items()]
)
def test_a_bit_of_a_linear_layer_costs_what_the_derivative_says(backend: Backend, name: str) -> None:
    layer, shape = LINEAR[name]
    model = backend.model([layer], shape)
    got = model.cost_gradients(np.ones((2, *shape), np.float32))
    trained_of_data = ("f",) if layer.quantizers["iq"] is WRAPPED else ("i", "f")
    for place, trained in (("iq", trained_of_data), ("kq", ("b",)), ("bq", ("b",))):
        stored = model.quantizer(0, place).widths()
        for width in trained:
            wanted = one_bit_more(layer, shape, place, width, np.asarray(stored[width], np.float64))
            compare.close(got[0, place][width], wanted, f"{name}: d EBOPs / d {place}.{width}", relative=1e-5)


def shared_minimum(members: Sequence[float]) -> np.ndarray:
    """Derivative of ``sum - minimum``: members that tie for the smallest share it equally."""
    number = list(members).count(min(members))
    return np.array([1.0 - (member == min(members)) / number for member in members])


def pooled(bits: np.ndarray) -> np.ndarray:
    """Derivative of the cost of windows of 2 by 2 that do not overlap, to the bits of each element."""
    result = np.zeros_like(bits)
    rows, columns, channels = bits.shape
    for r, c, channel in np.ndindex(rows // 2, columns // 2, channels):
        window = (slice(2 * r, 2 * r + 2), slice(2 * c, 2 * c + 2), channel)
        result[window] = shared_minimum(bits[window].ravel().tolist()).reshape(2, 2)
    return result


BITS = [3.0, 3.0, 5.0, 3.0, 7.0, 0.0, 0.0, 2.0]


@pytest.mark.parametrize(
    ("kind", "derivative", "weight"),
    [
        pytest.param("max_pool2d", pooled, 1.0, marks=pytest.mark.kinds("max_pool2d")),
        pytest.param("average_pool2d", pooled, 0.65, marks=pytest.mark.kinds("average_pool2d")),
        pytest.param("add", lambda bits: np.full_like(bits, 0.5), 0.65, marks=pytest.mark.kinds("add")),
    ],
)
def test_operands_that_tie_for_the_smallest_share_its_derivative(
    backend: Backend, kind: str, derivative: Callable[[np.ndarray], np.ndarray], weight: float
) -> None:
    shape = (4, 4, 1)
    bits = cycled(BITS, *shape)
    options = {} if kind == "add" else {"pool_size": (2, 2)}
    layer = Layer(kind, options, {"iq": DATA}, {}, {"iq": data_widths(bits[None] - 1)})
    model = backend.model([layer], shape)
    x = np.ones((2, *shape), np.float32)
    got = model.cost_gradients(*([x, x] if kind == "add" else [x]))
    for width in ("i", "f"):
        compare.close(got[0, "iq"][width], weight * derivative(bits)[None], f"{kind}: d EBOPs / d {width}")


@pytest.mark.kinds("unary_lut")
def test_a_bit_at_the_input_of_a_table_doubles_it(backend: Backend) -> None:
    bits_in, bits_out = np.array([0.0, 2.0, 5.0]), np.array([4.0, 0.0, 3.0])
    widths = {"iq": data_widths(bits_in[None] - 1), "oq": data_widths(bits_out[None] - 1)}
    layer = Layer("unary_lut", {"function": "tanh"}, {"iq": DATA, "oq": DATA}, {}, widths)
    got = backend.model([layer], (3,)).cost_gradients(np.ones((2, 3), np.float32))
    wanted = 1e-4 * np.log(2) * 2**bits_in * bits_out
    compare.close(got[0, "iq"]["f"], wanted[None], "d EBOPs / d iq.f of a table")
    compare.close(got[0, "oq"]["f"], 1e-4 * 2 ** bits_in[None], "d EBOPs / d oq.f of a table")
