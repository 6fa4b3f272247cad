"""Build of the native half: every .pyx under src/ (Cython) and csrc/ (C bound by cffi).

Environment switches, each mapped to a few compiler flags:
FASTHA_DEBUG=1     -O0 -g and Cython's bounds checks
FASTHA_SANITIZE=1  ASan and UBSan (run with LD_PRELOAD=libasan)
FASTHA_WERROR=1    warnings of our C are errors (CI)
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

ROOT = Path(__file__).parent
DEBUG = os.environ.get("FASTHA_DEBUG") == "1"
SANITIZE = os.environ.get("FASTHA_SANITIZE") == "1"

# What single modules need beyond the common flags.
LIBRARIES = {"fastha.checker.digest": ["crypto"], "fastha.wire.mac": ["crypto"]}

flags = ["-O0", "-g3"] if DEBUG else ["-O2", "-g1"]
link = []
if SANITIZE:
    sanitizers = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer"]
    flags += sanitizers
    link += sanitizers


def modules():
    """One Extension for each .pyx; sources relative to the project root, as setuptools wants them."""
    for pyx in sorted(Path("src/fastha").rglob("*.pyx")):
        name = ".".join(pyx.relative_to("src").with_suffix("").parts)
        yield Extension(
            name,
            [str(pyx)],
            include_dirs=["src", "csrc"],
            libraries=LIBRARIES.get(name, []),
            extra_compile_args=flags,
            extra_link_args=link,
            define_macros=[("CYTHON_CLINE_IN_TRACEBACK", "0")],
        )


os.chdir(ROOT)
setup(
    ext_modules=cythonize(
        list(modules()),
        build_dir="build/cython",
        compiler_directives={
            "language_level": 3,
            "boundscheck": DEBUG,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "embedsignature": True,
        },
    ),
    cffi_modules=["csrc/ipvs_build.py:ffibuilder"] if Path("csrc/ipvs_build.py").exists() else [],
)
