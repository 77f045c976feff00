"""Layers as code for HGQ2 writes them, one of each family, by its import lines and arguments."""

import keras
import numpy as np
import pytest

from hgq_core.graph import run
from hgq_keras import ebops, to_graph, trace_minmax


def normed():
    from hgq.layers import QBatchNormDense, QEinsumDenseBatchnorm

    return (5, 4), [QEinsumDenseBatchnorm("bij,jk->bik", (5, 3), bias_axes="k", activation="relu"), QBatchNormDense(2)]


def convolved():
    from hgq.layers import QConv2D, QMaxPooling2D

    return (6, 6, 2), [QConv2D(3, (3, 3), padding="same", activation="relu"), QMaxPooling2D((2, 2))]


def tables():
    from hgq.layers.table import QConvT1D, QDenseT, QEinsumDenseT

    return (6, 2), [QConvT1D(3, 2, n_hl=1, d_hl=4), QEinsumDenseT("bij,jk->bik", (None, 2)), QDenseT(2, n_hl=1, d_hl=4)]


def images_of_tables():
    from hgq.layers import QConvT2D

    return (4, 4, 1), [QConvT2D(2, (2, 2), strides=(2, 2), padding="valid")]


def looked_up():
    from hgq.layers import QDense, QUnaryFunctionLUT
    from hgq.layers.softmax import QSoftmax

    return (4,), [QDense(5), QUnaryFunctionLUT("tanh", allow_heterogeneous_input=False), QSoftmax(axis=-1)]


def attended():
    from hgq.layers import QMultiHeadAttention, QMultiHeadAttentionT

    def layers(x):
        x = QMultiHeadAttention(num_heads=2, key_dim=3, fuse="qkv")(x, x, x)
        return QMultiHeadAttentionT(num_heads=1, key_dim=2)(x, x)

    return (3, 4), [layers]


def attended_by_few():
    from hgq.layers.attn import QLinformerAttention, QLinformerAttentionT

    def layers(x):
        x = QLinformerAttention(num_heads=2, lin_kv_proj_dim=2, key_dim=3, share_kv_proj=True)(x, x)
        return QLinformerAttentionT(num_heads=1, lin_kv_proj_dim=2, key_dim=2)(x, x)

    return (4, 4), [layers]


def recurrent():
    from hgq.layers.rnn import QGRU, QSimpleRNN

    return (4, 3), [
        QSimpleRNN(3, return_sequences=True, enable_sq=True, enable_iq=True, unroll=False),
        QGRU(2, reset_after=True, parallelization_factor=1, return_sequences=False),
    ]


def spiking():
    from hgq.layers.snn import QLIF, ATan, QSimpleSNN

    return (5, 3), [
        QLIF(3, beta=0.5, threshold=1.0, spike_grad=ATan(2.0), learn_beta=True, return_sequences=True),
        QSimpleSNN(3, threshold=1.0, reset_mechanism="zero", return_sequences=True),
    ]


def merged():
    from hgq.layers import QAdd, QAveragePow2, QEinsum, QMeanPow2, QMultiply, QSum

    def layers(x):
        x = QMultiply()([QAdd()([x, x]), QAveragePow2()([x, x])])
        return QMeanPow2(axes=1)(QEinsum("bij,bkj->bik")([x, x])), QSum(axes=1, scale=0.5)(x)

    return (4, 3), [layers]


FAMILIES = [
    normed, convolved, tables, images_of_tables, looked_up, attended, attended_by_few, recurrent, spiking, merged
]  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_code_for_the_peer_is_traced_and_is_its_graph(family):
    from hgq.config import LayerConfigScope

    keras.utils.set_random_seed(0)
    with LayerConfigScope(enable_ebops=True, beta0=1e-5):
        shape, layers = family()
        x = given = keras.Input(shape)
        for layer in layers:
            x = layer(x)
    model = keras.Model(given, x)
    data = np.random.default_rng(0).normal(size=(16, *shape)).astype("float32")
    assert trace_minmax(model, data) == ebops(model) > 0
    found, wanted = run(to_graph(model), data), model.predict(data, verbose=0)
    for a, b in zip(*((r if isinstance(r, tuple | list) else [r]) for r in (found, wanted)), strict=True):
        np.testing.assert_array_equal(a, b)


def test_ebops_of_a_recurrent_layer_grow_with_its_steps():
    """HGQ2 counts the products of the input once more for each step (defect 10)."""
    from hgq.layers import QSimpleRNN

    def cost(steps):
        keras.utils.set_random_seed(0)
        layer = QSimpleRNN(4)
        layer.build((None, steps, 3))
        return layer.ebops

    assert [cost(2) / cost(1), cost(4) / cost(1)] == [2.0, 4.0]
