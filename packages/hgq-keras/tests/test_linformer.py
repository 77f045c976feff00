"""Linformer attention: what conformance does not see."""

import inspect

import keras
import numpy as np
import pytest

import hgq_keras
from hgq.config import QuantizerConfigScope
from hgq.layers import QLinformerAttention, QMultiHeadAttention
from hgq_core.errors import ConfigError, ShapeError, UnsupportedError
from hgq_core.linear import Contract

X = np.random.default_rng(0).normal(size=(8, 6, 8)).astype("float32")


def model_of(layer):
    x = keras.Input(X.shape[1:])
    return keras.Model(x, layer(x, x))


def test_with_wide_formats_it_is_attention_to_mapped_positions():
    with QuantizerConfigScope(q_type=("kif", "kbi"), i0=6, f0=16):
        layer = QLinformerAttention(2, 3, 4)
        plain = QMultiHeadAttention(2, 4)
    layer(X, X)
    key, value = (
        np.einsum("bsx,sp->bpx", X, keras.ops.convert_to_numpy(getattr(layer, f"{name}_proj_kernel")))
        for name in ("key", "value")
    )
    plain(X, value, key)
    for part in ("query", "key", "value", "output"):
        getattr(plain, f"{part}_kernel").assign(getattr(layer, f"{part}_kernel"))
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(layer(X, X)), keras.ops.convert_to_numpy(plain(X, value, key)), atol=2e-3
    )


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("fuse", ["none", "kv"])
def test_ebops_are_those_of_attention_and_of_each_map_once(fuse, shared):
    model = model_of(QLinformerAttention(2, 3, 4, fuse=fuse, share_kv_proj=shared))
    hgq_keras.calibrate(model, X)
    layer = model.layers[-1]
    total = hgq_keras.ebops(model)
    graph = hgq_keras.to_graph(model)
    maps = [n for n in graph if isinstance(n.op, Contract) and n.shape == (3, 8)]
    once = shared and fuse == "kv"
    names = ("value",) if once else ("value", "key")
    assert len(maps) == len(names)
    kernels = {name: layer.kv_proj_kq if shared else getattr(layer, f"{name}_proj_kq") for name in names}
    expected = 0.0
    for name, kq in kernels.items():
        iq = getattr(layer, f"{name}_proj_iq", None) or layer.value_proj_iq
        data = np.broadcast_to(keras.ops.convert_to_numpy(iq.bits), (1, 6, 8))[0]
        expected += np.einsum("sx,sp->", data, np.broadcast_to(keras.ops.convert_to_numpy(kq.bits), (6, 3)))
    # Without bits of their inputs the maps cost nothing, and all the rest stays.
    for iq in {id(q): q for q in (layer.value_proj_iq, getattr(layer, "key_proj_iq", None)) if q is not None}.values():
        for variable in iq.variables:
            if variable.name in ("i", "f"):
                variable.assign(np.full(variable.shape, -20.0 if variable.name == "i" else 0.0))
    assert total - hgq_keras.ebops(model) == pytest.approx(expected)


def test_arguments_are_those_of_the_peer():
    names = list(inspect.signature(QLinformerAttention).parameters)
    assert names[:4] == ["num_heads", "lin_kv_proj_dim", "key_dim", "value_dim"]
    last = names.index("parallelization_factor")
    assert names[last : last + 3] == ["parallelization_factor", "share_kv_proj", "lin_kv_proj_mode"]
    of_attention = list(inspect.signature(QMultiHeadAttention).parameters)
    assert names[4 : last + 1] == of_attention[3 : of_attention.index("parallelization_factor") + 1]


def test_it_comes_back_from_a_file(tmp_path):
    with QuantizerConfigScope(place="datalane", overflow_mode="SAT"):
        model = model_of(QLinformerAttention(2, (3,), 4, share_kv_proj=True, fuse="kv"))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[-1].get_config() == model.layers[-1].get_config()
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))


def test_converters_read_its_maps():
    layer = QLinformerAttention(2, 3, 4)
    layer(X)
    assert layer._lin_k_proj.kernel is layer.key_proj_kernel
    assert layer._lin_v_proj.qkernel.shape == (6, 3)
    shared = QLinformerAttention(2, 3, 4, share_kv_proj=True)
    shared(X)
    assert shared._lin_k_proj.kernel is shared._lin_v_proj.kernel is shared.kv_proj_kernel


@pytest.mark.parametrize(
    ("act", "error", "says"),
    [
        (lambda: QLinformerAttention(2, 3, 4, lin_kv_proj_mode="dense_t", name="few"), ConfigError, "lin_kv_proj_mode"),
        (lambda: QLinformerAttention(2, 0, 4, name="few"), ConfigError, "lin_kv_proj_dim"),
        (lambda: QLinformerAttention(2, (3, 2), 4, name="few")(X), ShapeError, "axes of positions"),
        (lambda: QLinformerAttention(2, 3, 4, name="few")(X, use_causal_mask=True), ConfigError, "mask"),
        (lambda: QLinformerAttention(2, 3, 4, name="few")(X, attention_mask=X), UnsupportedError, "mask"),
    ],
)
def test_what_it_does_not_have_is_refused(act, error, says):
    with pytest.raises(error, match=says) as caught:
        act()
    assert "few" in str(caught.value)
