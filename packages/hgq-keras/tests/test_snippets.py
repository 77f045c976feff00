"""What users already write runs unchanged."""

import keras
import numpy as np


def test_a_network_in_scopes_trains():
    # given: the snippet, word for word
    from hgq.config import LayerConfigScope, QuantizerConfigScope
    from hgq.layers import QConv2D, QDense

    # fmt: off
    with (QuantizerConfigScope(place='all', default_q_type='kbi', overflow_mode='SAT_SYM'),
          QuantizerConfigScope(place='datalane', default_q_type='kif', overflow_mode='WRAP'),
          LayerConfigScope(enable_ebops=True, beta0=1e-5)):
        model = keras.Sequential([QConv2D(32, (3, 3), activation='relu'), keras.layers.MaxPooling2D((2, 2)), keras.layers.Flatten(), QDense(10)])  # noqa: E501
    # fmt: on

    # when
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(32, 6, 6, 1)).astype("float32"), rng.integers(0, 10, 32)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(1e-2), loss=loss)
    history = model.fit(x, y, batch_size=16, epochs=3, verbose=0).history["loss"]

    # then
    assert history[-1] < history[0]
    conv, dense = model.layers[0], model.layers[-1]
    assert conv.iq.spec.q_type == "kif"
    assert conv.kq.spec.q_type == "kbi"
    assert conv.bq.overflow_mode == "SAT_SYM"
    assert conv.iq.overflow_mode == "WRAP"
    assert conv.enable_ebops
    assert np.isclose(dense.beta, 1e-5)
    assert conv.ebops > 0
    assert len(model.losses) > 0


def test_a_layer_with_its_own_quantizers_and_a_schedule():
    # given: the snippet, word for word
    from hgq.callbacks import BetaScheduler, PieceWiseSchedule
    from hgq.constraints import MinMax
    from hgq.layers import Dense
    from hgq.quantizers import QuantizerConfig

    # fmt: off
    layer = Dense(units=32, activation='relu', kq_conf=QuantizerConfig('kbi', 'weight', b0=8, bc=MinMax(4, 8), heterogeneous_axis=(0, 1)), bq_conf=QuantizerConfig('kbi', 'bias'), iq_conf=QuantizerConfig('kif', 'datalane', heterogeneous_axis=(1,)))  # noqa: E501
    beta = BetaScheduler(PieceWiseSchedule([[0, 0.0, "constant"], [10, 0.0, "constant"], [30, 1.0e-6, "linear"], [60, 1.0e-9, "log"]]))  # noqa: E501
    # fmt: on

    # when
    y = layer(np.ones((4, 16), "float32"))

    # then
    assert tuple(y.shape) == (4, 32)
    assert tuple(layer.iq.bits.shape) == (1, 16)
    assert tuple(layer.kq.bits.shape) == (16, 32)
    np.testing.assert_array_equal(layer.kq.array_bits, np.full((16, 32), 8))
    assert layer.kq.spec.bc.max_value == 8
    assert layer.bq.spec.q_type == "kbi"
    assert [beta.beta_fn(epoch) for epoch in (0, 10, 20, 30, 60)] == [0.0, 0.0, 0.0, 1e-6, 1e-9]
