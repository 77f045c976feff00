"""A separable convolution of Keras is two convolutions in PyTorch: one output, one cost, one circuit."""

import keras
import numpy as np
import pytest
import torch

import hgq_keras
import hgq_torch
from hgq_core.cost import ebops
from hgq_core.graph import run
from hgq_keras import layers
from hgq_torch import nn as qnn


def array(x):
    return np.array(keras.ops.convert_to_numpy(x))


def give(theirs, ours, turn=None):
    """The widths of a Keras quantizer to one of PyTorch."""
    widths = {v.name: array(v) for v in ours.variables if v.name in {"k", "i", "f", "b"}}
    moved = {name: w if turn is None or w.ndim != len(turn) else w.transpose(turn) for name, w in widths.items()}
    theirs.assign(**{name: torch.as_tensor(w.copy()) for name, w in moved.items()})


@pytest.mark.parametrize("multiplier", [1, 3])
def test_a_separable_convolution_is_two_convolutions(multiplier):
    rng = np.random.default_rng(multiplier)
    x = rng.normal(size=(64, 2, 6, 5)).astype(np.float32)
    inputs = keras.Input((2, 6, 5))
    one = layers.QSeparableConv2D(
        4, (3, 2), strides=2, padding="valid", depth_multiplier=multiplier, activation="relu",
        data_format="channels_first", bias_initializer="random_normal",
    )  # fmt: skip
    model = keras.Model(inputs, one(inputs))
    hgq_keras.calibrate(model, x)
    first = qnn.QConv2d(2, 2 * multiplier, (3, 2), 2, groups=2, bias=False)
    second = qnn.QConv2d(2 * multiplier, 4, 1, activation="relu")
    both = torch.nn.Sequential(first, second)
    hgq_torch.build(both, torch.as_tensor(x))
    kernel = (3, 2, 0, 1)
    with torch.no_grad():
        grouped = array(one.depthwise_kernel).reshape(3, 2, 1, -1)
        first.weight.copy_(torch.as_tensor(grouped.transpose(kernel).copy()))
        second.weight.copy_(torch.as_tensor(array(one.pointwise_kernel).transpose(kernel).copy()))
        second.bias.copy_(torch.as_tensor(array(one.bias)))
    give(first.iq, one.iq)
    give(first.kq, one.dkq, kernel)
    give(second.iq, one.piq, (0, 3, 1, 2))
    give(second.kq, one.pkq, kernel)
    give(second.bq, one.bq)
    both.eval()
    np.testing.assert_array_equal(both(torch.as_tensor(x)).detach().numpy(), array(model(x, training=False)))
    assert hgq_torch.ebops(both) == hgq_keras.ebops(model) > 0
    graphs = hgq_keras.to_graph(model), hgq_torch.to_graph(both, torch.as_tensor(x))
    np.testing.assert_array_equal(*(run(graph, x) for graph in graphs))
    assert ebops(graphs[0]) == ebops(graphs[1]) == hgq_keras.ebops(model)
