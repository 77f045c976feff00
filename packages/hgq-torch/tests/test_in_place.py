"""`to_graph` and memory: a Graph has values, PyTorch has memory; a tensor is what its memory holds when it is read."""

import numpy as np
import pytest
import torch
from torch import nn

import hgq_torch
from hgq_core.errors import UnsupportedError
from hgq_core.graph import prove, run
from hgq_torch import Quantizer
from hgq_torch import nn as qnn


class Written(nn.Module):
    """Two layers, a ReLU in place, a dummy quantizer and the forward pass that is given."""

    def __init__(self, body):
        super().__init__()
        narrow = {"kq": {"b0": 4}, "bq": {"b0": 4}, "iq": {"f0": 2}}
        self.a, self.b = qnn.QLinear(4, 4, **narrow), qnn.QLinear(4, 4, **narrow)
        self.relu, self.same, self.free = nn.ReLU(inplace=True), nn.Identity(), Quantizer("dummy")
        self.body = body

    def forward(self, x):
        return self.body(self, x)


def module_then_read(s, x):
    h = s.a(x)
    return h + s.b(s.relu(h))


def input_then_read(s, x):
    y = s.a(x.relu_())
    return y + s.b(x)


def functional_then_read(s, x):
    h = s.a(x)
    return s.b(nn.functional.relu(h, inplace=True)) + h


def function_then_read(s, x):
    h = s.a(x)
    return s.b(torch.relu_(h)) + h


def method_then_read(s, x):
    h = s.a(x)
    return h.add_(s.b(h)) + h


def statement_with_an_alias(s, x):
    h = k = s.a(x)
    h += s.b(x)
    return s.b(h) + k


def difference_with_an_alias(s, x):
    h = k = s.a(x)
    h -= s.b(x)
    return s.b(h) + k


def view_then_read(s, x):
    h = s.a(x)
    s.relu(h.view(-1, 2, 2))
    return s.b(h)


def another_view(s, x):
    h = s.a(x)
    first, second = h.chunk(2, dim=1)
    first.relu_()
    return s.b(torch.cat([second, first], dim=1)) + h


def through_identity(s, x):
    h = s.a(x)
    return s.b(s.relu(s.same(h))) + h


def through_a_dummy(s, x):
    h = s.a(x)
    return s.b(s.relu(s.free(h))) + h


def result_dropped(s, x):
    h = s.a(x)
    h.relu_()
    return h


def two_outputs(s, x):
    h = s.a(x)
    return h, s.b(s.relu(h))


def out_argument(s, x):
    h = s.a(x)
    torch.relu(s.b(x))
    torch.cat([s.b(x)], dim=1, out=h)
    return h


def element(s, x):
    h = s.a(x)
    h[:, 0] = 0
    return h


def data_replaced(s, x):
    h = s.a(x)
    h.data = s.b(x)
    return h


SEEN_THROUGH = [
    module_then_read,
    input_then_read,
    functional_then_read,
    function_then_read,
    method_then_read,
    statement_with_an_alias,
    difference_with_an_alias,
    through_identity,
    through_a_dummy,
    result_dropped,
    two_outputs,
    data_replaced,
]
REFUSED = [view_then_read, another_view, out_argument, element]


@pytest.mark.filterwarnings("ignore:layer 'b' has collapsed:hgq_core.errors.DeadLayerWarning")  # where it is not called
@pytest.mark.parametrize("body", SEEN_THROUGH, ids=lambda b: b.__name__)
def test_a_name_that_means_what_was_written_gives_what_was_written(body):
    model = Written(body)
    x = torch.randn(50, 4)
    hgq_torch.calibrate(model, x.clone())
    graph = hgq_torch.to_graph(model, x[:1])
    expected = model.eval()(x.clone())
    for got, want in zip(
        *((y if isinstance(y, tuple) else (y,)) for y in (run(graph, x.numpy()), expected)), strict=True
    ):
        np.testing.assert_array_equal(got, want.detach().numpy())


@pytest.mark.parametrize("body", REFUSED, ids=lambda b: b.__name__)
def test_what_is_overwritten_through_another_view_and_read_again_is_refused(body):
    with pytest.raises(UnsupportedError, match=r"in place|into a tensor") as caught:
        hgq_torch.to_graph(Written(body), torch.zeros(1, 4))
    assert "out of place" in str(caught.value)


def test_the_refusal_names_layer_line_and_remedy():
    with pytest.raises(UnsupportedError, match=r"'relu'.*overwrites 'a/add'.*nn\.ReLU\(\)"):
        hgq_torch.to_graph(Written(view_then_read), torch.zeros(1, 4))
    with pytest.raises(UnsupportedError, match=r"test_in_place\.py.*line \d+, in another_view"):
        hgq_torch.to_graph(Written(another_view), torch.zeros(1, 4))


def chain_of_modules(s, x):
    return s.b(s.relu(s.a(x)))


def rebound(s, x):
    x = nn.functional.relu(x, inplace=True)
    h = s.a(x)
    h.relu_()
    return s.b(s.a(x))


def rebound_method(s, x):
    h = s.a(x)
    h = h.relu_()
    return s.b(h) + h


def statement(s, x):
    h = s.a(x)
    h += s.b(x)
    h -= s.b(x)
    h *= s.a(x)
    return s.relu(h)


def read_before(s, x):
    h = s.a(x)
    y = s.b(h)
    return s.relu(h).add_(y)


def itself(s, x):
    h = s.a(x)
    return s.b(s.relu(h.add_(h)))


def a_count(s, x):
    n = x.size(1)
    n += 0
    return s.b(s.a(x)).reshape(-1, n)


@pytest.mark.parametrize(
    "body",
    [chain_of_modules, rebound, rebound_method, statement, read_before, itself, a_count],
    ids=lambda b: b.__name__,
)
def test_what_is_read_through_its_result_only_is_exported_as_it_is(body):
    model = Written(body)
    x = torch.randn(50, 4)
    hgq_torch.calibrate(model, x.clone())
    example = x[:2].clone()
    graph = hgq_torch.to_graph(model, example)
    assert torch.equal(example, x[:2])
    assert prove(graph).float32_exact
    np.testing.assert_array_equal(run(graph, x.numpy()), model.eval()(x.clone()).detach().numpy())


def test_a_sequential_with_relu_in_place_is_exported():
    model = nn.Sequential(qnn.QLinear(4, 3), nn.ReLU(inplace=True), nn.Dropout(inplace=True), qnn.QLinear(3, 2))
    x = torch.randn(50, 4)
    hgq_torch.calibrate(model, x)
    graph = hgq_torch.to_graph(model, x[:1])
    np.testing.assert_array_equal(run(graph, x.numpy()), model.eval()(x).detach().numpy())


def test_inference_mode_is_no_obstacle():
    with torch.inference_mode():
        x = torch.randn(5, 4)
        assert len(hgq_torch.to_graph(Written(chain_of_modules), x)) > 3
        with pytest.raises(UnsupportedError, match="in place"):
            hgq_torch.to_graph(Written(view_then_read), x)
