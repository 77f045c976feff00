"""Layer normalisation: what conformance does not see."""

import keras
import numpy as np
import pytest

from hgq.config import QuantizerConfigScope
from hgq.layers import QLayerNormalization, QRMSNormalization
from hgq_core.errors import ConfigError

X = np.random.default_rng(0).normal(1.0, 2.0, (8, 5, 6)).astype("float32")


@pytest.mark.parametrize("axis", [-1, 2, (1, 2), (-1, -2)])
@pytest.mark.parametrize("learned", [(), ("gamma",), ("beta",), ("beta", "gamma")])
def test_with_wide_formats_it_is_the_layer_of_keras(axis, learned):
    options = {"axis": axis, "epsilon": 0.1, "center": "beta" in learned, "scale": "gamma" in learned}
    with QuantizerConfigScope(q_type=("kif", "kbi"), i0=8, f0=16):
        layer = QLayerNormalization(**options)
    other = keras.layers.LayerNormalization(**options)
    layer.build(X.shape), other.build(X.shape)
    for n, name in enumerate(learned):
        value = np.random.default_rng(n).normal(size=getattr(other, name).shape)
        getattr(other, name).assign(value)
        weight = getattr(layer, f"ln_{name}")
        weight.assign(np.reshape(value, weight.shape))
    y, expected = (keras.ops.convert_to_numpy(made(X)) for made in (layer, other))
    np.testing.assert_allclose(y, expected, atol=2e-3)


def test_over_an_inner_axis_it_is_the_layer_of_turned_data():
    inner, last = QLayerNormalization(1, epsilon=0.1), QLayerNormalization(epsilon=0.1)
    turned = X.swapaxes(1, 2)
    inner.build(X.shape), last.build(turned.shape)
    gamma, beta = np.random.default_rng(1).normal(size=(2, 5))
    inner.ln_gamma.assign(gamma[:, None]), inner.ln_beta.assign(beta[:, None])
    last.ln_gamma.assign(gamma), last.ln_beta.assign(beta)
    y, expected = keras.ops.convert_to_numpy(inner(X)), keras.ops.convert_to_numpy(last(turned))
    np.testing.assert_array_equal(y, expected.swapaxes(1, 2))


def test_with_wide_formats_the_rms_norm_is_that_of_keras():
    with QuantizerConfigScope(q_type=("kif", "kbi"), i0=8, f0=16):
        layer = QRMSNormalization(epsilon=0.1)
    other = keras.layers.RMSNormalization(epsilon=0.1)
    layer.build(X.shape), other.build(X.shape)
    for gamma in (layer.ln_gamma, other.scale):
        gamma.assign(np.linspace(0.5, 2.0, 6))
    y, expected = (keras.ops.convert_to_numpy(made(X)) for made in (layer, other))
    np.testing.assert_allclose(y, expected, atol=2e-3)


@pytest.mark.parametrize("axis", [0, -3, 3, (1, 3)])
def test_the_batch_axis_and_axes_that_data_lack_are_refused(axis):
    with pytest.raises(ConfigError, match=r"axis: received -?\d, expected an axis of data with 3 axes, and not the"):
        QLayerNormalization(axis)(X)


def test_a_configuration_of_the_first_versions_has_its_axis():
    config = QLayerNormalization((1, 2)).get_config()
    config["axis"] = config.pop("axes")
    assert QLayerNormalization.from_config(config).axis == (1, 2)
