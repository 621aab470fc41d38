"""Builds the compiled kernels beside the Python code; everything else is in pyproject.toml.

It is a plain library that ctypes loads, so one wheel serves every Python. Without a C compiler,
or with ``EDGEKIT_NO_KERNEL=1``, the wheel has no library and serves every machine.
"""

import hashlib
import os
import shutil
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

FOLDER = Path("edgekit/runtime/native")
# Fused operations would give other maps than numpy does, in the last digit.
FLAGS = ["-O3", "-std=c11", "-D_GNU_SOURCE", "-ffp-contract=off", "-Wno-psabi", "-g0"]
FILES = sorted(FOLDER.glob("*.[ch]"))
# From it a checkout tells that its library is of older sources: as `library.py` computes it.
SOURCES = hashlib.sha256(b"".join(path.read_bytes() for path in FILES)).hexdigest()[:16]
FLAGS.append(f'-DSOURCES="{SOURCES}"')
FLAGS_BY_FILE = {
    "avx2.c": ["-mavx2"],
    "pairs_avx2.c": ["-mavx2"],
    "avx512.c": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl"],
}
# Without its flags it compiles to nothing: for compilers that do not know them.
SPARE = {"avx512.c"}


class BuildLibrary(build_ext):
    """Compiles each file with flags of its own, into a library without a Python interface."""

    def get_ext_filename(self, fullname):
        """A name without Python's version."""
        return str(Path(*fullname.split("."))) + ".so"

    def build_extension(self, ext):
        """Compiles and links; what it raises is only told, for the extension is optional."""
        target = Path(self.get_ext_fullpath(ext.name))
        # That of an earlier build would pass for this one's where no compiler is.
        target.unlink(missing_ok=True)
        x86 = self.plat_name.endswith("x86_64")
        objects = []
        for source in ext.sources:
            name = Path(source).name
            special = FLAGS_BY_FILE.get(name, []) if x86 else []
            try:
                objects += self.compile(source, special)
            except CompileError:
                if name not in SPARE or not special:
                    raise
                objects += self.compile(source, [])
        target.parent.mkdir(parents=True, exist_ok=True)
        # A process that has the old library open keeps it.
        fresh = target.with_name(f".{target.name}")
        self.compiler.link_shared_object(objects, str(fresh), libraries=["m"])
        fresh.replace(target)

    def compile(self, source, special):
        """The object of one file, with flags of its own."""
        return self.compiler.compile(
            [source], output_dir=self.build_temp, extra_postargs=FLAGS + special
        )


class BuildWheel(bdist_wheel):
    """Tags the wheel by its machine alone, or by none where there is no library."""

    def run(self):
        """Builds without the files of an earlier build, which the sources may no longer have."""
        shutil.rmtree(self.get_finalized_command("build").build_lib, ignore_errors=True)
        super().run()

    def get_tag(self):
        """Python, interface and machine."""
        built = list(Path(self.bdist_dir or ".").rglob("_kernels.so"))
        return ("py3", "none", super().get_tag()[2] if built else "any")


def kernel():
    """The library to build; none where it is not wanted or cannot be."""
    if os.environ.get("EDGEKIT_NO_KERNEL") or sys.platform == "win32":
        return []
    sources = [str(path) for path in FILES if path.suffix == ".c"]
    headers = [str(path) for path in FILES if path.suffix == ".h"]
    return [Extension("edgekit.runtime.native._kernels", sources, depends=headers, optional=True)]


setup(ext_modules=kernel(), cmdclass={"build_ext": BuildLibrary, "bdist_wheel": BuildWheel})
