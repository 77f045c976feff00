"""Layers whose bit-widths are trained: quantizers around one declared operation."""

from hgq_torch.nn._adaptive import (
    QAdaptiveAvgPool1d,
    QAdaptiveAvgPool2d,
    QAdaptiveAvgPool3d,
    QAdaptiveMaxPool1d,
    QAdaptiveMaxPool2d,
    QAdaptiveMaxPool3d,
)
from hgq_torch.nn._attention import QMultiheadAttention
from hgq_torch.nn._base import QModule
from hgq_torch.nn._cells import QGRUCell, QLSTMCell, QRNNCell
from hgq_torch.nn._conv import QConv1d, QConv2d, QConv3d
from hgq_torch.nn._conv_norm import QConv1dBatchNorm, QConv2dBatchNorm, QConv3dBatchNorm
from hgq_torch.nn._einsum import QEinsumDense
from hgq_torch.nn._fused_norm import QBatchNormLinear, QEinsumDenseBatchNorm, QLinearBatchNorm
from hgq_torch.nn._layer_norm import QLayerNorm, QRMSNorm
from hgq_torch.nn._linear import QLinear
from hgq_torch.nn._lookup import QLUT
from hgq_torch.nn._merge import QAdd, QAverage, QCat, QMaximum, QMinimum, QMul, QSub
from hgq_torch.nn._norm import QBatchNorm1d, QBatchNorm2d, QBatchNorm3d
from hgq_torch.nn._pooling import QAvgPool1d, QAvgPool2d, QAvgPool3d, QMaxPool1d, QMaxPool2d, QMaxPool3d
from hgq_torch.nn._products import QDot, QEinsum, QMatmul
from hgq_torch.nn._recurrent import QGRU, QLSTM, QRNN
from hgq_torch.nn._reduce import QMean, QSum
from hgq_torch.nn._softmax import QSoftmax
from hgq_torch.nn._spiking import QLIF, QLIFCell
from hgq_torch.nn._table import QEinsumDenseT, QLinearT
from hgq_torch.nn._table_attention import QMultiheadAttentionT
from hgq_torch.nn._table_conv import QConvT1d, QConvT2d
from hgq_torch.nn._transposed import QConvTranspose1d, QConvTranspose2d, QConvTranspose3d

__all__ = [
    "QGRU",
    "QLIF",
    "QLSTM",
    "QLUT",
    "QRNN",
    "QAdaptiveAvgPool1d",
    "QAdaptiveAvgPool2d",
    "QAdaptiveAvgPool3d",
    "QAdaptiveMaxPool1d",
    "QAdaptiveMaxPool2d",
    "QAdaptiveMaxPool3d",
    "QAdd",
    "QAverage",
    "QAvgPool1d",
    "QAvgPool2d",
    "QAvgPool3d",
    "QBatchNorm1d",
    "QBatchNorm2d",
    "QBatchNorm3d",
    "QBatchNormLinear",
    "QCat",
    "QConv1d",
    "QConv1dBatchNorm",
    "QConv2d",
    "QConv2dBatchNorm",
    "QConv3d",
    "QConv3dBatchNorm",
    "QConvT1d",
    "QConvT2d",
    "QConvTranspose1d",
    "QConvTranspose2d",
    "QConvTranspose3d",
    "QDot",
    "QEinsum",
    "QEinsumDense",
    "QEinsumDenseBatchNorm",
    "QEinsumDenseT",
    "QGRUCell",
    "QLIFCell",
    "QLSTMCell",
    "QLayerNorm",
    "QLinear",
    "QLinearBatchNorm",
    "QLinearT",
    "QMatmul",
    "QMaxPool1d",
    "QMaxPool2d",
    "QMaxPool3d",
    "QMaximum",
    "QMean",
    "QMinimum",
    "QModule",
    "QMul",
    "QMultiheadAttention",
    "QMultiheadAttentionT",
    "QRMSNorm",
    "QRNNCell",
    "QSoftmax",
    "QSub",
    "QSum",
]
