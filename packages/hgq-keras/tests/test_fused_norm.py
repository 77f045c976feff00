"""Folded batch normalisation: equal to the float layers in wide formats, in training and at inference."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from hgq_core.errors import ConfigError
from hgq_keras import QuantizerConfig
from hgq_keras.layers import QBatchNormDense, QConv2DBatchNorm, QEinsumDenseBatchnorm

X = np.random.default_rng(0).normal(1.0, 2.0, (64, 3, 5)).astype("float32")


def _wide() -> dict[str, Any]:
    dummy = {name: QuantizerConfig("dummy") for name in ("iq_conf", "kq_conf", "bq_conf")}
    return dummy | {"enable_ebops": False}


def _array(x: Any) -> np.ndarray:
    return np.asarray(ops.convert_to_numpy(x))


@pytest.mark.parametrize("training", [True, False])
def test_einsum_is_the_product_then_the_batch_normalisation(training: bool) -> None:
    layer = QEinsumDenseBatchnorm(
        "bti,io->bto", (3, 4), bias_axes="o", momentum=0.5, epsilon=0.1, **_wide(), kernel_initializer="he_normal"
    )
    layer(X)
    plain = keras.layers.BatchNormalization(momentum=0.5, epsilon=0.1)
    product = _array(X) @ _array(layer.kernel)
    plain(product)
    for _ in range(2):
        ours, theirs = layer(X, training=training), plain(product, training=training)
    np.testing.assert_allclose(_array(ours), _array(theirs), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(_array(layer.moving_variance), _array(plain.moving_variance), rtol=1e-4)
    np.testing.assert_allclose(_array(layer.moving_mean), _array(plain.moving_mean), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_dense_is_the_batch_normalisation_then_the_product(training: bool) -> None:
    layer = QBatchNormDense(4, momentum=0.5, epsilon=0.1, bias_initializer="ones", **_wide())
    layer(X)
    layer.bn_gamma.assign(np.arange(1.0, 6.0))
    plain = keras.layers.BatchNormalization(momentum=0.5, epsilon=0.1, center=False)
    plain(X)
    plain.gamma.assign(np.arange(1.0, 6.0))
    for _ in range(2):
        ours, theirs = layer(X, training=training), plain(X, training=training)
    expected = _array(theirs) @ _array(layer.kernel) + 1.0
    np.testing.assert_allclose(_array(ours), expected, rtol=1e-4, atol=1e-3)


def test_every_argument_is_saved() -> None:
    layer = QEinsumDenseBatchnorm(
        "bi,io->bo", 4, "relu", "o", momentum=0.5, epsilon=3.0, center=False, scale=False, beta_initializer="ones"
    )
    again = QEinsumDenseBatchnorm.from_config(layer.get_config())
    assert (again.momentum, again.epsilon, again.center, again.scale) == (0.5, 3.0, False, False)
    assert again.normalize_axes == "o"
    assert isinstance(again.beta_initializer, keras.initializers.Ones)
    dense = QBatchNormDense.from_config(QBatchNormDense(4, scale=False, momentum=0.25, epsilon=2.0).get_config())
    assert (dense.momentum, dense.epsilon, dense.scale) == (0.25, 2.0, False)
    conv = QConv2DBatchNorm(3, 2, padding="same", data_format="channels_first", epsilon=0.5, center=False)
    window = QConv2DBatchNorm.from_config(conv.get_config())
    assert (window.padding, window.data_format, window.epsilon, window.center) == ("same", "channels_first", 0.5, False)


def test_the_product_of_the_float_kernel_is_computed_in_training_only() -> None:
    asked = []

    class Watched(QEinsumDenseBatchnorm):
        def statistics(self, kind: Any, data: Any, training: bool) -> Any:
            def seen() -> Any:
                asked.append(training)
                return data()

            return super().statistics(kind, seen, training)

    layer = Watched("bi,io->bo", 4, bias_axes="o", **_wide())
    layer(X[:, 0], training=True)
    layer(X[:, 0], training=False)
    assert asked == [True]


@pytest.mark.parametrize("training", [True, False])
def test_a_convolution_is_the_product_then_the_batch_normalisation(training: bool) -> None:
    x = np.random.default_rng(0).normal(1.0, 2.0, (16, 5, 4, 2)).astype("float32")
    layer = QConv2DBatchNorm(3, 2, momentum=0.5, epsilon=0.1, **_wide())
    layer(x)
    plain = keras.layers.BatchNormalization(momentum=0.5, epsilon=0.1)
    product = _array(ops.conv(x, layer.kernel, data_format="channels_last"))
    plain(product)
    for _ in range(2):
        ours, theirs = layer(x, training=training), plain(product, training=training)
    np.testing.assert_allclose(_array(ours), _array(theirs), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bias_axes": "t"}, r"normalised axes \['t'\].*none of the kernel's"),
        ({"bias_axes": "t", "normalize_axes": "o"}, "expected the same: the folded norm is the bias"),
        ({}, "a norm needs axes along which it normalises"),
        ({"bias_axes": "o", "momentum": 2.0}, "momentum"),
        ({"bias_axes": "o", "epsilon": 0.0}, "epsilon"),
    ],
)
def test_refusals(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        QEinsumDenseBatchnorm("bti,io->bto", (3, 4), **arguments)(X)


def test_dense_needs_a_bias() -> None:
    with pytest.raises(ConfigError, match="use_bias"):
        QBatchNormDense(4, use_bias=False)
