"""Rounding and overflow in hls4ml's compiled project equal those of the graph, however far apart two formats lie.

To round, ``ap_fixed`` reads the bit below the new step, and ends the process where the source has no such bit.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hgq_core.errors import UnsupportedError
from hgq_core.formats import Formats
from hgq_core.graph import GraphBuilder, run
from hgq_core.graph.ops import Constant, Contract, Input, Multiply, Quantize, Relu
from hgq_core.modes import Overflow, Round
from hgq_hw.hls4ml import lower
from hgq_hw.hls4ml.legal import legalize


def chain(rng, count, *, per_element):
    """Two quantizers in a row, each of any format and mode, with something else between them now and then."""
    builder = GraphBuilder()
    modes = itertools.cycle(itertools.product(Round, Overflow))

    def formats(lowest, highest):
        # Where a format is one for all elements, a single bit is refused.
        k, i, width = rng.integers(0, 2), rng.integers(lowest, highest), rng.integers(1 if per_element else 2, 9)
        return Formats.of(k, [i, i + rng.integers(-2, 3)] if per_element else i, width - k - i)

    x = builder.add(Input((2,)))
    outputs = []
    for number in range(count):
        y = builder.add(Quantize(formats(-6, 7), Round.RND, rng.choice(list(Overflow))), x)
        if not per_element or number % 3 == 1:
            y = builder.add(Relu(), y)
        if number % 3 == 2:
            y = builder.add(Multiply(), y, builder.add(Constant.of([-1.0, 0.25])))
        if not per_element and number % 2:
            kernel = builder.add(Constant.of(np.round(rng.normal(0, 8, (2, 2))) / 8))
            y = builder.add(Contract("bi,io->bo"), y, kernel)
        outputs.append(builder.add(Quantize(formats(-8, 9), *next(modes)), y))
    return builder.build(outputs)


def numbers(rng):
    spread = [rng.normal(0, 2.0**exponent, (40, 2)) for exponent in range(-8, 9)]
    ties = [rng.integers(-64, 64, (100, 2)) * 2.0**exponent for exponent in (-7, -3, 0)]
    return np.concatenate(spread + ties)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"backend": "Vitis"}, 42),
        pytest.param({"backend": "Vivado"}, 84, marks=pytest.mark.slow),
        pytest.param({"io_type": "io_stream"}, 14, marks=pytest.mark.slow),
        pytest.param({"backend": "Quartus"}, 14, marks=pytest.mark.slow),
        pytest.param({"backend": "Catapult"}, 14, marks=pytest.mark.slow),
    ],
    ids=str,
)
@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_any_two_formats_and_modes(tmp_path, options, count, seed):
    rng = np.random.default_rng(seed)
    per_element = options.get("backend", "") in ("Vitis", "Vivado")
    graph = chain(rng, count, per_element=per_element)
    model = lower(graph, tmp_path / "project", **options)
    model.compile()
    x = numbers(rng)
    for name, received, expected in zip(graph.outputs, model.predict(x), run(graph, x), strict=True):
        np.testing.assert_array_equal(received, expected, err_msg=f"{name}: {graph[name].op}")


@pytest.mark.parametrize("rounding", Round)
def test_a_step_above_the_bits_of_the_source_is_written_as_zero_unless_it_rounds_down(rounding):
    builder = GraphBuilder()
    x = builder.add(Input((2,), Formats.of([0, 1], [1, 0], [0, 2])))
    graph = builder.build([builder.add(Quantize(Formats.of(1, 6, -2), rounding, Overflow.SAT_SYM), x)])
    (op,) = (node.op for node in legalize(graph).graph if isinstance(node.op, Quantize))
    assert op.formats.alive.any() == (rounding is Round.TRN)


def test_a_step_that_a_number_may_reach_half_of_stays():
    builder = GraphBuilder()
    x = builder.add(Input((2,), Formats.of(0, [1, 2], 0)))
    graph = builder.build([builder.add(Quantize(Formats.of(0, 6, -2), Round.RND, Overflow.SAT), x)])
    (op,) = (node.op for node in legalize(graph).graph if isinstance(node.op, Quantize))
    assert op.formats.broadcast_to((2,)).alive.tolist() == [False, True]


@pytest.mark.parametrize(("k", "i", "f"), [(1, 0, 0), (0, 1, 0), (0, -2, 3)])
@pytest.mark.parametrize(("rounding", "overflow"), [(Round.TRN, Overflow.WRAP), (Round.RND_ZERO, Overflow.SAT)])
def test_rounding_to_one_bit_is_refused_where_hls4ml_would_write_two(k, i, f, rounding, overflow, tmp_path):
    builder = GraphBuilder()
    x = builder.add(Input((2,), Formats.of(1, 4, 5)))
    graph = builder.build([builder.add(Quantize(Formats.of(k, i, f), rounding, overflow), builder.add(Relu(), x))])
    with pytest.raises(
        UnsupportedError, match=r"Quantize .* one bit, .*Quartus, Catapult have two; give it one bit more"
    ):
        lower(graph, tmp_path / "project", backend="Quartus")
    lower(graph, tmp_path / "project", backend="Vitis")


def test_one_bit_that_holds_all_that_comes_is_exact_everywhere(tmp_path):
    builder = GraphBuilder()
    x = builder.add(Relu(), builder.add(Input((2,), Formats.of(0, 1, 0))))
    y = builder.add(Quantize(Formats.of(0, 1, 0), Round.TRN, Overflow.WRAP), x)
    y = builder.add(Contract("bi,io->bo"), y, builder.add(Constant.of([[2.0, -1.0], [0.5, 3.0]])))
    graph = builder.build([y])
    model = lower(graph, tmp_path / "project", backend="Quartus")
    model.compile()
    x = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    np.testing.assert_array_equal(model.predict(x), run(graph, x))


def test_an_output_that_only_names_the_type_of_an_input_is_refused_before_anything_is_compiled(tmp_path):
    builder = GraphBuilder()
    x = builder.add(Input((2,), Formats.of(0, 1, 0)))
    y = builder.add(Contract("bi,io->bo"), x, builder.add(Constant.of([[2.0, -1.0], [0.5, 3.0]])))
    graph = builder.build([builder.add(Quantize(Formats.of(0, 1, 0), Round.TRN, Overflow.WRAP), x), y])
    with pytest.raises(UnsupportedError, match="give every output a layer of its own"):
        lower(graph, tmp_path / "project", backend="Quartus")


def test_a_symmetric_range_of_the_same_format_still_clips(tmp_path):
    builder = GraphBuilder()
    x = builder.add(Relu(), builder.add(Input((2,), Formats.of(1, 3, 0))))
    y = builder.add(Multiply(), x, builder.add(Constant.of([-1.0, 1.0])))
    y = builder.add(Contract("bi,io->bo"), y, builder.add(Constant.of([[1.0, 0.0], [0.0, -1.0]])))
    y = builder.add(Quantize(Formats.of(1, 3, 0), Round.TRN, Overflow.WRAP), y)
    y = builder.add(Quantize(Formats.of(1, 3, 0), Round.TRN, Overflow.SAT_SYM), y)
    graph = builder.build([y])
    legal = legalize(graph, plain=True).graph
    assert [node.op.overflow for node in legal if isinstance(node.op, Quantize)] == [Overflow.SAT_SYM]
