"""HOST. The operators that TensorRT's ONNX parser takes, and the types it takes them for.

From ``docs/operators.md`` of onnx/onnx-tensorrt: what is in the tables of both TensorRT 9.2 and
10.15, and DeformConv, which the changelog gives to 10.1. So it holds for 10.3, which JetPack 6.1
has, and for what came after it. The 8-bit integers of the older table are left out: strongly
typed networks have them between QuantizeLinear and DequantizeLinear alone.
"""

from __future__ import annotations

__all__ = ["OPERATORS", "OPSETS", "TENSORS"]

OPSETS = range(9, 21)
"""Versions of ONNX's operators that the parser of TensorRT 10.3 knows; 10.15 knows up to 24."""

TENSORS = frozenset({"FP32", "FP16", "BF16", "INT8", "INT32", "INT64", "BOOL"})
"""Types that a tensor may have anywhere; UINT8 may go into and out of a network besides."""

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
"""Name of an operator, and the types that what it computes on may have."""
