"""Products of matrices and einsums of two operands as one contraction of the Graph."""

from __future__ import annotations

from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.errors import UnsupportedError
from hgq_core.graph import ops as op
from hgq_core.linear import Contract
from hgq_keras._operands import finite

if TYPE_CHECKING:
    from hgq_core.graph.emit import Emitter

__all__ = ["dot_layer", "emit_contraction"]


def emit_contraction(kind: str, operation: Any, operands: list[Any], emitter: Emitter) -> str:
    """Append Matmul, Dot, Tensordot or Einsum of two operands, of which one may be constant.

    Args:
        kind: name of the operation's class.
        operation: the operation.
        operands: edges, and arrays for what is constant.
        emitter: of the layer.

    Raises:
        UnsupportedError: an equation that mixes the rows of a batch, or more than a Contract of the Graph can say.
    """
    ranks = [len(emitter.shape(x)) + 1 if isinstance(x, str) else x.ndim for x in operands]
    config = operation.get_config()
    if kind == "Einsum":
        equation = _explicit(config["subscripts"], ranks, emitter.label)
    elif kind == "Matmul":
        equation = _matmul(*ranks)
    else:
        equation = _tensordot(ranks, config["axes"] if kind == "Tensordot" else [-1, -min(ranks[1], 2)])
    return contracted(equation, operands, emitter)


def contracted(equation: str, operands: list[Any], emitter: Emitter) -> str:
    """Append the contraction of this equation, data first."""
    terms, _, output = equation.partition("->")
    pairs = sorted(zip(terms.split(","), operands, strict=False), key=lambda pair: not isinstance(pair[1], str))
    data = [term for term, x in pairs if isinstance(x, str)]
    simple = len(pairs) == 2 and all(len(set(term)) == len(term) for term in (*terms.split(","), output))
    batch = data[0][:1] if data else ""
    first = simple and all(term[:1] == batch for term in (*data, output))
    inside = any(batch in term for term, x in pairs if not isinstance(x, str))
    if not batch or not first or inside:
        message = (
            f"layer {emitter.label!r} is the product {equation!r}; expected one of two operands whose batch axis comes "
            "first in every tensor and in the result, and is not in a constant, such as 'bij,bjk->bik': move the axes "
            "with keras.ops.transpose, or multiply step by step"
        )
        raise UnsupportedError(message)
    names = [
        x if isinstance(x, str) else emitter.constant(finite(x, emitter.label).astype(np.float32), None, "constant")
        for _, x in pairs
    ]
    return emitter.add(Contract(f"{','.join(term for term, _ in pairs)}->{output}"), *names)


def _explicit(equation: str, ranks: list[int], label: str) -> str:
    """The equation with a letter for each axis: an ellipsis stands for the same axes everywhere."""
    equation = equation.replace(" ", "")
    inputs, arrow, output = equation.partition("->")
    terms = inputs.split(",")
    if len(terms) != len(ranks):
        message = (
            f"layer {label!r}: einsum {equation!r} has {len(terms)} operand(s), expected two; multiply step by step"
        )
        raise UnsupportedError(message)
    if not arrow:
        letters = inputs.replace(",", "").replace("...", "")
        output = ("..." if "..." in inputs else "") + "".join(sorted(c for c in letters if letters.count(c) == 1))
    more = [
        rank - len(term.replace("...", "")) if "..." in term else 0 for term, rank in zip(terms, ranks, strict=True)
    ]
    free = [c for c in ascii_lowercase if c not in equation.lower()]
    spread = "".join(free[: max(more)])
    widened = [term.replace("...", spread[len(spread) - n :]) for term, n in zip(terms, more, strict=True)]
    return f"{','.join(widened)}->{output.replace('...', spread)}"


def _matmul(first: int, second: int) -> str:
    """As numpy.matmul: the last axis of one with the last but one of the other, the axes before them in common."""
    common = ascii_lowercase[: max(first, second, 2) - 2]
    a = common[len(common) - max(first - 2, 0) :] + ("xz" if first > 1 else "z")
    b = common[len(common) - max(second - 2, 0) :] + ("zy" if second > 1 else "z")
    return f"{a},{b}->{common}{'x' * (first > 1)}{'y' * (second > 1)}"


def _tensordot(ranks: list[int], axes: Any) -> str:
    """As numpy.tensordot: ``axes`` of the first with those of the second, or the last n with the first n."""
    first, second = ascii_lowercase[: ranks[0]], ascii_lowercase[13 : 13 + ranks[1]]
    if isinstance(axes, int):
        pairs = list(zip(range(ranks[0] - axes, ranks[0]), range(axes), strict=True))
    else:
        pairs = list(zip(*(np.atleast_1d(a).tolist() for a in axes), strict=True))
    for a, b in pairs:
        second = second.replace(second[b % ranks[1]], first[a % ranks[0]])
    output = "".join(c for c in first + second if (first + second).count(c) == 1)
    return f"{first},{second}->{output}"


def dot_layer(layer: Any, operands: list[str], emitter: Emitter) -> str:
    """Append keras.layers.Dot: for each row the contraction of one axis of each tensor."""
    ranks = [len(emitter.shape(x)) + 1 for x in operands]
    axes = [layer.axes] * 2 if isinstance(layer.axes, int) else list(layer.axes)
    terms = ["b" + ascii_lowercase[2 + 8 * n :][: rank - 1] for n, rank in enumerate(ranks)]
    terms = [term[: a % r] + "z" + term[a % r + 1 :] for term, a, r in zip(terms, axes, ranks, strict=True)]
    kept = "".join(c for c in terms[0][1:] + terms[1][1:] if c != "z")
    y = contracted(f"{','.join(terms)}->b{kept}", list(operands), emitter)
    return y if kept else emitter.add(op.Reshape((1,)), y)
