"""cffi builder of `fastha._ipvs` (API mode), run by setup.py; paths are relative to the project root.

The declarations are cut out of csrc/fha_ipvs.h between <cdef> and </cdef>: one truth, which the C compiler compares
with the header when it builds the module.
"""

import os
import re
from pathlib import Path

from cffi import FFI

HEADER = "csrc/fha_ipvs.h"
SOURCES = [f"csrc/fha_ipvs_{part}.c" for part in ("encode", "decode", "control", "socket")]

flags = ["-std=gnu11", "-Wall", "-Wextra"]
flags += ["-O0", "-g3"] if os.environ.get("FASTHA_DEBUG") == "1" else ["-O2", "-g1"]
if os.environ.get("FASTHA_WERROR") == "1":
    flags.append("-Werror")
link = []
if os.environ.get("FASTHA_SANITIZE") == "1":
    sanitizers = ["-fsanitize=address,undefined", "-fno-omit-frame-pointer"]
    flags += sanitizers
    link += sanitizers


def cdef() -> str:
    """The marked part of the header, without comments."""
    block = Path(HEADER).read_text().split("<cdef>", 1)[1].split("</cdef>", 1)[0]
    return re.sub(r"/\*.*?\*/", "", block.split("*/", 1)[1].rsplit("/*", 1)[0], flags=re.S)


ffibuilder = FFI()
ffibuilder.cdef(cdef())
ffibuilder.set_source(
    "fastha._ipvs",
    '#include "fha_ipvs.h"',
    sources=SOURCES,
    depends=[HEADER, "csrc/fha_ipvs_wire.h"],
    include_dirs=["csrc"],
    extra_compile_args=flags,
    extra_link_args=link,
)
