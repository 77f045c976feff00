"""What code written for HGQ2 reads: numbers of a quantizer, copies of configurations, views of defaults."""

import asyncio
import threading

import keras
import numpy as np
import pytest

import hgq.config
import hgq.config.quantizer
from hgq_keras import Quantizer, QuantizerConfig
from hgq_keras.config import LayerConfigScope, QuantizerConfigScope


def array(value):
    return keras.ops.convert_to_numpy(value)


def built(*args, shape=(None, 2), **kwargs):
    q = Quantizer(*args, **kwargs)
    q.build(shape)
    return q


@pytest.mark.parametrize("mode", ["WRAP", "SAT", "SAT_SYM"])
@pytest.mark.parametrize("k", [0, 1])
@pytest.mark.parametrize(("i", "f"), [(2, 1), (1, -1), (-1, 1), (0, 2), (-3, 1)])
def test_range_and_step_are_those_of_what_it_gives(mode, k, i, f):
    q = built("kif", "datalane", k0=k, i0=i, f0=f, overflow_mode=mode, trainable=False, heterogeneous_axis=())
    x = np.arange(-16, 16, 0.125, dtype="float32").reshape(-1, 2)
    given = np.unique(array(q(x, training=False)))
    assert array(q.min).item() == given.min()
    assert array(q.max).item() == given.max()
    if len(given) > 1:
        assert array(q.epsilon).item() == np.diff(given).min()
    # The least bits that tell these numbers apart.
    assert array(q.fbits).item() == np.ceil(np.log2(len(given)))


def test_the_minifloat_too():
    q = built("float", "datalane", m0=2, e0=3, e00=1, heterogeneous_axis=())
    x = np.concatenate([np.linspace(-200, 200, 4000), np.linspace(-1, 1, 8000)]).astype("float32").reshape(-1, 2)
    given = np.unique(array(q(x, training=False)))
    assert (array(q.min).item(), array(q.max).item()) == (given.min(), given.max())
    assert array(q.epsilon).item() == np.diff(given).min()
    assert array(q.fbits).item() == 2 + 3 + 1


def test_shapes_with_an_underscore():
    q = built("kif", "datalane", i0=2, f0=3, overflow_mode="SAT", shape=(None, 4, 2), heterogeneous_axis=(2,))
    assert tuple(q.bits.shape) == (1, 1, 2)
    for name in ("bits_", "fbits_", "min_", "max_", "epsilon_"):
        full = array(getattr(q, name)((5, 4, 2)))
        assert full.shape == (5, 4, 2)
        assert np.all(full == array(getattr(q, name[:-1])))


def test_the_view_and_the_configuration():
    q = built("kbi", "weight", b0=5, i0=1, scaler=2.0, affine=(3.0, 1.0), shape=(3, 2))
    view = q.quantizer
    assert (q.q_type, q.scaler, q.affine, q.qnoise_factor) == ("kbi", 2.0, (3.0, 1.0), q.config.qnoise_factor)
    assert (view.overflow_mode, view.round_mode, view.symmetric) == ("SAT_SYM", "RND", True)
    for name, value in (("k", 1), ("i", 1), ("f", 4), ("b", 5)):
        assert np.all(array(getattr(view, name)) == value)
    for a, b in zip(view.kif, q.kif, strict=True):
        assert np.array_equal(array(a), array(b))
    for name in ("bits", "fbits", "min", "max", "epsilon"):
        assert np.array_equal(array(getattr(view, name)), array(getattr(q, name)))
    with pytest.raises(AttributeError):
        view.i = 3


def test_a_configuration_gives_a_copy():
    config = QuantizerConfig("kif", "datalane", i0=3)
    config.config["i0"] = 7
    assert config["i0"] == config.config["i0"] == 3


def test_defaults_are_those_of_the_scope_and_cannot_be_written():
    views = hgq.config.global_config, hgq.config.default_configs, hgq.config.quantizer.default_q_type
    assert views[0]["beta0"] == 1e-5
    assert views[1]["kbi", "weight"]["b0"] == 8
    assert dict(views[2]) == {"weight": "kbi", "bias": "kbi", "table": "kbi", "datalane": "kif"}
    with LayerConfigScope(beta0=0.5), QuantizerConfigScope(place="weight", default_q_type="kif", b0=3):
        assert views[0]["beta0"] == 0.5
        assert views[1]["kbi", "weight"]["b0"] == 3
        assert views[2]["weight"] == "kif"
    for view in views:
        assert len(list(view)) == len(view)
        with pytest.raises(KeyError):
            view["nothing"]
        with pytest.raises(TypeError):
            view["beta0"] = 1


def test_override_holds_until_the_end_of_the_thread():
    seen = {}

    def work():
        with QuantizerConfigScope(place="weight", b0=3):
            QuantizerConfigScope(place="weight", i0=1, f0=4).override()
            seen["inside"] = QuantizerConfig("kbi", "weight")["b0"]
            with QuantizerConfigScope(place="weight", b0=2):
                seen["inner"] = QuantizerConfig("kbi", "weight")["b0"]
        LayerConfigScope(beta0=0.25).override()
        seen["after"] = QuantizerConfig("kbi", "weight")["b0"], hgq.config.global_config["beta0"]

        async def task():
            return hgq.config.global_config["beta0"]

        seen["task"] = asyncio.run(task())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == {"inside": 5, "inner": 2, "after": (5, 0.25), "task": 0.25}
    assert QuantizerConfig("kbi", "weight")["b0"] == 8
    assert hgq.config.global_config["beta0"] == 1e-5
