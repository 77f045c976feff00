"""Every layer under both of its names, `QDense` and `Dense`; everything lives in hgq_keras."""

from hgq_keras._quantizer import Quantizer
from hgq_keras.layers import (
    QGRU,
    QLIF,
    QLSTM,
    QAdd,
    QAffinedUnaryFunctionLUT,
    QAveragePooling1D,
    QAveragePooling2D,
    QAveragePooling3D,
    QAveragePow2,
    QBatchNormalization,
    QBatchNormDense,
    QConcatenate,
    QConv1D,
    QConv1DBatchNorm,
    QConv1DTranspose,
    QConv2D,
    QConv2DBatchNorm,
    QConv2DTranspose,
    QConv3D,
    QConv3DBatchNorm,
    QConv3DTranspose,
    QConvT1D,
    QConvT2D,
    QDense,
    QDenseT,
    QDepthwiseConv1D,
    QDepthwiseConv2D,
    QDot,
    QEinsum,
    QEinsumDense,
    QEinsumDenseBatchnorm,
    QEinsumDenseT,
    QGlobalAveragePooling1D,
    QGlobalAveragePooling2D,
    QGlobalAveragePooling3D,
    QGlobalMaxPooling1D,
    QGlobalMaxPooling2D,
    QGlobalMaxPooling3D,
    QGRUCell,
    QLayer,
    QLayerNormalization,
    QLIFCell,
    QLinformerAttention,
    QLinformerAttentionT,
    QLSTMCell,
    QMaximum,
    QMaxPooling1D,
    QMaxPooling2D,
    QMaxPooling3D,
    QMeanPow2,
    QMinimum,
    QMultiHeadAttention,
    QMultiHeadAttentionT,
    QMultiply,
    QRMSNormalization,
    QSeparableConv1D,
    QSeparableConv2D,
    QSimpleRNN,
    QSimpleRNNCell,
    QSimpleSNN,
    QSimpleSNNCell,
    QSoftmax,
    QSubtract,
    QSum,
    QUnaryFunctionLUT,
)
from hgq_keras.layers import QGRU as GRU
from hgq_keras.layers import QLIF as LIF
from hgq_keras.layers import QLSTM as LSTM
from hgq_keras.layers import QAdd as Add
from hgq_keras.layers import QAffinedUnaryFunctionLUT as AffinedUnaryFunctionLUT
from hgq_keras.layers import QAveragePooling1D as AveragePooling1D
from hgq_keras.layers import QAveragePooling1D as AvgPool1D
from hgq_keras.layers import QAveragePooling1D as QAvgPool1D
from hgq_keras.layers import QAveragePooling2D as AveragePooling2D
from hgq_keras.layers import QAveragePooling2D as AvgPool2D
from hgq_keras.layers import QAveragePooling2D as QAvgPool2D
from hgq_keras.layers import QAveragePooling3D as AveragePooling3D
from hgq_keras.layers import QAveragePooling3D as AvgPool3D
from hgq_keras.layers import QAveragePooling3D as QAvgPool3D
from hgq_keras.layers import QAveragePow2 as AveragePow2
from hgq_keras.layers import QBatchNormalization as BatchNormalization
from hgq_keras.layers import QBatchNormDense as BatchNormDense
from hgq_keras.layers import QConcatenate as Concatenate
from hgq_keras.layers import QConv1D as Conv1D
from hgq_keras.layers import QConv1DBatchNorm as Conv1DBatchNorm
from hgq_keras.layers import QConv1DTranspose as Conv1DTranspose
from hgq_keras.layers import QConv2D as Conv2D
from hgq_keras.layers import QConv2DBatchNorm as Conv2DBatchNorm
from hgq_keras.layers import QConv2DTranspose as Conv2DTranspose
from hgq_keras.layers import QConv3D as Conv3D
from hgq_keras.layers import QConv3DBatchNorm as Conv3DBatchNorm
from hgq_keras.layers import QConv3DTranspose as Conv3DTranspose
from hgq_keras.layers import QConvT1D as ConvT1D
from hgq_keras.layers import QConvT2D as ConvT2D
from hgq_keras.layers import QDense as Dense
from hgq_keras.layers import QDenseT as DenseT
from hgq_keras.layers import QDepthwiseConv1D as DepthwiseConv1D
from hgq_keras.layers import QDepthwiseConv2D as DepthwiseConv2D
from hgq_keras.layers import QDot as Dot
from hgq_keras.layers import QEinsum as Einsum
from hgq_keras.layers import QEinsumDense as EinsumDense
from hgq_keras.layers import QEinsumDenseBatchnorm as EinsumDenseBatchnorm
from hgq_keras.layers import QEinsumDenseT as EinsumDenseT
from hgq_keras.layers import QGlobalAveragePooling1D as GlobalAveragePooling1D
from hgq_keras.layers import QGlobalAveragePooling1D as GlobalAvgPool1D
from hgq_keras.layers import QGlobalAveragePooling1D as QGlobalAvgPool1D
from hgq_keras.layers import QGlobalAveragePooling2D as GlobalAveragePooling2D
from hgq_keras.layers import QGlobalAveragePooling2D as GlobalAvgPool2D
from hgq_keras.layers import QGlobalAveragePooling2D as QGlobalAvgPool2D
from hgq_keras.layers import QGlobalAveragePooling3D as GlobalAveragePooling3D
from hgq_keras.layers import QGlobalAveragePooling3D as GlobalAvgPool3D
from hgq_keras.layers import QGlobalAveragePooling3D as QGlobalAvgPool3D
from hgq_keras.layers import QGlobalMaxPooling1D as GlobalMaxPool1D
from hgq_keras.layers import QGlobalMaxPooling1D as GlobalMaxPooling1D
from hgq_keras.layers import QGlobalMaxPooling1D as QGlobalMaxPool1D
from hgq_keras.layers import QGlobalMaxPooling2D as GlobalMaxPool2D
from hgq_keras.layers import QGlobalMaxPooling2D as GlobalMaxPooling2D
from hgq_keras.layers import QGlobalMaxPooling2D as QGlobalMaxPool2D
from hgq_keras.layers import QGlobalMaxPooling3D as GlobalMaxPool3D
from hgq_keras.layers import QGlobalMaxPooling3D as GlobalMaxPooling3D
from hgq_keras.layers import QGlobalMaxPooling3D as QGlobalMaxPool3D
from hgq_keras.layers import QGRUCell as GRUCell
from hgq_keras.layers import QLayerNormalization as LayerNormalization
from hgq_keras.layers import QLIFCell as LIFCell
from hgq_keras.layers import QLinformerAttention as LinformerAttention
from hgq_keras.layers import QLinformerAttentionT as LinformerAttentionT
from hgq_keras.layers import QLSTMCell as LSTMCell
from hgq_keras.layers import QMaximum as Maximum
from hgq_keras.layers import QMaxPooling1D as MaxPool1D
from hgq_keras.layers import QMaxPooling1D as MaxPooling1D
from hgq_keras.layers import QMaxPooling1D as QMaxPool1D
from hgq_keras.layers import QMaxPooling2D as MaxPool2D
from hgq_keras.layers import QMaxPooling2D as MaxPooling2D
from hgq_keras.layers import QMaxPooling2D as QMaxPool2D
from hgq_keras.layers import QMaxPooling3D as MaxPool3D
from hgq_keras.layers import QMaxPooling3D as MaxPooling3D
from hgq_keras.layers import QMaxPooling3D as QMaxPool3D
from hgq_keras.layers import QMeanPow2 as MeanPow2
from hgq_keras.layers import QMinimum as Minimum
from hgq_keras.layers import QMultiHeadAttention as MultiHeadAttention
from hgq_keras.layers import QMultiHeadAttentionT as MultiHeadAttentionT
from hgq_keras.layers import QMultiply as Multiply
from hgq_keras.layers import QRMSNormalization as RMSNormalization
from hgq_keras.layers import QSeparableConv1D as SeparableConv1D
from hgq_keras.layers import QSeparableConv2D as SeparableConv2D
from hgq_keras.layers import QSimpleRNN as SimpleRNN
from hgq_keras.layers import QSimpleRNNCell as SimpleRNNCell
from hgq_keras.layers import QSimpleSNN as SimpleSNN
from hgq_keras.layers import QSimpleSNNCell as SimpleSNNCell
from hgq_keras.layers import QSoftmax as Softmax
from hgq_keras.layers import QSubtract as Subtract
from hgq_keras.layers import QSum as Sum
from hgq_keras.layers import QUnaryFunctionLUT as UnaryFunctionLUT

__all__ = [
    "GRU",
    "LIF",
    "LSTM",
    "QGRU",
    "QLIF",
    "QLSTM",
    "Add",
    "AffinedUnaryFunctionLUT",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "AveragePow2",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "BatchNormDense",
    "BatchNormalization",
    "Concatenate",
    "Conv1D",
    "Conv1DBatchNorm",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DBatchNorm",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DBatchNorm",
    "Conv3DTranspose",
    "ConvT1D",
    "ConvT2D",
    "Dense",
    "DenseT",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "Dot",
    "Einsum",
    "EinsumDense",
    "EinsumDenseBatchnorm",
    "EinsumDenseT",
    "GRUCell",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalAvgPool3D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "LIFCell",
    "LSTMCell",
    "LayerNormalization",
    "LinformerAttention",
    "LinformerAttentionT",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "Maximum",
    "MeanPow2",
    "Minimum",
    "MultiHeadAttention",
    "MultiHeadAttentionT",
    "Multiply",
    "QAdd",
    "QAffinedUnaryFunctionLUT",
    "QAveragePooling1D",
    "QAveragePooling2D",
    "QAveragePooling3D",
    "QAveragePow2",
    "QAvgPool1D",
    "QAvgPool2D",
    "QAvgPool3D",
    "QBatchNormDense",
    "QBatchNormalization",
    "QConcatenate",
    "QConv1D",
    "QConv1DBatchNorm",
    "QConv1DTranspose",
    "QConv2D",
    "QConv2DBatchNorm",
    "QConv2DTranspose",
    "QConv3D",
    "QConv3DBatchNorm",
    "QConv3DTranspose",
    "QConvT1D",
    "QConvT2D",
    "QDense",
    "QDenseT",
    "QDepthwiseConv1D",
    "QDepthwiseConv2D",
    "QDot",
    "QEinsum",
    "QEinsumDense",
    "QEinsumDenseBatchnorm",
    "QEinsumDenseT",
    "QGRUCell",
    "QGlobalAveragePooling1D",
    "QGlobalAveragePooling2D",
    "QGlobalAveragePooling3D",
    "QGlobalAvgPool1D",
    "QGlobalAvgPool2D",
    "QGlobalAvgPool3D",
    "QGlobalMaxPool1D",
    "QGlobalMaxPool2D",
    "QGlobalMaxPool3D",
    "QGlobalMaxPooling1D",
    "QGlobalMaxPooling2D",
    "QGlobalMaxPooling3D",
    "QLIFCell",
    "QLSTMCell",
    "QLayer",
    "QLayerNormalization",
    "QLinformerAttention",
    "QLinformerAttentionT",
    "QMaxPool1D",
    "QMaxPool2D",
    "QMaxPool3D",
    "QMaxPooling1D",
    "QMaxPooling2D",
    "QMaxPooling3D",
    "QMaximum",
    "QMeanPow2",
    "QMinimum",
    "QMultiHeadAttention",
    "QMultiHeadAttentionT",
    "QMultiply",
    "QRMSNormalization",
    "QSeparableConv1D",
    "QSeparableConv2D",
    "QSimpleRNN",
    "QSimpleRNNCell",
    "QSimpleSNN",
    "QSimpleSNNCell",
    "QSoftmax",
    "QSubtract",
    "QSum",
    "QUnaryFunctionLUT",
    "Quantizer",
    "RMSNormalization",
    "SeparableConv1D",
    "SeparableConv2D",
    "SimpleRNN",
    "SimpleRNNCell",
    "SimpleSNN",
    "SimpleSNNCell",
    "Softmax",
    "Subtract",
    "Sum",
    "UnaryFunctionLUT",
]
