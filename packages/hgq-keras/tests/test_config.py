"""What a quantizer shall be: defaults, scopes, refusals, and configurations that survive being written."""

import threading

import keras
import numpy as np
import pytest

from hgq_core.errors import ConfigError, FileError
from hgq_core.modes import Overflow, Round
from hgq_core.spec import Bounds
from hgq_keras import LayerConfigScope, Quantizer, QuantizerConfig, QuantizerConfigScope
from hgq_keras.constraints import Constant, Min, MinMax
from hgq_keras.layers import QAdd, QDense, QUnaryFunctionLUT
from hgq_keras.regularizers import MonoL1

CONFIGS = {
    "kif": QuantizerConfig(
        "kif",
        "datalane",
        scaler=0.5,
        affine=(2.0, -1.0),
        qnoise_factor=0.25,
        k0=0,
        i0=3,
        f0=4,
        ic=MinMax(-3, 5),
        fc=None,
        ir=None,
        fr=MonoL1(1e-3),
        round_mode="S_RND_CONV",
        overflow_mode="sat",
        i_decay_speed=0.5,
        heterogeneous_axis=(1,),
        blocks={1: 2},
        trainable=False,
        stochastic=True,
    ),
    "kbi": QuantizerConfig(
        "kbi",
        "weight",
        b0=5,
        i0=1,
        bc=Constant(5),
        br=None,
        ic=Min(-4),
        ir=1e-4,
        round_mode="TRN",
        i_decay_speed=np.inf,
    ),
    "float": QuantizerConfig("float", "table", m0=3, e0=2, e00=-1, mc=None, ec=Bounds(1, 3), e0r=1e-5),
    "dummy": QuantizerConfig("dummy", "bias"),
}


def plain(config):
    """Everything in a configuration, comparable."""
    constraints = {
        name: value.get_config() if hasattr(value, "get_config") else value for name, value in config.items()
    }
    return constraints, config.q_type, config.place, config.scaler, config.affine, config.qnoise_factor


@pytest.mark.parametrize("name", CONFIGS)
def test_every_key_survives_serialisation_whatever_the_scope(name):
    written = keras.saving.serialize_keras_object(CONFIGS[name])
    with QuantizerConfigScope(i0=7, round_mode="TRN_ZERO", overflow_mode="WRAP", trainable=True):
        again = keras.saving.deserialize_keras_object(written)
    assert plain(again) == plain(CONFIGS[name])
    assert again.spec.__class__ is CONFIGS[name].spec.__class__


def test_modes_are_parsed_and_case_does_not_matter():
    config = QuantizerConfig("kif", "datalane", round_mode="rnd_conv", overflow_mode="Sat_Sym")
    assert config.spec.round_mode is Round.RND_CONV
    assert config.spec.overflow_mode is Overflow.SAT_SYM


def test_defaults_of_the_places():
    weight, data = QuantizerConfig("default", "weights"), QuantizerConfig()
    assert (weight.q_type, weight["b0"], weight["overflow_mode"]) == ("kbi", 8, Overflow.SAT_SYM)
    assert weight["homogeneous_axis"] == ()
    assert (data.q_type, data["f0"], data["homogeneous_axis"]) == ("kif", 6, (0,))
    assert data["ic"].get_config() == {"min_value": -23.0, "max_value": 23.0}
    assert QuantizerConfig("default", "table")["heterogeneous_axis"] == ()


def test_replaced_changes_a_copy_and_giving_axes_replaces_the_other_kind():
    data = QuantizerConfig("kif", "datalane", scaler=2.0)
    changed = data.replaced(heterogeneous_axis=(1,), f0=3)
    assert (changed["heterogeneous_axis"], changed["homogeneous_axis"], changed["f0"]) == ((1,), None, 3)
    assert changed.scaler == 2.0
    assert (data["homogeneous_axis"], data["f0"]) == ((0,), 6)


@pytest.mark.parametrize(
    ("arguments", "parameters", "said"),
    [
        (("kit",), {}, "quantizer type: received 'kit'"),
        (("kif", "weigth"), {}, "place: received 'weigth'"),
        (("kif", "datalane"), {"round_mod": "RND"}, "did you mean 'round_mode'"),
        (("kif", "datalane"), {"b0": 3}, "unknown quantizer parameter 'b0' for type kif"),
        (("kif", "datalane"), {"round_mode": "RNDD"}, "unknown round mode: received 'RNDD'.*did you mean 'RND'"),
        (("kif", "datalane"), {"overflow_mode": "SAT_SIM"}, "did you mean 'SAT_SYM'"),
        (("kif", "datalane"), {"homogeneous_axis": (0,), "heterogeneous_axis": (1,)}, "exclude each other"),
        (("kif", "datalane"), {"scaler": 0}, "scaler: received 0"),
        (("kif", "datalane"), {"scaler": np.nan}, "scaler: received nan"),
        (("kif", "datalane"), {"affine": (0, 1)}, "affine: received"),
        (("kif", "datalane"), {"qnoise_factor": 1.5}, "qnoise_factor: received 1.5"),
        (("kif", "datalane"), {"k0": 2}, "k0: received 2"),
        (("kif", "datalane"), {"i_decay_speed": -1}, "i_decay_speed: received -1"),
        (("kif", "datalane"), {"ic": "narrow"}, "constraint of a width: received 'narrow'"),
        (("kif", "datalane"), {"fr": "strong"}, "regulariser of a width: received 'strong'"),
    ],
)
def test_what_does_not_exist_is_refused_with_the_remedy(arguments, parameters, said):
    with pytest.raises(ConfigError, match=said):
        QuantizerConfig(*arguments, **parameters)


def test_a_layer_takes_configurations_only():
    for arguments in ({"kq_conf": "kbi"}, {"iq_conf": "kif"}, {"oq_conf": {"q_type": "kif"}}):
        with pytest.raises(ConfigError, match="expected a QuantizerConfig"):
            QDense(3, **arguments)
    with pytest.raises(ConfigError, match="expected a QuantizerConfig"):
        QAdd(iq_confs=[QuantizerConfig(), "kif"])
    with pytest.raises(ConfigError, match="put them into the configuration"):
        Quantizer(QuantizerConfig(), f0=3)


def test_a_newer_format_is_refused():
    written = CONFIGS["kif"].get_config() | {"format": 2}
    with pytest.raises(FileError, match=r"QuantizerConfig has format 2.*upgrade"):
        QuantizerConfig.from_config(written)


# --- scopes -----------------------------------------------------------------------------------------------------------


def test_a_given_quantizer_is_used_whatever_the_scope_says():
    coarse = QuantizerConfig("kif", "datalane", i0=4, f0=1, overflow_mode="SAT")
    with LayerConfigScope(enable_iq=False, enable_oq=False):
        layer = QDense(3, oq_conf=coarse)
        both = QDense(3, iq_conf=coarse, oq_conf=coarse)
        none = QDense(3, enable_iq=False, iq_conf=coarse, enable_oq=False, oq_conf=coarse)
    assert [(q.enable_iq, q.enable_oq) for q in (layer, both, none)] == [(False, True), (True, True), (False, False)]
    y = keras.ops.convert_to_numpy(layer(np.linspace(-1, 1, 20, dtype="float32").reshape(4, 5), training=False))
    np.testing.assert_array_equal(y * 2, np.rint(y * 2))
    again = QDense.from_config(none.get_config())
    assert (again.enable_iq, again.enable_oq) == (False, False)


def test_an_inner_scope_wins_and_ends():
    scope = QuantizerConfigScope(place="datalane", f0=3)
    with scope:
        assert QuantizerConfig()["f0"] == 3
        with QuantizerConfigScope(f0=2), scope:
            assert QuantizerConfig()["f0"] == 3
        with QuantizerConfigScope(f0=2):
            assert QuantizerConfig()["f0"] == 2
            assert QuantizerConfig(f0=1)["f0"] == 1
        assert QuantizerConfig()["f0"] == 3
    assert QuantizerConfig()["f0"] == 6


def test_a_scope_concerns_its_places_and_types():
    with QuantizerConfigScope(place=("weight", "bias"), default_q_type="kif", f0=1), QuantizerConfigScope("kbi", i0=5):
        layer = QDense(3)
    assert (layer.kq.spec.q_type, layer.kq.spec.f0, layer.kq.spec.i0) == ("kif", 1, 2)
    assert (layer.iq.spec.q_type, layer.iq.spec.f0) == ("kif", 6)


def test_a_scope_ends_with_an_exception_too():
    with pytest.raises(RuntimeError), LayerConfigScope(beta0=3.0):
        raise RuntimeError
    assert float(QDense(1).beta0) == 1e-5


def test_layer_options_and_two_of_the_widths_give_the_third():
    with LayerConfigScope(enable_ebops=False, enable_oq=True, beta0=0.5), QuantizerConfigScope(i0=1, f0=2):
        layer = QDense(3)
        explicit = QDense(3, enable_oq=False, oq_conf=QuantizerConfig())
    assert (layer.enable_ebops, layer.enable_oq, layer.beta0) == (False, True, 0.5)
    assert layer.kq.spec.b0 == 3
    assert not explicit.enable_oq


@pytest.mark.parametrize(
    ("scope", "arguments", "said"),
    [
        (LayerConfigScope, {"enable_ebop": True}, "did you mean 'enable_ebops'"),
        (QuantizerConfigScope, {"round_modes": "RND"}, "did you mean 'round_mode'"),
        (QuantizerConfigScope, {"place": "data"}, "place: received 'data'"),
        (QuantizerConfigScope, {"q_type": "kfi"}, "quantizer type: received 'kfi'"),
    ],
)
def test_unknown_names_in_a_scope_are_refused(scope, arguments, said):
    with pytest.raises(ConfigError, match=said):
        scope(**arguments)


def test_threads_do_not_see_each_others_scopes():
    """Also with one scope object entered by both, whose blocks overlap."""
    shared, inside, leave = QuantizerConfigScope(f0=3), threading.Event(), threading.Event()
    seen = {}

    def other():
        seen["fresh"] = QuantizerConfig()["f0"]
        with shared:
            seen["entered"] = QuantizerConfig()["f0"]
            inside.set()
            leave.wait(10)
        seen["left"] = QuantizerConfig()["f0"]

    thread = threading.Thread(target=other)
    with QuantizerConfigScope(f0=1):
        thread.start()
        inside.wait(10)
        with shared:
            leave.set()
            thread.join(10)
            assert QuantizerConfig()["f0"] == 3
        assert QuantizerConfig()["f0"] == 1
    assert seen == {"fresh": 6, "entered": 3, "left": 6}


def test_a_table_has_its_own_place_and_options():
    table = QUnaryFunctionLUT(
        "tanh", allow_heterogeneous_input=False, allow_heterogeneous_table=False, override_oq_k0_to_0=True
    )
    assert table.iq.spec.heterogeneous_axis == ()
    assert table.oq.spec.heterogeneous_axis == ()
    assert (table.oq.config.place, table.oq.spec.k0) == ("table", 0)
