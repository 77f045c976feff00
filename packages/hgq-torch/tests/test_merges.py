"""Layers of several tensors, and sums, beside PyTorch's own functions; and what is refused."""

import pytest
import torch

from hgq_core.errors import ConfigError, ShapeError
from hgq_torch import Quantizer
from hgq_torch import nn as qnn

FINE = {"spec": "kif", "f0": 20, "i0": 6, "overflow_mode": "SAT", "fc": None, "ic": None}


@pytest.fixture
def draw():
    """Numbers of few bits, whose sums and products float32 holds."""
    generator = torch.Generator().manual_seed(5)
    return lambda *shape: torch.randint(-32, 33, shape, generator=generator) / 16


BESIDE = {
    "add": (lambda: qnn.QAdd(3, iq=FINE), lambda x, y, z: x + y + z, [(4, 3)] * 3),
    "sub": (lambda: qnn.QSub(iq=FINE), torch.sub, [(4, 3), (4, 1)]),
    "mul": (lambda: qnn.QMul(3, iq=FINE), lambda x, y, z: x * y * z, [(4, 3)] * 3),
    "maximum": (lambda: qnn.QMaximum(iq=FINE), torch.maximum, [(4, 3)] * 2),
    "minimum": (lambda: qnn.QMinimum(iq=FINE), torch.minimum, [(4, 3)] * 2),
    "average": (lambda: qnn.QAverage(4, iq=FINE), lambda *xs: torch.stack(xs).mean(0), [(3,)] * 4),
    "cat": (lambda: qnn.QCat(dim=1, iq=FINE), lambda *xs: torch.cat(xs, 1), [(4, 3), (2, 3)]),
    "cat-last": (lambda: qnn.QCat(3, iq=FINE), lambda *xs: torch.cat(xs, -1), [(4, 3), (4, 1), (4, 2)]),
    "sum": (lambda: qnn.QSum(iq=FINE), lambda x: x.sum(-1), [(4, 3)]),
    "sum-kept": (lambda: qnn.QSum((1, -1), True, iq=FINE), lambda x: x.sum((1, -1), True), [(4, 3, 2)]),
    "sum-scaled": (lambda: qnn.QSum(1, scale=0.125, iq=FINE), lambda x: x.sum(1) / 8, [(4, 3)]),
    "mean": (lambda: qnn.QMean((1, 2), iq=FINE), lambda x: x.mean((1, 2)), [(4, 2, 3)]),
    "matmul": (lambda: qnn.QMatmul(iq=FINE), torch.matmul, [(2, 4, 3), (2, 3, 5)]),
    "dot": (lambda: qnn.QDot(iq=FINE), lambda x, y: (x * y).sum(-1, keepdim=True), [(4,), (4,)]),
    "dot-matrices": (lambda: qnn.QDot((2, 1), iq=FINE), torch.bmm, [(2, 4), (4, 3)]),
    "sum-from-both-ends": (lambda: qnn.QSum((1, -1), iq=FINE), lambda x: x.sum((1, -1)), [(4, 2, 3)]),
    "einsum": (
        lambda: qnn.QEinsum("bqhd,bkhd->bhqk", iq=FINE),
        lambda x, y: torch.einsum("bqhd,bkhd->bhqk", x, y),
        [(3, 2, 4), (5, 2, 4)],
    ),
    "einsum-ellipsis": (
        lambda: qnn.QEinsum("...ij, ...jk -> ...ik", iq=FINE),
        lambda x, y: torch.einsum("...ij,...jk->...ik", x, y),
        [(2, 3), (3, 4)],
    ),
}


@pytest.mark.parametrize("name", BESIDE)
def test_with_wide_formats_it_is_the_function_of_pytorch(name, draw):
    make, function, shapes = BESIDE[name]
    xs = [draw(6, *shape) for shape in shapes]
    layer = make().eval()
    assert torch.equal(layer(*xs), function(*xs))


def test_the_gradient_is_that_of_pytorch(draw):
    for make, function, shapes in BESIDE.values():
        ours, theirs = ([draw(6, *shape).requires_grad_() for shape in shapes] for _ in range(2))
        with torch.no_grad():
            for a, b in zip(ours, theirs, strict=True):
                b.copy_(a)
        make()(*ours).square().sum().backward()
        function(*theirs).square().sum().backward()
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a.grad, b.grad)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: qnn.QMul(1), "number: received 1, expected two tensors or more"),
        (lambda: qnn.QMaximum(True), "number: received True"),
        (lambda: qnn.QCat(number=1), "expected two tensors or more"),
        (lambda: qnn.QCat(dim=0), "dim: received .* and not the batch axis, 0"),
        (lambda: qnn.QSum(0), "dim: received 0, expected axes of the data, and not the batch axis, 0"),
        (lambda: qnn.QSum(None), "dim: received None"),
        (lambda: qnn.QSum((1, 1)), r"QSum\(dim=\(1, 1\)\): axes: received \(0, 0\), expected different axes"),
        (lambda: qnn.QSum(scale=0.3), "scale: received 0.3, expected a power of two"),
        (lambda: qnn.QMean(()), r"dim: received \(\)"),
        (lambda: qnn.QEinsum("ij,jk->ik"), r"QEinsum\('ij,jk->ik'\): .*expected the batch axis"),
        (lambda: qnn.QEinsum("bi->b"), r"QEinsum\('bi->b'\): einsum equation: .*expected two operands"),
        (lambda: qnn.QEinsum("...i,...i,...i->...i"), "expected two operands"),
        (lambda: qnn.QDot((1, 2, 3)), r"dims: received \(1, 2, 3\), expected an axis, or one for each"),
        (lambda: qnn.QDot(0), "not the batch axis, 0"),
        (lambda: qnn.QEinsum(3), "equation: received 3, expected a string"),
        (lambda: qnn.QSub(iq=Quantizer("kif", shape=(None, 4))), "one Quantizer for several inputs"),
    ],
)
def test_bad_options_are_refused(make, said):
    with pytest.raises((ConfigError, ShapeError), match=said):
        make()


@pytest.mark.parametrize(
    ("make", "shapes", "said"),
    [
        (qnn.QSub, [(2, 3), (2, 4)], r"QSub: shapes \[\(3,\), \(4,\)\] do not broadcast together"),
        (lambda: qnn.QSum(2), [(2, 3)], r"QSum\(dim=\(2,\)\): dim: received 2, expected an axis of data with 2 axes"),
        (lambda: qnn.QMean(-2), [(2, 3)], "QMean.*not the batch axis"),
        (qnn.QCat, [(2, 3), (2, 3, 4)], "QCat: .*differ in another axis"),
        (qnn.QMatmul, [(2, 3, 4), (2, 3, 4)], r"QMatmul: .*expected \(..., n, m\)"),
        (lambda: qnn.QEinsum("bi,bi->b"), [(2, 3), (2, 4)], "'i' is 3 in one operand and 4 in the other"),
        (qnn.QMul, [(2, 3)] * 3, None),
    ],
)
def test_data_that_do_not_fit_are_refused(make, shapes, said):
    layer = make()
    if said is None:
        layer(*(torch.zeros(shape) for shape in shapes[:2]))
        said = r"QMul: received \(2, 3\), \(2, 3\), \(2, 3\), expected"
    with pytest.raises((ConfigError, ShapeError), match=said):
        layer(*(torch.zeros(shape) for shape in shapes))


def test_they_say_what_they_are():
    assert repr(qnn.QSum((1, 2), True, 0.5)).startswith("QSum(\n  dim=(1, 2), keepdim=True")
    assert repr(qnn.QMean(1)).startswith("QMean(\n  dim=(1,), keepdim=False\n")
    assert repr(qnn.QEinsum("bi,bi->b")).startswith("QEinsum(\n  'bi,bi->b'\n")
    assert repr(qnn.QCat(3, 1)).startswith("QCat(\n  3, dim=1\n")
    assert repr(qnn.QMul(3)).startswith("QMul(\n  3\n")
