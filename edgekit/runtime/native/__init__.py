"""The C implementation of the device side: cascade, decoding, selection and linking.

``pip`` builds the library if there is a C compiler. Without a usable library, numpy and OpenCV
compute the same values more slowly, and nothing fails. The C code is in this folder, and
docs/native.md describes it.
"""

from edgekit.runtime.native.cascade import NativeCascade, suits
from edgekit.runtime.native.library import NUMPY, VARIABLE, Setting, clock, rebuild, setting

__all__ = ["NUMPY", "VARIABLE", "NativeCascade", "Setting", "clock", "rebuild", "setting", "suits"]
