"""Multiplexers of da4ml 0.6.0: mends one disagreement about them, and refuses those that it cannot build.

A multiplexer selects by the highest bit of a key. For an unsigned key of three bits or more the emulator tests
``key > 2**(width - 2)`` instead, while Verilog, VHDL and the Python evaluation test the bit. Here such a key is cut
down to the one bit that counts, which is only wiring, and all of them agree.
"""

from __future__ import annotations

from typing import Any

from da4ml.types import CombLogic, Op, Pipeline, QInterval, minimal_kif

from hgq_core.errors import UnsupportedError

__all__ = ["one_bit_keys", "one_bit_keys_of_pipeline", "require_aligned_choices"]

_MUX = 6
_WRAP = 3
_KEY = 0xFFFFFFFF


def one_bit_keys(logic: Any) -> Any:
    """The same logic, in which every unsigned key of a multiplexer has one bit."""
    moved: dict[int, int] = {}
    bits: dict[int, int] = {}
    ops: list[Any] = []
    for position, op in enumerate(logic.ops):
        if op.opcode == -1:
            moved[position] = len(ops)
            ops.append(op)
            continue
        id0, id1 = (moved.get(operand, operand) for operand in (op.id0, op.id1))
        data = op.data
        if abs(op.opcode) == _MUX:
            key = data & _KEY
            kept = _bit(logic.ops[key], moved[key])
            if kept is not None and key not in bits:
                bits[key] = len(ops)
                ops.append(kept)
            data = (data & ~_KEY) | bits.get(key, moved[key])
        moved[position] = len(ops)
        ops.append(Op(id0, id1, op.opcode, data, op.qint, op.latency, op.cost))
    outputs = [moved.get(position, position) for position in logic.out_idxs]
    return CombLogic(
        logic.shape,
        logic.inp_shifts,
        outputs,
        logic.out_shifts,
        logic.out_negs,
        ops,
        logic.carry_size,
        logic.adder_size,
        logic.lookup_tables or None,  # an empty tuple, which a stage without tables gets, cannot be emulated
    )


def one_bit_keys_of_pipeline(pipeline: Any) -> Any:
    """`one_bit_keys` in every stage."""
    return Pipeline(tuple(one_bit_keys(stage) for stage in pipeline.solutions))


def require_aligned_choices(logic: Any) -> None:
    """Raise UnsupportedError for a multiplexer that no back end of da4ml can build.

    The result has the step of one operand and the other one is shifted to the left. da4ml gets the steps of very large
    constants wrong, so that both would have to be shifted, or one to the right.
    """
    for position, op in enumerate(logic.ops):
        if abs(op.opcode) != _MUX:
            continue
        first, second = (logic.ops[operand].qint for operand in (op.id0, op.id1))
        fraction = minimal_kif(op.qint).fractional
        moved = (op.data >> 32) & _KEY
        moved -= (moved >> 31) << 32
        shifts = [fraction - minimal_kif(first).fractional, fraction - minimal_kif(second).fractional + moved]
        right = any(shift < 0 and any(qint[:2]) for shift, qint in zip(shifts, (first, second), strict=True))
        if right or all(shifts):
            message = (
                f"operation {position} of the logic chooses between {tuple(first)} and {tuple(second)} (lowest, "
                "highest, step), whose steps da4ml cannot align; quantize to a format with more fraction bits "
                "(f of at least -31), or to fewer bits"
            )
            raise UnsupportedError(message)


def _bit(key: Any, position: int) -> Any:
    """The operation that keeps the highest bit of an unsigned key; None if there is nothing to cut."""
    k, i, f = minimal_kif(key.qint)
    if k or i + f < 2:
        return None
    weight = 2.0 ** (i - 1)
    return Op(position, -1, _WRAP, 0, QInterval(0.0, weight, weight), key.latency, 0.0)
