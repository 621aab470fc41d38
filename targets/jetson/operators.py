"""HOST. Lists the operators and types that TensorRT's ONNX parser supports.

The source is ``docs/operators.md`` of onnx/onnx-tensorrt: operators in the tables of both TensorRT
9.2 and 10.15, and DeformConv, which the changelog adds in 10.1. The list therefore holds for 10.3,
the version in JetPack 6.1, and for later ones. The 8-bit integers of the older table are left out:
strongly typed networks have them only between QuantizeLinear and DequantizeLinear.
"""

from __future__ import annotations

__all__ = ["OPERATORS", "OPSETS", "TENSORS"]

OPSETS = range(9, 21)
"""ONNX opsets that the parser of TensorRT 10.3 supports; 10.15 supports up to 24."""

TENSORS = frozenset({"FP32", "FP16", "BF16", "INT8", "INT32", "INT64", "BOOL"})
"""Types that any tensor may have; UINT8 is allowed only for inputs and outputs of a network."""

_BY_TYPES = {
    "FP32": "ConstantOfShape",
    "INT8": "DequantizeLinear",
    "BOOL": "And Not Or Xor",
    "FP32 FP16": "DeformConv GridSample NonMaxSuppression NonZero RoiAlign",
    "FP32 FP16 BF16": """
        Acos Acosh Asin Asinh Atan Atanh AveragePool BatchNormalization Ceil Celu Clip Conv
        ConvTranspose Cos Cosh CumSum Dropout Einsum Elu Erf Exp Floor GRU Gemm GlobalAveragePool
        GlobalLpPool GlobalMaxPool GroupNormalization HardSigmoid HardSwish Hardmax
        InstanceNormalization IsInf LRN LSTM LayerNormalization LeakyRelu Log LogSoftmax
        LpNormalization LpPool MatMul MaxPool MeanVarianceNormalization PRelu Pow QuantizeLinear
        RNN RandomNormal RandomNormalLike RandomUniform RandomUniformLike Reciprocal Resize Round
        Scan Selu Sigmoid Sin Sinh Softmax Softplus Softsign Sqrt Tan Tanh ThresholdedRelu
        Upsample""",
    "FP32 FP16 BF16 INT32 INT64": """
        Abs Add ArgMax ArgMin DepthToSpace Div Equal Greater GreaterOrEqual IsNaN Less LessOrEqual
        Max Mean Min Mod Mul Neg Pad Range ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp
        ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum ReduceSumSquare Relu Scatter
        ScatterElements ScatterND Shrink Sign SpaceToDepth Sub Sum TopK""",
    "FP32 FP16 BF16 INT32 INT64 BOOL": """
        Concat Constant Expand EyeLike Flatten Gather GatherElements GatherND Identity If Loop
        OneHot Reshape ReverseSequence Shape Size Slice Split Squeeze Tile Transpose Trilu
        Unsqueeze Where""",
    "FP32 FP16 BF16 INT32 INT64 BOOL UINT8": "Cast CastLike",
}

OPERATORS = {
    operator: tuple(types.split())
    for types, operators in _BY_TYPES.items()
    for operator in operators.split()
}
"""Types that the main input of each operator may have, by operator name."""
