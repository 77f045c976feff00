"""Recurrent modules: those of PyTorch without quantizers, states, cells, and what is refused."""

import numpy as np
import pytest
import torch

import hgq_torch
from hgq_core.errors import ConfigError, ShapeError, UnsupportedError
from hgq_core.graph import run
from hgq_core.spec import KIF, Dummy
from hgq_torch.nn import QGRU, QLSTM, QRNN, QGRUCell, QLSTMCell, QRNNCell

STEPS, FEATURES, UNITS, ROWS = 4, 3, 5, 6
FREE = {
    QRNN: {"nonlinearity": "tanh", **dict.fromkeys(("iq", "sq", "kq", "rkq", "bq", "paq", "paq_oq"), Dummy())},
    QGRU: {
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        **dict.fromkeys(("iq", "sq", "kq", "rkq", "bq", "rbq", "paq", "praq", "rhq", "paq_oq", "praq_oq"), Dummy()),
    },
    QLSTM: {
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        **dict.fromkeys(
            ("iq", "sq", "csq", "kq", "rkq", "bq", "paq", "praq", "caq", "paq_oq", "praq_oq", "caq_oq"), Dummy()
        ),
    },
}
LAYERS = {QRNN: torch.nn.RNN, QGRU: torch.nn.GRU, QLSTM: torch.nn.LSTM}
CELLS = {QRNNCell: torch.nn.RNNCell, QGRUCell: torch.nn.GRUCell, QLSTMCell: torch.nn.LSTMCell}


def data(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape).astype("float32"))


def copied(module, other):
    """The module with the weights of PyTorch's; where it has one bias in place of two, their sum."""
    theirs = dict(other.named_parameters())
    with torch.no_grad():
        for name, mine in module.named_parameters():
            if name.startswith(("weight_", "bias_")):
                value = theirs[name]
                if name.startswith("bias_ih") and not hasattr(module, name.replace("ih", "hh")):
                    value = value + theirs[name.replace("ih", "hh")]
                mine.copy_(value)
    return module


def flat(result):
    return [result] if isinstance(result, torch.Tensor) else [part for item in result for part in flat(item)]


@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(
    "options",
    [{}, {"batch_first": True, "num_layers": 2}, {"bidirectional": True, "num_layers": 2}, {"bias": False}],
    ids=["plain", "stacked", "both-ways", "no-bias"],
)
def test_without_quantizers_it_is_the_layer_of_pytorch(kind, options):
    other = LAYERS[kind](FEATURES, UNITS, **options)
    module = copied(kind(FEATURES, UNITS, **options, **FREE[kind]), other).eval()
    x = data(ROWS, STEPS, FEATURES) if "batch_first" in options else data(STEPS, ROWS, FEATURES)
    number = options.get("num_layers", 1) * (2 if "bidirectional" in options else 1)
    state = data(number, ROWS, UNITS, seed=1)
    first = (state, data(number, ROWS, UNITS, seed=2)) if kind is QLSTM else state
    for given in ((), (first,)):
        for ours, theirs in zip(flat(module(x, *given)), flat(other(x, *given)), strict=True):
            assert ours.shape == theirs.shape
            assert torch.allclose(ours, theirs, atol=2e-6)


def test_one_example_needs_no_batch():
    other = torch.nn.GRU(FEATURES, UNITS)
    module, x = copied(QGRU(FEATURES, UNITS, **FREE[QGRU]), other).eval(), data(STEPS, FEATURES)
    for ours, theirs in zip(module(x), other(x), strict=True):
        assert ours.shape == theirs.shape
        assert torch.allclose(ours, theirs, atol=2e-6)


@pytest.mark.parametrize(("cell", "layer"), list(zip(CELLS, LAYERS, strict=True)), ids=lambda kind: kind.__name__)
def test_without_quantizers_a_cell_is_that_of_pytorch(cell, layer):
    other = CELLS[cell](FEATURES, UNITS)
    module = copied(cell(FEATURES, UNITS, **FREE[layer]), other).eval()
    states = tuple(data(ROWS, UNITS, seed=n) for n in range(2 if layer is QLSTM else 1))
    hx = states if layer is QLSTM else states[0]
    one = tuple(state[0] for state in states) if layer is QLSTM else hx[0]
    for given in ((data(ROWS, FEATURES),), (data(ROWS, FEATURES), hx), (data(FEATURES), one)):
        for ours, theirs in zip(flat(module(*given)), flat(other(*given)), strict=True):
            assert torch.allclose(ours, theirs, atol=2e-6)


@pytest.mark.parametrize(("cell", "layer"), list(zip(CELLS, LAYERS, strict=True)), ids=lambda kind: kind.__name__)
def test_a_cell_is_one_step_of_its_layer_in_numbers_and_in_the_graph(cell, layer):
    torch.manual_seed(0)
    module = layer(FEATURES, UNITS, batch_first=True).eval()
    x = data(ROWS, STEPS, FEATURES)
    whole, _ = module(x)
    step = cell(FEATURES, UNITS).eval()
    step(x[:, 0])
    own = step.state_dict()
    given = {name.removesuffix("_l0"): value for name, value in module.state_dict().items()}
    # Only the shape of the data that both are built for differs.
    step.load_state_dict(own | {name: value for name, value in given.items() if own[name].shape == value.shape})

    class Step(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.step = step

        def forward(self, x, *states):
            return self.step(x, states if len(states) > 1 else states[0])

    states = [torch.zeros(ROWS, UNITS)] * (2 if layer is QLSTM else 1)
    graph = hgq_torch.to_graph(Step(), (x[:, 0], *states))
    for number in range(STEPS):
        following = flat(Step()(x[:, number], *states))
        given = [part.detach().numpy() for part in (x[:, number], *states)]
        computed = run(graph, *given)
        for a, b in zip(following, computed if isinstance(computed, tuple) else (computed,), strict=True):
            assert np.array_equal(a.detach().numpy(), b)
        assert torch.equal(following[0], whole[:, number])
        states = following


def test_a_state_leaves_the_graph():
    class Last(torch.nn.Module):
        def __init__(self, batch_first=True):
            super().__init__()
            self.rnn = QLSTM(FEATURES, UNITS, num_layers=2, bidirectional=True, batch_first=batch_first)
            self.head = hgq_torch.nn.QLinear(2 * UNITS, 2)

        def forward(self, x):
            _, (h, _) = self.rnn(x)
            return self.head(torch.cat([h[-2], h[-1]], -1))

    torch.manual_seed(1)
    model, x = Last().eval(), data(ROWS, STEPS, FEATURES)
    y = model(x).detach().numpy()
    assert np.array_equal(run(hgq_torch.to_graph(model, x), x.numpy()), y)
    with pytest.raises((UnsupportedError, ShapeError), match="batch_first=True"):
        hgq_torch.to_graph(Last(batch_first=False).eval(), data(STEPS, ROWS, FEATURES))


def test_first_states_in_a_graph_are_refused_with_the_way_out():
    class Started(torch.nn.Module):
        def __init__(self, step):
            super().__init__()
            self.step = step

        def forward(self, x):
            return self.step(x) if isinstance(self.step, QGRUCell) else self.step(x, torch.zeros(1, len(x), UNITS))[0]

    with pytest.raises(UnsupportedError, match="'step' is applied without states; make them inputs of the model"):
        hgq_torch.to_graph(Started(QGRUCell(FEATURES, UNITS)), data(ROWS, FEATURES))
    with pytest.raises(UnsupportedError, match="'step' is applied to first states, whose batch is on axis 1"):
        hgq_torch.to_graph(Started(QGRU(FEATURES, UNITS, batch_first=True)), data(ROWS, STEPS, FEATURES))


def test_dropout_of_the_state_is_drawn_once_for_all_steps():
    torch.manual_seed(0)
    free = {**FREE[QRNN], "nonlinearity": "relu"}
    module = QRNN(64, 64, batch_first=True, bias=False, recurrent_dropout=0.5, **free)
    with torch.no_grad():
        module.weight_ih_l0.copy_(torch.eye(64))
        module.weight_hh_l0.copy_(torch.eye(64))
    x = torch.ones(1, 3, 64)
    y = module.train()(x)[0][0]
    # Of the two steps that have a state before them either both add it, doubled, or none does.
    assert {tuple(column.tolist()) for column in y.T} == {(1.0, 1.0, 1.0), (1.0, 3.0, 7.0)}
    assert torch.equal(module.eval()(x)[0][0, :, 0], torch.tensor([1.0, 2.0, 3.0]))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: QGRU(3, 0), ConfigError, "hidden_size: received 0"),
        (lambda: QGRU(3, 2, dropout=1.0, num_layers=2), ConfigError, "dropout: received 1.0"),
        (lambda: QRNN(3, 2, nonlinearity="elu"), ConfigError, "nonlinearity: received 'elu', expected one of"),
        (lambda: QGRU(3, 2)(data(2, 4, 5)), ShapeError, r"QGRU: received a tensor of shape \(2, 4, 5\), expected 3"),
        (lambda: QLSTM(3, 2)(data(4, 2, 3), data(1, 2, 2)), ShapeError, r"QLSTM.*received first states of"),
        (lambda: QGRUCell(3, 2)(data(2, 3), data(2, 3)), ShapeError, r"QGRUCell.*received states of \[\(2, 3\)\]"),
        (
            lambda: QGRU(3, 2)(torch.nn.utils.rnn.pack_sequence([data(3, 3), data(2, 3)])),
            UnsupportedError,
            "received a PackedSequence, expected a tensor",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_name(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_range_decays_once_a_batch_where_first_states_are_given():
    data_spec = KIF(i0=2, f0=3, overflow_mode="WRAP", i_decay_speed=0.25, homogeneous_axis=(0,))
    module = QGRU(FEATURES, UNITS, batch_first=True, bias=False, sq=data_spec).train()
    sequence, state = torch.zeros(ROWS, STEPS, FEATURES), torch.zeros(1, ROWS, UNITS)
    module(sequence)
    for given, start, wanted in (((), 2.0, 1.75), ((state,), 1.75, 1.5)):
        module.sq.assign(i=start)
        module(sequence, *given)
        assert set(module.sq.i.flatten().tolist()) == {wanted}
