"""`check` says where the widths of attention make the order of a set matter."""

import dataclasses

import numpy as np

from hgq_core.conformance.cases_layers import case
from hgq_core.conformance.numpy_backend import NumpyBackend
from hgq_hw import check


def issues(name):
    given = case(name)
    model = NumpyBackend("numpy").model(given.layers, given.input_shape)
    return [issue for issue in check(model.to_graph()) if issue.topic == "set"]


def test_widths_of_their_own_for_each_position_are_said():
    (issue,) = issues("attention")
    assert issue.severity == "info"
    assert "query/iq" in issue.problem
    assert "query/oq" not in issue.problem  # those of the case are shared


def test_tables_have_their_positions_first_too():
    (issue,) = issues("table-attention")
    assert "query/iq" in issue.problem
    given = case("table-attention")
    layer = given.layers[0]
    shared = {
        slot: {name: np.asarray(n)[:, :1] if slot.endswith("/iq") else n for name, n in widths.items()}
        if np.ndim(widths["k"]) > 1
        else widths
        for slot, widths in layer.widths.items()
    }
    model = NumpyBackend("numpy").model([dataclasses.replace(layer, widths=shared)], given.input_shape)
    assert [issue for issue in check(model.to_graph()) if issue.topic == "set"] == []


def test_layers_without_attention_have_none():
    assert issues("softmax-masked") == []
    assert np.array(issues("dense")).size == 0
