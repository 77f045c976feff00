"""Layers of a user's own: other layers inside, several tensors, and nothing but a declaration."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

import hgq_torch
from hgq_core.cost import ebops as graph_ebops
from hgq_core.cost import ebops_by_label
from hgq_core.errors import ConfigError, HGQWarning, ShapeError
from hgq_core.graph import run
from hgq_core.graph.ops import Add, Concatenate, Multiply, Relu
from hgq_core.scope import QuantizerConfigScope
from hgq_torch import nn as qnn

X, Y = torch.randn(40, 4), torch.randn(40, 6)


class Join(qnn.QModule):
    """Two layers, one of them in a list, for two tensors."""

    def __init__(self, **options):
        super().__init__(enable_iq=True, **options)
        self.first = qnn.QLinear(4, 3, activation="relu")
        self.others = nn.ModuleList([qnn.QLinear(6, 3)])

    def declaration(self):
        def join(t, x, y):
            a = t.quantized("aq", t.call("first", self.first, x))
            b = t.quantized("dq", t.call("others/0", self.others[0], y))
            return t.op(Relu(), t.op(Add(), a, b), share=0.0)

        return join


class Net(nn.Module):
    def __init__(self, layer=None):
        super().__init__()
        self.join, self.last = layer or Join(), qnn.QLinear(3, 2)

    def forward(self, x, y):
        return self.last(self.join(x, y))


def batches():
    return {"x": X, "y": Y}


def calibrated(model):
    hgq_torch.calibrate(model, batches())
    return model.eval()


def test_a_layer_with_layers_inside_is_calibrated_counted_saved_and_exported():
    model = Net()
    total = hgq_torch.calibrate(model, batches())
    model.eval()
    assert hgq_torch.uncalibrated(model) == []
    parts = hgq_torch.ebops_by_layer(model)
    assert list(parts) == ["join", "join.first", "join.others.0", "last"]
    assert all(parts.values())
    assert total == hgq_torch.ebops(model) == pytest.approx(sum(parts.values()))
    graph = hgq_torch.to_graph(model, (X, Y))
    np.testing.assert_array_equal(run(graph, X.numpy(), Y.numpy()), model(X, Y).detach().numpy())
    assert graph_ebops(graph) == pytest.approx(total)
    assert ebops_by_label(graph) == pytest.approx(parts)
    assert {node.label for node in graph} == {"", *parts}
    assert {"join/iq_0", "join/iq_1", "join.first/iq", "join.others.0/kernel", "join/aq"} <= {n.name for n in graph}

    state = model.state_dict()
    assert {"join.iq_0.f", "join.aq.f", "join.first.weight", "join.others.0.kq.b", "join.built_for.1"} <= set(state)
    fresh = Net()
    fresh.load_state_dict(state)
    assert torch.equal(fresh.eval()(X, Y), model(X, Y))
    assert hgq_torch.ebops(fresh) == total
    assert hgq_torch.uncalibrated(fresh) == []
    copied = copy.deepcopy(model)
    assert torch.equal(copied(X, Y), model(X, Y))


def test_everything_inside_trains():
    model = Net()
    hgq_torch.build(model, (X, Y))
    optimizer = torch.optim.Adam(hgq_torch.parameter_groups(model), lr=1e-2)
    before = {name: p.clone() for name, p in model.named_parameters()}
    hgq_torch.set_beta(model, 1e-3)
    for _ in range(3):
        optimizer.zero_grad()
        (model(X, Y).square().mean() + hgq_torch.ebops_loss(model)).backward()
        optimizer.step()
    assert not [name for name, p in model.named_parameters() if torch.equal(p, before[name])]
    by_layer = sum(m.beta * m.ebops() + m.regularization() for m in model.modules() if isinstance(m, qnn.QModule))
    torch.testing.assert_close(hgq_torch.ebops_loss(model), by_layer)


class Twice(qnn.QModule):
    """One layer that is applied twice."""

    def __init__(self):
        super().__init__(enable_iq=False)
        self.inner = qnn.QLinear(4, 4)

    def declaration(self):
        return lambda t, x: t.call("second", self.inner, t.call("first", self.inner, x))


def test_a_layer_that_is_applied_twice_counts_twice():
    model = Twice()
    hgq_torch.build(model, X)
    once = model.inner.ebops().item()
    assert hgq_torch.ebops(model) == 2 * once
    hgq_torch.calibrate(model, X)
    total = hgq_torch.ebops(model)
    assert total == 2 * model.inner.ebops().item()
    graph = hgq_torch.to_graph(model, X)
    assert graph_ebops(graph) == pytest.approx(total)
    np.testing.assert_array_equal(run(graph, X.numpy()), model.eval()(X).detach().numpy())
    assert hgq_torch.ebops(nn.Sequential(model)) == total


class Outer(qnn.QModule):
    """A layer with a layer inside that has layers inside."""

    def __init__(self):
        super().__init__(enable_iq=False, enable_oq=True)
        self.parts = nn.ModuleDict({"join": Join(), "last": qnn.QLinear(6, 2)})

    def declaration(self):
        def outer(t, x, y):
            z = t.call("join", self.parts["join"], x, y)
            return t.call("last", self.parts["last"], t.op(Concatenate(0), z, z))

        return outer


def test_layers_nest_to_any_depth():
    model = calibrated(Outer())
    graph = hgq_torch.to_graph(model, (X, Y))
    np.testing.assert_array_equal(run(graph, X.numpy(), Y.numpy()), model(X, Y).detach().numpy())
    assert graph_ebops(graph) == pytest.approx(hgq_torch.ebops(model))
    assert "parts.join.first" in {node.label for node in graph}
    fresh = Outer()
    fresh.load_state_dict(model.state_dict())
    assert torch.equal(fresh.eval()(X, Y), model(X, Y))


class Hidden(qnn.QModule):
    def __init__(self):
        super().__init__(enable_iq=False)
        self.others = [qnn.QLinear(4, 3)]

    def declaration(self):
        return lambda t, x: t.call("others/0", self.others[0], x)


def test_a_layer_that_pytorch_does_not_know_of_is_refused():
    with pytest.raises(ConfigError, match=r"Hidden: the declaration calls 'others/0', a QLinear.*ModuleList"):
        Hidden()(X)


def test_other_shapes_are_refused():
    layer = Join()
    layer(X, Y)
    with pytest.raises(ShapeError, match=r"Join: received \(40, 6\), \(40, 4\), expected \(batch, 4\), \(batch, 6\)"):
        layer(Y, X)
    with pytest.raises(ShapeError, match="Join: received"):
        layer(X)
    with pytest.raises(ShapeError, match="it is built for"):
        layer.build((4,), (7,))
    with pytest.raises(ShapeError, match=r"Join: it does not know the shapes.*hgq_torch\.build"):
        hgq_torch.ebops(Join())


def test_an_optimizer_that_is_made_too_early_is_told_so():
    model = Net()
    with pytest.warns(HGQWarning, match=r"'join'.*hgq_torch\.build"):
        early = hgq_torch.parameter_groups(model)
    hgq_torch.build(model, (X, Y))
    late = hgq_torch.parameter_groups(model)
    held = [{id(p) for group in groups for p in group["params"]} for groups in (early, late)]
    assert held[0] < held[1]
    with pytest.raises(ConfigError, match=r"'join'.*hgq_torch\.build"):
        hgq_torch.calibrating(Net()).__enter__()


class Summed(qnn.QModule):
    def __init__(self, enable_iq, enable_ebops):
        super().__init__(enable_iq=enable_iq, enable_ebops=enable_ebops)

    def declaration(self):
        return lambda t, x, y: t.op(Add(), x, y)


def test_ebops_need_a_quantizer_of_data():
    with pytest.raises(ConfigError, match="enable_ebops=False"):
        Summed(False, True)(X, X)
    layer = Summed(False, None)
    layer(X, X)
    assert layer.ebops() == 0
    assert Summed(True, True)(X, X).shape == X.shape


class Inside(qnn.QModule):
    """Computes with what a layer inside quantizes, if it does."""

    def __init__(self, *, quantizes=True, enable_ebops=None):
        super().__init__(enable_iq=False, enable_ebops=enable_ebops)
        self.inner = qnn.QLinear(4, 3, enable_iq=quantizes, enable_oq=quantizes)

    def declaration(self):
        def declare(t, x):
            y = t.call("inner", self.inner, x)
            return t.op(Add(), y, y)

        return declare


def test_what_a_layer_inside_quantizes_is_counted_unless_it_is_told_otherwise():
    layers = {wanted: Inside(enable_ebops=wanted) for wanted in (None, True, False)}
    for layer in layers.values():
        hgq_torch.calibrate(layer, X)
    assert {wanted: layer.ebops() > 0 for wanted, layer in layers.items()} == {None: True, True: True, False: False}
    unknown = Inside(quantizes=False)
    hgq_torch.calibrate(unknown, X)
    assert unknown.ebops() == 0
    with pytest.raises(ConfigError, match="enable_ebops=False"):
        Inside(quantizes=False, enable_ebops=True)(X)


class Clash(qnn.QModule):
    def __init__(self):
        super().__init__(enable_iq=True)
        self.aq = nn.Identity()

    def declaration(self):
        return lambda t, x: t.quantized("aq", x)


def test_a_name_that_is_taken_is_refused():
    with pytest.raises(ConfigError, match="slot 'aq' needs the attribute 'aq'"):
        Clash()(X)


class Weighted(qnn.QModule):
    """Weights of its own, named by a declaration."""

    def __init__(self):
        super().__init__(enable_iq=True, quantizers={"wq": {"b0": 5}})

    def declaration(self):
        return lambda t, x: t.op(Add(), x, t.weight("w", "wq", t.shape(x), start="ones"))


def test_a_declaration_may_have_weights():
    model = Weighted()
    hgq_torch.calibrate(model, X)
    assert torch.equal(model.w, torch.ones(4))
    assert model.wq.b.shape == (4,)
    graph = hgq_torch.to_graph(model, X)
    np.testing.assert_array_equal(run(graph, X.numpy()), model.eval()(X).detach().numpy())
    assert graph_ebops(graph) == pytest.approx(hgq_torch.ebops(model))
    assert set(model.quantized_weights()) == {"w"}


def test_what_another_layer_quantized_is_counted_by_no_layer():
    model = nn.Sequential(qnn.QLinear(4, 5, enable_oq=True), qnn.QSoftmax())
    total = hgq_torch.calibrate(model, X)
    graph = hgq_torch.to_graph(model, X)
    assert graph_ebops(graph) == pytest.approx(total)
    np.testing.assert_array_equal(run(graph, X.numpy()), model.eval()(X).detach().numpy())


class Masked(qnn.QModule):
    """A tensor that may be left out."""

    def declaration(self):
        return lambda t, x, mask=None: t.op(Relu(), x) if mask is None else t.op(Add(), x, mask)


@pytest.mark.parametrize("masked", [False, True])
def test_optional_tensors_are_given_by_position_or_name_or_not(masked):
    model = Masked()
    mask = X + 1 if masked else None
    given = (X, mask) if masked else (X,)
    model.build(*(x.shape[1:] for x in given))
    hgq_torch.calibrate(model, {"x": X, "mask": mask} if masked else X)
    model.eval()
    expected = model(*given)
    assert all(torch.equal(y, expected) for y in (model(X, mask), model(X, mask=mask), model(mask=mask, x=X)))
    graph = hgq_torch.to_graph(model, given)
    assert [node.name for node in graph.inputs] == ["x", "mask"][: len(given)]
    np.testing.assert_array_equal(run(graph, *(x.numpy() for x in given)), expected.detach().numpy())
    with pytest.raises(ConfigError, match=r"Masked: received 1 tensor.*'gate'.*takes \['x', 'mask'\]"):
        model(X, gate=X)
    with pytest.raises(ConfigError, match="Masked: received 0 tensor"):
        model(mask=X)


def test_a_layer_without_a_declaration_says_so():
    with pytest.raises(ConfigError, match="QModule has no declaration"):
        qnn.QModule()(X)


class Squared(qnn.QModule):
    """What it declares is made when it first sees data."""

    def declaration(self):
        return lambda t, x: t.quantized("bq", t.op(Multiply(), *[t.quantized("aq", x)] * 2))


def test_a_layer_has_the_defaults_of_the_scope_it_is_written_in_wherever_it_is_built():
    with QuantizerConfigScope(overflow_mode="SAT", round_mode="TRN", i0=1, f0=3):
        here, elsewhere = Squared(), Squared()
        here(X)
    elsewhere = copy.deepcopy(elsewhere)
    with QuantizerConfigScope(overflow_mode="SAT_SYM", f0=1, i0=0):
        elsewhere(X)
    for slot in ("iq", "aq", "bq"):
        spec = getattr(elsewhere, slot).spec
        assert spec == getattr(here, slot).spec
        assert (spec.overflow_mode, spec.round_mode, spec.i0, spec.f0) == ("SAT", "TRN", 1, 3)
