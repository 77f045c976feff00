"""The quantizer beyond what the conformance suite judges: options around the rounding, refusals, data types."""

import keras
import numpy as np
import pytest
from keras import ops

from hgq_core.errors import ConfigError, ShapeError
from hgq_keras import Quantizer, QuantizerConfig
from hgq_keras._calibrate import calibrating
from hgq_keras.constraints import MinMax

X = np.random.default_rng(0).uniform(-3, 3, (7, 5)).astype(np.float32)


def rounded(x, f):
    """Nearest multiple of 2**-f, ties up."""
    return np.floor(np.float64(x) * 2.0**f + 0.5) / 2.0**f


def shared(q_type="kif", place="datalane", **parameters):
    """A quantizer with one width for all, that saturates far outside of the data."""
    given = {"i0": 4, "heterogeneous_axis": (), "overflow_mode": "SAT"} | parameters
    return Quantizer(q_type, place, **given)


def test_a_scaler_divides_before_and_multiplies_after(array):
    np.testing.assert_array_equal(array(shared(f0=1, scaler=0.25)(X)), rounded(X / 0.25, 1) * 0.25)
    np.testing.assert_array_equal(array(shared(f0=1, scaler=-2.0)(X)), rounded(X / -2.0, 1) * -2.0)


@pytest.mark.parametrize("scaler", [0.7, -1.1])
def test_noise_mixes_what_goes_in_with_what_the_scaler_gives_back(scaler, array):
    """Not what the division made of it, which is another number for some of these."""
    x = np.random.default_rng(3).normal(size=(200, 3)).astype(np.float32)
    assert not np.array_equal(x / np.float32(scaler) * np.float32(scaler), x)
    quiet = shared(f0=1, scaler=scaler, qnoise_factor=0.0)
    np.testing.assert_array_equal(array(quiet(x, training=True)), x)
    np.testing.assert_array_equal(array(quiet(x)), array(shared(f0=1, scaler=scaler)(x)))


def test_affine_follows_the_quantization(array):
    np.testing.assert_array_equal(array(shared(f0=1, affine=(0.5, 3.0))(X)), rounded(X, 1) * 0.5 + 3.0)


def test_the_noise_factor_blends_in_training_only(array):
    quantizer = shared(f0=1, qnoise_factor=0.5)
    blended = X + np.float32(0.5) * (rounded(X, 1).astype(np.float32) - X)
    np.testing.assert_array_equal(array(quantizer(X, training=True)), blended)
    np.testing.assert_array_equal(array(quantizer(X, training=False)), rounded(X, 1))


@pytest.mark.parametrize("overflow_mode", ["SAT", "SAT_SYM", "WRAP"])
def test_stochastic_rounding_is_unbiased_in_training_and_absent_at_inference(overflow_mode, array):
    """The mean of n roundings of x to whole numbers is within five standard deviations of x."""
    n, values = 20_000, np.array([[0.3, -0.3, 1.75, -2.5, 0.0, 3.0]], dtype=np.float32)
    x = np.repeat(values, n, axis=0)
    quantizer = shared(f0=0, stochastic=True, overflow_mode=overflow_mode, i_decay_speed=np.inf)
    quantizer(x, training=True)
    y = array(quantizer(x, training=True))
    above = y - np.floor(x)
    assert set(np.unique(above)) <= {0.0, 1.0}
    p = values - np.floor(values)
    assert np.all(np.abs(y.mean(0) - values[0]) <= 5 * np.sqrt(p * (1 - p) / n)[0])
    assert not np.array_equal(array(quantizer(x, training=True)), y)
    np.testing.assert_array_equal(array(quantizer(x, training=False)), rounded(x, 0))


def test_stochastic_rounding_never_leaves_the_range(array):
    x = np.linspace(-9, 9, 4000, dtype=np.float32)[:, None]
    for mode, lowest in (("SAT", -4.0), ("SAT_SYM", -3.5)):
        y = array(shared(i0=2, f0=1, stochastic=True, overflow_mode=mode)(x, training=True))
        assert (y.min(), y.max()) == (lowest, 3.5)


def test_a_dummy_is_the_identity_and_has_no_variables(array):
    quantizer = Quantizer("dummy", "datalane")
    np.testing.assert_array_equal(array(quantizer(X, training=True)), X)
    assert quantizer.weights == []


@pytest.mark.parametrize("training", [True, False])
def test_the_affine_map_of_a_dummy_acts_and_its_scaler_cancels(training, array):
    quantizer = Quantizer("dummy", "datalane", scaler=3.0, affine=(0.5, -3.0), qnoise_factor=0.5)
    np.testing.assert_array_equal(array(quantizer(X, training=training)), X * np.float32(0.5) - np.float32(3.0))
    np.testing.assert_array_equal(array(quantizer(np.array([[3]], "int32"), training=training)), [[-1.5]])
    np.testing.assert_array_equal(array(Quantizer("dummy", "datalane", scaler=3.0)(X)), X)


def test_a_minifloat_has_its_trained_widths_and_limits(array):
    quantizer = Quantizer("float", "datalane", m0=2, e0=4, heterogeneous_axis=())
    np.testing.assert_array_equal(
        array(quantizer(np.array([[1.0, 1.1, -1.13, 1e9]], np.float32))), [[1, 1, -1.25, 224]]
    )
    assert sorted(v.name for v in quantizer.trainable_variables) == ["e", "e0", "m"]
    assert float(array(quantizer.bits).ravel()[0]) == 7.0
    limits = {v.name: v.constraint.get_config() for v in quantizer.trainable_variables}
    assert limits["m"] == {"min_value": -1.0, "max_value": 8.0}


def test_which_variables_are_trained():
    def trained(*args, **parameters):
        quantizer = Quantizer(*args, **parameters)
        quantizer.build((None, 3))
        return sorted(v.name for v in quantizer.trainable_variables)

    assert trained("kif", "datalane") == ["f"]
    assert trained("kif", "datalane", overflow_mode="SAT") == ["f", "i"]
    assert trained("kbi", "datalane", overflow_mode="SAT") == ["b", "i"]
    assert trained("kif", "datalane", overflow_mode="SAT", trainable=False) == []


def test_constraints_and_regularisers_act_on_the_stored_floats(array):
    quantizer = Quantizer("kif", "datalane", overflow_mode="SAT", f0=2, fc=MinMax(0, 4), fr=0.5, ir=None)
    quantizer.build((None, 3))
    f = next(v for v in quantizer.trainable_variables if v.name == "f")
    f.assign(f.constraint(f + 4.0))
    np.testing.assert_array_equal(array(f), [[4, 4, 4]])
    assert float(array(sum(quantizer.losses))) == 6.0


def test_a_width_that_is_not_trained_does_not_follow_the_data(array):
    quantizer = Quantizer("kif", "datalane", i0=1, f0=0, heterogeneous_axis=(), trainable=False)
    np.testing.assert_array_equal(array(quantizer(np.full((2, 1), 5.0, np.float32), training=True)), [[1.0], [1.0]])
    assert float(array(quantizer.kif[1]).ravel()[0]) == 1.0


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_an_axis_out_of_range_names_the_quantizer():
    quantizer = Quantizer("kif", "datalane", heterogeneous_axis=(3,), name="mine")
    with pytest.raises(ConfigError, match=r"quantizer 'mine': axis 3 is out of range for a tensor with 2 axes"):
        quantizer(X)


def test_an_axis_of_unknown_size_names_the_axis_and_the_shape():
    with pytest.raises(ShapeError, match=r"axis 1 of shape \(None, None, 5\) has no fixed size"):
        Quantizer("kif", "datalane")(keras.Input((None, 5)))
    assert Quantizer("kif", "datalane", heterogeneous_axis=(2,))(keras.Input((None, 5))).shape == (None, None, 5)


@pytest.mark.parametrize("shape", [(7, 1), (7, 6), (7, 2, 5), (7,)])
def test_a_tensor_of_another_shape_is_refused_and_not_broadcast(shape):
    quantizer = Quantizer("kif", "datalane", name="mine")
    quantizer(X)
    with pytest.raises(ValueError, match="mine"):
        quantizer(np.ones(shape, np.float32))


def test_shared_widths_take_any_size_along_the_shared_axes(array):
    quantizer = shared(f0=1)
    assert array(quantizer(X)).shape == (7, 5)
    np.testing.assert_array_equal(array(quantizer(X[:2, :3])), rounded(X[:2, :3], 1))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "mixed_float16", "mixed_bfloat16"])
def test_half_precision_is_refused(dtype):
    with pytest.raises(ConfigError, match=r"quantizer 'q' computes in b?float16.*use the dtype policy 'float32'"):
        Quantizer("kif", "datalane", name="q", dtype=dtype)(X)


def test_integers_are_numbers_too(array):
    np.testing.assert_array_equal(array(shared(f0=0, i0=2)(np.array([[1, 7, -9]], "int32"))), [[1, 3, -4]])


def test_widths_are_not_there_before_building():
    with pytest.raises(ConfigError, match="not built"):
        _ = Quantizer("kbi", "weight").bits
    for q_type in ("dummy", "float"):
        quantizer = Quantizer(q_type, "datalane")
        quantizer.build((None, 2))
        with pytest.raises(ConfigError, match="no fixed-point widths"):
            _ = quantizer.kif


# --- state ------------------------------------------------------------------------------------------------------------


def test_calibration_ends_with_its_block_even_after_an_error(array):
    quantizer = Quantizer("kif", "datalane", i0=0, f0=0, heterogeneous_axis=())
    quantizer.build((None, 1))
    with pytest.raises(ZeroDivisionError), calibrating(quantizer):
        array(quantizer(np.full((1, 1), 5.0, np.float32))) + 1 // 0
    assert float(array(quantizer.kif[1]).ravel()[0]) == 3.0
    quantizer(np.full((1, 1), 100.0, np.float32))
    assert float(array(quantizer.kif[1]).ravel()[0]) == 3.0


def test_blocks_share_a_width(array):
    quantizer = Quantizer("kif", "datalane", overflow_mode="SAT", i0=4, blocks={1: 2})
    quantizer.build((None, 4))
    f = next(v for v in quantizer.trainable_variables if v.name == "f")
    f.assign(np.reshape([0.0, 2.0], f.shape))
    x = np.array([[0.3, 1.3, 0.3, 1.3]], np.float32)
    np.testing.assert_array_equal(array(quantizer(x)), [[0.0, 1.0, 0.25, 1.25]])
    np.testing.assert_array_equal(np.broadcast_to(array(quantizer.bits), (1, 4)), [[5, 5, 7, 7]])


def test_names_of_the_modes():
    quantizer = Quantizer(QuantizerConfig("kif", "datalane", round_mode="TRN", overflow_mode="SAT"))
    assert (quantizer.round_mode, quantizer.overflow_mode) == ("TRN", "SAT")


def test_a_masked_tensor_keeps_its_mask():
    assert Quantizer("kif", "datalane").supports_masking
    assert Quantizer("kif", "datalane").compute_output_shape((None, 3)) == (None, 3)


def test_gradients_of_a_scaled_quantizer_reach_x_unchanged(array):
    """``d/dx scaler * Q(x / scaler) = 1`` inside the range, times the scale of the affine."""
    quantizer = shared(f0=1, scaler=0.5, affine=(4.0, 1.0))
    quantizer.build((None, 5))
    x = ops.convert_to_tensor(X)
    if keras.backend.backend() == "jax":
        import jax

        gradient = jax.grad(lambda x: ops.sum(quantizer(x, training=True)))(x)
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            tape.watch(x)
            y = ops.sum(quantizer(x, training=True))
        gradient = tape.gradient(y, x)
    else:
        x.requires_grad_()
        ops.sum(quantizer(x, training=True)).backward()
        gradient = x.grad
    np.testing.assert_array_equal(array(gradient), np.full_like(X, 4.0))
