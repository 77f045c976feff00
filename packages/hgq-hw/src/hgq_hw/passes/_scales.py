"""Folds per-channel constants into the kernels next to them; a batch normalisation is such a pair of constants."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hgq_core.graph.ops import Add, Constant, Contract, Convolve, Multiply, Reshape, Transpose
from hgq_hw.passes._rewrite import constant_of, rewrite

if TYPE_CHECKING:
    from hgq_core.graph import Graph, Node
    from hgq_hw.passes._rewrite import Editor

__all__ = ["fold_scales"]


def fold_scales(graph: Graph) -> Graph:
    """Fold ``(K x + b) * c`` into ``(K c) x + b c`` and ``K (x * c)`` into ``(K c) x``, K a constant kernel.

    Only where nothing else reads the tensors between, no quantizer lies between, and the folded numbers are exact.
    Expects `fold_constants` before it, which puts constant operands second.
    """
    return rewrite(graph, _rule)


def _rule(editor: Editor, node: Node) -> bool:
    if isinstance(node.op, Multiply) and len(node.inputs) == 2:
        scale = editor.constant(node.inputs[1])
        return scale is not None and editor.constant(node.inputs[0]) is None and _after(editor, node, scale)
    if isinstance(node.op, Contract | Convolve):
        return _before(editor, node)
    return False


def _after(editor: Editor, node: Node, scale: Any) -> bool:
    """``Multiply(Add(y, b), c)`` and ``Multiply(Contract(x, K), c)``."""
    inner = editor[node.inputs[0]]
    if not editor.private(inner.name) or inner.shape != node.shape:
        return False
    if isinstance(inner.op, Add) and len(inner.inputs) == 2:
        offset = editor.constant(inner.inputs[1])
        if (
            offset is None
            or editor[inner.inputs[0]].shape != node.shape
            or not _reaches_kernel(editor, inner.inputs[0])
        ):
            return False
        scaled = constant_of(offset * scale)
        if scaled is None:
            return False
        product = editor.helper(node, Multiply(), inner.inputs[0], node.inputs[1], suffix="scaled")
        editor.keep(node, Add(), (product, editor.helper(node, scaled, suffix="offset")))
        return True
    if not isinstance(inner.op, Contract | Convolve):
        return False
    data, kernel = _operands(editor, inner)
    if kernel is None:
        return False
    factor = _output_factor(inner, kernel, np.broadcast_to(scale, node.shape))
    folded = None if factor is None else constant_of(editor.constant(kernel) * factor)
    if folded is None:
        return False
    name = editor.helper(node, folded, suffix="kernel")
    editor.keep(node, inner.op, tuple(name if operand == kernel else data for operand in inner.inputs))
    return True


def _reaches_kernel(editor: Editor, name: str) -> bool:
    """Whether pushing a scale below a sum gets it anywhere: a kernel, or another sum with a constant."""
    node = editor[name]
    return editor.private(name) and isinstance(node.op, Contract | Convolve) and _operands(editor, node)[1] is not None


def _operands(editor: Editor, node: Node) -> tuple[str, str | None]:
    """The data operand and the constant kernel, None if both are data."""
    first, second = node.inputs
    if isinstance(editor[second].op, Constant):
        return first, second
    if isinstance(editor[first].op, Constant):
        return second, first
    return first, None


def _output_factor(node: Node, kernel: str, scale: Any) -> Any:
    """What to multiply the kernel with so that the output is scaled; None if the scale varies along an axis of data
    alone.
    """
    if isinstance(node.op, Convolve):
        return _uniform(scale, range(scale.ndim - 1))
    if not isinstance(node.op, Contract):
        return None
    terms = node.op.terms
    return _aligned(scale, terms[2][1:], terms[node.inputs.index(kernel)])


def _before(editor: Editor, node: Node) -> bool:
    """``Contract(Multiply(x, c), K)``, possibly with a reshape or transpose between."""
    data, kernel = _operands(editor, node)
    if kernel is None:
        return False
    path: list[Node] = []
    source = editor[data]
    while isinstance(source.op, Reshape | Transpose) and editor.private(source.name):
        path.append(source)
        source = editor[source.inputs[0]]
    if not isinstance(source.op, Multiply) or len(source.inputs) != 2 or not editor.private(source.name):
        return False
    scale, unscaled = editor.constant(source.inputs[1]), editor[source.inputs[0]]
    if scale is None or unscaled.shape != source.shape or isinstance(unscaled.op, Constant):
        return False
    scale = np.broadcast_to(scale, source.shape)
    for move in reversed(path):
        scale = scale.reshape(move.shape) if isinstance(move.op, Reshape) else scale.transpose(_axes(move))
    factor = _input_factor(node, kernel, scale)
    folded = None if factor is None else constant_of(editor.constant(kernel) * factor)
    if folded is None:
        return False
    moved = unscaled.name
    for move in reversed(path):
        moved = editor.helper(node, move.op, moved, suffix="moved")
    name = editor.helper(node, folded, suffix="kernel")
    editor.keep(node, inputs=tuple(name if operand == kernel else moved for operand in node.inputs))
    return True


def _axes(move: Node) -> tuple[int, ...]:
    return move.op.axes if isinstance(move.op, Transpose) else ()


def _input_factor(node: Node, kernel: str, scale: Any) -> Any:
    if isinstance(node.op, Convolve):
        channel = _uniform(scale, range(scale.ndim - 1))
        # Groups share no input channels: a kernel entry serves several, so that one scale cannot.
        return None if channel is None or node.op.groups != 1 else channel[:, None]
    if not isinstance(node.op, Contract):
        return None
    position = node.inputs.index(kernel)
    return _aligned(scale, node.op.terms[1 - position][1:], node.op.terms[position])


def _uniform(scale: Any, axes: Any) -> Any:
    """The scale without ``axes``, along which it must not vary; None if it does."""
    for _ in axes:
        if not np.all(scale == scale[:1]):
            return None
        scale = scale[0]
    return scale


def _aligned(scale: Any, letters: str, kernel: str) -> Any:
    """The scale, whose axes are ``letters``, broadcast against the kernel's axes; None if it varies along another
    axis.
    """
    for position, letter in enumerate(letters):
        if letter not in kernel:
            first = np.take(scale, [0], axis=position)
            if not np.all(scale == first):
                return None
            scale = first
    kept = [letter for letter in letters if letter in kernel]
    scale = scale.reshape([n for n, letter in zip(scale.shape, letters, strict=True) if letter in kernel])
    scale = scale.transpose([kept.index(letter) for letter in kernel if letter in kept])
    shape = iter(scale.shape)
    return scale.reshape([next(shape) if letter in kept else 1 for letter in kernel])
