"""The fast forms of the training step give the numbers and gradients of the plain ones; oracles are NumPy."""

import keras
import numpy as np
import pytest

from hgq_core.modes import Overflow, Round
from hgq_core.ops import NUMPY
from hgq_core.quantize import Grid, fixed_point
from hgq_keras._ops import KERAS
from hgq_keras.kernels import einsum, on_grid, relu, residual_sum, sums, written

BACKEND = keras.backend.backend()


def gradients(function, *arrays):
    """Gradients of a scalar function on the backend in use."""
    if BACKEND == "jax":
        import jax

        return [np.asarray(g) for g in jax.grad(function, argnums=range(len(arrays)))(*arrays)]
    if BACKEND == "torch":
        import torch

        tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
        return [g.detach().numpy() for g in torch.autograd.grad(function(*tensors), tensors)]
    import tensorflow as tf

    tensors = [tf.Variable(a) for a in arrays]
    with tf.GradientTape() as tape:
        value = function(*tensors)
    return [g.numpy() for g in tape.gradient(value, tensors)]


def whole_numbers(rng, *shape):
    """Small whole numbers: sums of their products are exact in any order."""
    return rng.integers(-8, 9, shape).astype("float32")


EQUATIONS = {
    "a wide kernel": ("bi,io->bo", (40, 3), (3, 7)),
    "a narrow kernel": ("bi,io->bo", (40, 7), (7, 3)),
    "a square kernel": ("bi,io->bo", (40, 5), (5, 5)),
    "rows of particles": ("bni,io->bno", (6, 5, 7), (7, 3)),
    "a kernel for each particle": ("bni,nio->bno", (6, 5, 7), (5, 7, 3)),
    "the kernel's axes turned": ("bni,oi->bon", (6, 5, 7), (3, 7)),
    "two contracted axes": ("bnij,ijo->bno", (6, 5, 4, 3), (4, 3, 2)),
    "an outer product": ("bi,o->bio", (6, 5), (3,)),
    "an axis of the data summed away": ("bni,io->bo", (6, 5, 7), (7, 3)),
    "an axis of the kernel summed away": ("bi,iok->bo", (6, 7), (7, 3, 2)),
    "data with data": ("bni,bmi->bnm", (6, 5, 7), (6, 4, 7)),
}


@pytest.mark.parametrize("name", EQUATIONS)
def test_einsum_and_its_gradients_are_those_of_the_sum_of_products(name):
    equation, first, second = EQUATIONS[name]
    rng = np.random.default_rng(0)
    a, b = whole_numbers(rng, *first), whole_numbers(rng, *second)
    y = np.einsum(equation, a, b)
    g = whole_numbers(rng, *y.shape)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(einsum(equation, a, b)), y)
    da, db = gradients(lambda a, b: keras.ops.sum(keras.ops.multiply(einsum(equation, a, b), g)), a, b)
    terms, output = equation.split("->")
    left, right = terms.split(",")
    every = "".join(sorted(set(left + right)))
    size = dict(zip(left + right, first + second, strict=True))
    ones = np.ones([size[c] for c in every], "float32")
    np.testing.assert_array_equal(da, np.einsum(f"{output},{right},{every}->{left}", g, b, ones))
    np.testing.assert_array_equal(db, np.einsum(f"{output},{left},{every}->{right}", g, a, ones))


def test_relu_cuts_below_zero_and_lets_the_gradient_through_above():
    x = np.array([-2.0, -0.0, 0.0, 0.5, 3.0, np.inf], "float32")
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(relu(x)), [0, 0, 0, 0.5, 3, np.inf])
    g = np.arange(1, 6, dtype="float32")
    (dx,) = gradients(lambda x: keras.ops.sum(keras.ops.multiply(relu(x), g)), x[:5])
    np.testing.assert_array_equal(dx, [0, 0, 0, 4, 5])


def test_relu_does_not_hide_what_is_not_a_number():
    assert np.isnan(keras.ops.convert_to_numpy(relu(np.array([np.nan], "float32")))).all()


@pytest.mark.parametrize("rows", [5, 1024, 3001])
@pytest.mark.parametrize("axes", [(0,), (0, 1), ()])
def test_sums_adds_every_row_once_whatever_the_size_of_a_block(rows, axes):
    rng = np.random.default_rng(0)
    a, b = whole_numbers(rng, rows, 8), whole_numbers(rng, rows, 8)
    results = sums(lambda a, b: (a * b, a - b), (keras.ops.convert_to_tensor(a), keras.ops.convert_to_tensor(b)), axes)
    for result, every in zip(results, (a * b, a - b), strict=True):
        oracle = every.sum(axis=axes, keepdims=True) if axes else every
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(result), oracle)


@pytest.mark.parametrize("rows", [40, 30_001])
@pytest.mark.parametrize("axes", [(0,), (0, 1), ()])
def test_residual_sum_adds_every_row_once_and_hands_the_gradient_on(rows, axes):
    rng = np.random.default_rng(0)
    g, x, xq = (whole_numbers(rng, rows, 8) for _ in range(3))
    total, after = residual_sum(*map(keras.ops.convert_to_tensor, (g, x, xq)), axes)
    product = g * (x - xq)
    oracle = product.sum(axis=axes, keepdims=True) if axes else product
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(total), oracle)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(after), g)


def test_what_is_written_is_the_same_also_what_is_not_finite():
    x, y = np.array([[-0.0, 2.5, np.inf, np.nan]], "float32"), whole_numbers(np.random.default_rng(0), 3, 1)
    for tensor, after in zip((x, y), written(*map(keras.ops.convert_to_tensor, (x, y))), strict=True):
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(after).view("int32"), tensor.view("int32"))
    g = whole_numbers(np.random.default_rng(1), 3, 1)
    (dy,) = gradients(lambda y: keras.ops.sum(keras.ops.multiply(written(y)[0], g)), y)
    np.testing.assert_array_equal(dy, g)


def compiled_text(function, *arrays):
    """What XLA makes of a function, in words."""
    if BACKEND == "jax":
        import jax

        return jax.jit(function).lower(*arrays).compile().as_text()
    import tensorflow as tf

    return tf.function(function, jit_compile=True).experimental_get_compiler_ir(*arrays)("optimized_hlo")


@pytest.mark.skipif(BACKEND != "jax", reason="only XLA on a CPU, run by JAX, is told where a loop ends")
def test_a_chain_behind_what_is_written_does_not_compute_it_again():
    """Two loops read each result: without an end of the loop XLA computes it, and those before it, in both."""

    def residual(x, end):
        for n in range(5):
            (y,) = end(keras.ops.floor(x * 1.5 + n))
            x = y + keras.ops.matmul(keras.ops.floor(y * 0.5), np.eye(8, dtype="float32"))
        return x

    x = np.random.default_rng(0).normal(size=(8, 8)).astype("float32")
    texts = [compiled_text(lambda x, end=end: residual(x, end), x) for end in (written, lambda x: (x,))]
    kept, repeated = (text.count(" floor(") for text in texts)
    assert kept == 10 < repeated


@pytest.mark.skipif(BACKEND == "torch", reason="PyTorch fuses nothing by itself")
def test_what_is_written_is_computed_once_and_not_for_every_row():
    """The bias, in its own loop: in that over the rows it would be rounded once for each of them."""
    product, bias = np.ones((64, 8), "float32"), np.arange(8, dtype="float32")

    def loops_over_rows_with_a_floor(end):
        text = compiled_text(lambda y, b: keras.ops.ceil(y + end(keras.ops.floor(b * 0.3))[0]), product, bias)
        return [loop for loop in text.split("\n\n") if " floor(" in loop and "ceil(" in loop]

    assert loops_over_rows_with_a_floor(lambda x: (x,)), "XLA does so without being asked; nothing has to be written"
    assert not loops_over_rows_with_a_floor(written)


@pytest.mark.parametrize("wrap", [True, False])
@pytest.mark.parametrize("overflow", Overflow)
@pytest.mark.parametrize("rounding", Round)
@pytest.mark.parametrize("size", [(1, 6), (1, 1), (40, 6)], ids=["each element", "shared", "a weight"])
def test_a_prepared_grid_quantizes_as_widths_do(rounding, overflow, wrap, size):
    """Also dead elements, ties, and numbers of which the product with 2**f is infinite."""
    rng = np.random.default_rng(0)
    x = (rng.integers(-400, 401, (40, 6)) / 16).astype("float32")
    x[:4] = np.array([[0.0], [-3.0e38], [3.0e38], [1e-30]])
    k, i, f = (rng.integers(low, high, size).astype("float32") for low, high in ((0, 2), (-2, 5), (-3, 12)))
    grid = Grid.of(KERAS, *map(keras.ops.convert_to_tensor, (k, i, f)), round_mode=rounding, overflow_mode=overflow)
    data = keras.ops.convert_to_tensor(x)
    found = keras.ops.convert_to_numpy(on_grid(KERAS, data, grid, wrap=wrap))
    wanted = fixed_point(NUMPY, x, k, i, f, round_mode=rounding, overflow_mode=overflow, wrap=wrap)
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(keras.ops.convert_to_numpy(data), x)


@pytest.mark.parametrize("overflow", Overflow)
def test_a_grid_is_the_same_for_every_row_of_a_large_batch(overflow):
    """One number of a batch that overflows in units of the step is quantized right, and so are all others."""
    x = (np.arange(180_006) % 801 / 16 - 25).astype("float32").reshape(-1, 6)
    x[-1, 2] = 3.0e38
    k, i, f = (np.full((1, 6), n, "float32") for n in (1, 4, 3))
    modes = {"round_mode": Round.RND, "overflow_mode": overflow}
    grid = Grid.of(KERAS, *map(keras.ops.convert_to_tensor, (k, i, f)), **modes)
    found = keras.ops.convert_to_numpy(on_grid(KERAS, keras.ops.convert_to_tensor(x), grid))
    np.testing.assert_array_equal(found, fixed_point(NUMPY, x, k, i, f, **modes))


@pytest.mark.skipif(BACKEND != "torch", reason="PyTorch's verbs have a direct form")
def test_the_direct_verbs_give_the_numbers_of_keras_verbs():
    from hgq_keras._ops import KerasOps

    rng = np.random.default_rng(0)
    x = rng.normal(scale=40, size=(30, 7)).astype("float32")
    x[0] = [0.0, -0.0, np.inf, 1e-40, 4.0, -4.0, 127.0]
    for dtype in ("float32", "float64"):
        a, b = (keras.ops.convert_to_tensor(v.astype(dtype)) for v in (x, x[::-1].copy()))
        general = KerasOps()
        calls = dict.fromkeys(("floor", "ceil", "rint", "relu", "ceil_log2", "stop_gradient"), (a,))
        calls |= {"power_of_two": (keras.ops.round(a),), "clip": (a, -3.0, 5.0)}
        calls |= {"minimum": (a, b), "maximum": (a, b), "where": (a > 1, a, 0.0)}
        calls |= {"amax": (a, (0,)), "amin": (a, (0, 1)), "sum": (a[1:], (0,))}
        for verb, arguments in calls.items():
            found, wanted = (getattr(ops, verb)(*arguments) for ops in (KERAS, general))
            # Keras' own floor makes float32 of float64; the numbers here are float32's in both.
            assert found.dtype == a.dtype, verb
            np.testing.assert_array_equal(found.numpy(), wanted.numpy().astype(dtype), err_msg=verb)
        whole = keras.ops.round(a[1:])
        np.testing.assert_array_equal(
            KERAS.einsum("bi,io->bo", whole, whole.T).numpy(), general.einsum("bi,io->bo", whole, whole.T).numpy()
        )
