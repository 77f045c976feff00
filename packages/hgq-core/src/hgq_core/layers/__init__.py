"""Layers, each declared once: what it computes, costs and is in the Graph are readings of its declaration."""

from hgq_core.layers.activation import (
    NAMED,
    WITHOUT_NODES,
    Activation,
    Exact,
    Rectifier,
    limits,
    rectifier,
    unfit,
    written,
)
from hgq_core.layers.attention import MultiHeadAttention, unless_asked
from hgq_core.layers.axes import inner_axis
from hgq_core.layers.cells import Cell, GRUCell, LSTMCell, SimpleRNNCell
from hgq_core.layers.counting import Bits, CountedSlots, output_bits
from hgq_core.layers.depthwise import DepthwiseConvolution, SeparableConvolution
from hgq_core.layers.einsum import ShapedEinsum
from hgq_core.layers.emit import Emit, Exported, ExportedSlots, append_quantizer
from hgq_core.layers.fixed_table import FixedTable, between_entries
from hgq_core.layers.functions import Exponential, FrameworkFunction, Reciprocal
from hgq_core.layers.fuse import Fuse, check_fused, fused_inputs
from hgq_core.layers.fused_norm import BatchNormDense, FoldedNorm
from hgq_core.layers.instances import check_factor, instances_in, parallel_share
from hgq_core.layers.layer import Layered, input_slots
from hgq_core.layers.layer_norm import LayerNormalization
from hgq_core.layers.layout import ChannelsFirst
from hgq_core.layers.linear import Convolution, Dense, EinsumDense
from hgq_core.layers.linformer import SequenceProjection
from hgq_core.layers.lookup import UnaryFunction
from hgq_core.layers.merge import Average, Contraction, Dot, Joined, Matmul, Merge, check_equation
from hgq_core.layers.norm import BatchNormalization
from hgq_core.layers.of_graph import GraphLayer, of_graph
from hgq_core.layers.pooling import GlobalPooling, Pooling
from hgq_core.layers.program import Declaration, Program, Value
from hgq_core.layers.readings import Reading, Slots, Values, WeightSlots, constants_of, weight_of
from hgq_core.layers.recorded import Recorded
from hgq_core.layers.recurrent import OneStep, Recurrent, StackedRecurrent
from hgq_core.layers.reduce import Mean, Sum, check_scale
from hgq_core.layers.softmax import Softmax, softmax_table
from hgq_core.layers.spiking import ArcTangent, SpikingCell
from hgq_core.layers.steps import QuantizerSlot, WeightSlot, attribute_of
from hgq_core.layers.table_conv import TableConvolution
from hgq_core.layers.table_dense import EdgeNetwork, TableDense, TableEinsum
from hgq_core.layers.tracing import Trace, Traceable, trace
from hgq_core.layers.transposed import TransposedConvolution

__all__ = [
    "NAMED",
    "WITHOUT_NODES",
    "Activation",
    "ArcTangent",
    "Average",
    "BatchNormDense",
    "BatchNormalization",
    "Bits",
    "Cell",
    "ChannelsFirst",
    "Contraction",
    "Convolution",
    "CountedSlots",
    "Declaration",
    "Dense",
    "DepthwiseConvolution",
    "Dot",
    "EdgeNetwork",
    "EinsumDense",
    "Emit",
    "Exact",
    "Exponential",
    "Exported",
    "ExportedSlots",
    "FixedTable",
    "FoldedNorm",
    "FrameworkFunction",
    "Fuse",
    "GRUCell",
    "GlobalPooling",
    "GraphLayer",
    "Joined",
    "LSTMCell",
    "LayerNormalization",
    "Layered",
    "Matmul",
    "Mean",
    "Merge",
    "MultiHeadAttention",
    "OneStep",
    "Pooling",
    "Program",
    "QuantizerSlot",
    "Reading",
    "Reciprocal",
    "Recorded",
    "Rectifier",
    "Recurrent",
    "SeparableConvolution",
    "SequenceProjection",
    "ShapedEinsum",
    "SimpleRNNCell",
    "Slots",
    "Softmax",
    "SpikingCell",
    "StackedRecurrent",
    "Sum",
    "TableConvolution",
    "TableDense",
    "TableEinsum",
    "Trace",
    "Traceable",
    "TransposedConvolution",
    "UnaryFunction",
    "Value",
    "Values",
    "WeightSlot",
    "WeightSlots",
    "append_quantizer",
    "attribute_of",
    "between_entries",
    "check_equation",
    "check_factor",
    "check_fused",
    "check_scale",
    "constants_of",
    "fused_inputs",
    "inner_axis",
    "input_slots",
    "instances_in",
    "limits",
    "of_graph",
    "output_bits",
    "parallel_share",
    "rectifier",
    "softmax_table",
    "trace",
    "unfit",
    "unless_asked",
    "weight_of",
    "written",
]
