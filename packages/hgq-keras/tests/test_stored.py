"""Widths in files: named, so that no other overflow mode or type reads them as something else."""

import h5py
import keras
import numpy as np
import pytest

from hgq_keras import Quantizer, QuantizerConfig, QuantizerConfigScope
from hgq_keras.layers import QDense


def network(q_type="kif", overflow_mode="SAT", **widths):
    """One layer whose input quantizer starts with the given widths."""
    conf = QuantizerConfig(q_type, "datalane", overflow_mode=overflow_mode, **widths)
    return keras.Sequential([keras.Input((3,)), QDense(2, iq_conf=conf, name="mine")])


def kif(model):
    return [np.unique(part).tolist() for part in model.get_layer("mine").iq.array_kif]


def written(model, path):
    model.save_weights(path)
    return path


@pytest.mark.parametrize("modes", [("SAT", "WRAP"), ("WRAP", "SAT"), ("SAT_SYM", "WRAP")])
@pytest.mark.parametrize("q_type", ["kif", "kbi"])
def test_another_overflow_mode_reads_the_same_widths(q_type, modes, tmp_path):
    second = {"f0": 6} if q_type == "kif" else {"b0": 8}
    path = written(network(q_type, modes[0], i0=2, **second), tmp_path / "m.weights.h5")
    other = network(q_type, modes[1], i0=-1, **dict.fromkeys(second, 3))
    other.load_weights(path)
    assert kif(other) == [[1.0], [2.0], [6.0]]


@pytest.mark.parametrize(("old", "new"), [("kbi", "kif"), ("kif", "kbi"), ("dummy", "kif")])
def test_the_widths_of_another_type_are_refused(old, new, tmp_path):
    def of(q_type):
        conf = QuantizerConfig("dummy") if q_type == "dummy" else QuantizerConfig(q_type, overflow_mode="SAT")
        return keras.Sequential([keras.Input((3,)), QDense(2, iq_conf=conf, enable_ebops=False, name="mine")])

    path = written(of(old), tmp_path / "m.weights.h5")
    said = "no widths" if old == "dummy" else f"the widths ., i, k of type '{old}'"
    with pytest.raises(ValueError, match=rf"quantizer 'mine_iq' of type '{new}': the file has {said}"):
        of(new).load_weights(path)


def test_widths_written_by_position_are_refused(tmp_path):
    path = written(network(), tmp_path / "m.weights.h5")

    def renamed(name, part):
        if isinstance(part, h5py.Group) and {"k", "i", "f"} <= set(part.keys()):
            found.append(name)

    found = []
    with h5py.File(path, "r+") as file:
        file.visititems(renamed)
        for group in found:
            for position, name in enumerate("kif"):
                file.move(f"{group}/{name}", f"{group}/{position}")
    assert found
    with pytest.raises(ValueError, match=r"quantizer 'mine_iq'.*the widths 0, 1, 2, which no quantizer type has"):
        network().load_weights(path)


def test_a_quantizer_without_widths_takes_none_from_a_file(tmp_path):
    def of(q_type):
        x = keras.Input((3,))
        return keras.Model(x, Quantizer(q_type, "datalane", name="alone")(x))

    path = written(of("kif"), tmp_path / "m.weights.h5")
    with pytest.raises(ValueError, match=r"quantizer 'alone' of type 'dummy': the file has the widths f, i, k"):
        of("dummy").load_weights(path)
    of("dummy").load_weights(written(of("dummy"), tmp_path / "d.weights.h5"))


def test_widths_of_another_shape_are_refused_and_change_nothing(tmp_path):
    path = written(network(i0=5, f0=5, heterogeneous_axis=()), tmp_path / "m.weights.h5")
    other = network(i0=1, f0=1)
    with pytest.raises(ValueError, match=r"quantizer 'mine_iq': width 'k' has shape \(1, 1\) in the file.*\(1, 3\)"):
        other.load_weights(path)
    assert kif(other) == [[1.0], [1.0], [1.0]]


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.weights.h5"])
def test_every_type_and_mode_survives(name, tmp_path, array):
    def made():
        with QuantizerConfigScope(place="weight", overflow_mode="WRAP"):
            first = QDense(3, iq_conf=QuantizerConfig("float", "datalane", m0=3, e0=3, e00=1), enable_ebops=False)
        return keras.Sequential([keras.Input((3,)), first, QDense(2, iq_conf=QuantizerConfig(overflow_mode="SAT"))])

    model = made()
    for number, variable in enumerate(model.weights):
        variable.assign(np.full(variable.shape, 1.0 + number / 128))
    if name == "m.weights.h5":
        loaded = made()
        loaded.load_weights(written(model, tmp_path / name))
    else:
        model.save(tmp_path / name)
        loaded = keras.saving.load_model(tmp_path / name)
    for old, new in zip(model.weights, loaded.weights, strict=True):
        np.testing.assert_array_equal(array(new), array(old))


@pytest.mark.parametrize(("name", "value"), [("f", np.nan), ("i", np.inf), ("f", 1e9), ("k", 3.0), ("i", -500.0)])
@pytest.mark.parametrize("kind", ["m.keras", "m.weights.h5"])
def test_widths_that_no_arithmetic_holds_are_refused_and_change_nothing(kind, name, value, tmp_path):
    model = network(i0=5, f0=5)
    width = getattr(model.get_layer("mine").iq, f"_{name}")
    width.assign(np.full(width.shape, value))
    path = tmp_path / kind
    model.save(path) if kind == "m.keras" else written(model, path)
    other = network(i0=1, f0=1)
    with pytest.raises(ValueError, match=rf"quantizer 'mine_iq': width '{name}': received"):
        keras.saving.load_model(path) if kind == "m.keras" else other.load_weights(path)
    assert kif(other) == [[1.0], [1.0], [1.0]]
