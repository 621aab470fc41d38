"""What the device side computes in C: the cascade, decoding, selection and linking.

``pip`` builds the library where a C compiler is there. Where it is missing or of no use, numpy and
OpenCV do the same, more slowly: nothing here fails for that. The C is in this folder, and
docs/native.md describes it.
"""

from edgekit.runtime.native.cascade import NativeCascade, suits
from edgekit.runtime.native.library import NUMPY, VARIABLE, Setting, clock, rebuild, setting

__all__ = ["NUMPY", "VARIABLE", "NativeCascade", "Setting", "clock", "rebuild", "setting", "suits"]
