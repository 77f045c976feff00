"""A declaration with a loop, in PyTorch: values and EBOPs of the Graph, ranges that follow data, gradients."""

import numpy as np
import pytest
import torch

import hgq_torch
from hgq_core.cost import ebops
from hgq_core.graph import run
from hgq_core.graph.ops import Add
from hgq_core.linear import Contract
from hgq_core.modes import Overflow
from hgq_core.spec import KBI, KIF
from hgq_torch.nn import QModule

STEPS, FEATURES, UNITS = 5, 3, 4


def step(t, x, h):
    """A simple recurrent step with the quantizers of a user's own."""
    kernel, again = t.weight("kernel", "kq", (FEATURES, UNITS)), t.weight("recurrent_kernel", "rkq", (UNITS, UNITS))
    y = t.op(Contract("bi,io->bo"), t.quantized("iq", x), kernel)
    y = t.op(Add(), y, t.op(Contract("bi,io->bo"), t.quantized("sq", h), again), share=0.0)
    y = t.op(Add(), y, t.weight("bias", "bq", (UNITS,), place="bias", start="zeros"))
    y = t.quantized("paq", y)
    return y, y


class Rnn(QModule):
    """A recurrent layer of a user's."""

    def __init__(self, factor=-1, **iq):
        data = KIF(i0=2, f0=3, homogeneous_axis=(0,), **iq)
        hidden = KIF(i0=0, f0=5, overflow_mode=Overflow.SAT, homogeneous_axis=(0,))
        weight = KBI(b0=5, i0=1, is_weight=True, overflow_mode=Overflow.SAT)
        slots = {"iq": data, "sq": hidden, "paq": hidden, "kq": weight, "rkq": weight, "bq": weight}
        super().__init__(
            # The Graph has a sequence of known formats; what a step multiplies, the cell quantizes itself.
            iq=KIF(i0=3, f0=6, overflow_mode=Overflow.SAT, homogeneous_axis=(0,)),
            enable_iq=True,
            enable_ebops=True,
            quantizers={f"cell/{name}": spec for name, spec in slots.items()},
        )
        self.factor = factor

    def declaration(self):
        share = 1.0 if self.factor == -1 else self.factor / STEPS

        def loop(t, x):
            state = t.op(Contract("bti,io->bo"), x, t.constant(np.zeros((FEATURES, UNITS))), share=0.0)
            return t.scan("cell", step, x, state, share=share)

        return loop


def built(**options):
    torch.manual_seed(3)
    model = torch.nn.Sequential(Rnn(**options))
    hgq_torch.build(model, torch.zeros(2, STEPS, FEATURES))
    with torch.no_grad():
        model[0].cell_bias.uniform_(-1, 1)
    return model


def data(rows=16):
    return (torch.from_numpy(np.random.default_rng(5).integers(-120, 121, (rows, STEPS, FEATURES))) / 64).float()


@pytest.mark.parametrize("factor", [-1, 2])
def test_a_loop_computes_and_costs_what_its_graph_does(factor):
    model, x = built(factor=factor, overflow_mode=Overflow.SAT).eval(), data()
    graph = hgq_torch.to_graph(model, x)
    y = model(x).detach().numpy()
    assert np.unique(y).size > 20
    assert np.array_equal(run(graph, x.numpy()), y)
    assert float(model[0].ebops().detach()) == pytest.approx(ebops(graph), rel=1e-6)
    assert float(model[0].ebops().detach()) > 0


def test_every_weight_and_width_of_the_loop_gets_a_gradient():
    model = built(overflow_mode=Overflow.SAT).train()
    (model(data()).square().mean() + 1e-6 * model[0].ebops()).backward()
    for name in ("cell_kernel", "cell_recurrent_kernel", "cell_bias"):
        assert getattr(model[0], name).grad.abs().sum() > 0, name
    for name in ("cell_iq", "cell_sq", "cell_paq", "cell_kq", "cell_rkq"):
        quantizer = getattr(model[0], name)
        assert (quantizer.f if hasattr(quantizer, "f") else quantizer.b).grad.abs().sum() > 0, name


def test_a_range_in_a_loop_is_the_largest_of_any_step_and_decays_once_a_batch():
    decay = 0.25
    model = built(overflow_mode=Overflow.WRAP, i_decay_speed=decay).train()
    quantizer = model[0].cell_iq
    x = torch.full((2, STEPS, FEATURES), 0.3)
    x[:, 1, 0] = 3.0  # two integer bits, at one step of one feature
    quantizer.assign(i=1.5)
    model(x)
    assert quantizer.i.flatten().tolist() == [2.0, 1.25, 1.25]
    model(torch.full((2, STEPS, FEATURES), 0.3))
    assert quantizer.i.flatten().tolist() == [1.75, 1.0, 1.0]
    assert not quantizer.repeating


def test_calibration_sees_every_step():
    model = built(overflow_mode=Overflow.WRAP)
    x = torch.full((2, STEPS, FEATURES), 0.25)
    x[:, 3, 1] = -5.0
    hgq_torch.calibrate(model, x)
    assert model[0].cell_iq.i.flatten().tolist()[1] == 3.0
    assert model[0].cell_iq.k.flatten().tolist() == [0.0, 1.0, 0.0]


def test_a_saved_loop_is_the_same():
    model, other, x = built(overflow_mode=Overflow.SAT).eval(), built(overflow_mode=Overflow.SAT).eval(), data()
    with torch.no_grad():
        model[0].cell_kernel.mul_(-1)
    assert not torch.equal(model(x), other(x))
    other.load_state_dict(model.state_dict())
    assert torch.equal(model(x), other(x))
