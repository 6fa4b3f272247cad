"""Memory of reading and building one small thing said very often, for every kind of list and of block at the top.

`make campaign` says every keyword of every block, as it should be and wrong, a megabyte of each, and judges time too.
"""

from __future__ import annotations

import gc
import os
import time
import tracemalloc

import pytest

import repeated
from fastha.config import native
from fastha.config.build import build
from fastha.config.keywords import SCRIPT_WORDS
from fastha.config.keywords.table import ROOT
from fastha.config.load import native_values

SIZE = 30_000  # more than fastha.config.tree.SMALL: small blocks are kept while they are looked at
TIMES = 35  # names of tracked interfaces; docs/benchmarks.md has the others, and what a value of Python costs
FAULTS = 2 << 20  # what is kept of thousands
FEW, FIXED = 20, 100_000  # faults, and bytes for what is there with hardly any
SLOWEST_S = 10  # for a megabyte


SHAPES = [
    s
    for s in [*repeated.blocks(), *repeated.OTHERS[:4]]
    if s.name.partition(":")[0] in (ROOT, "virtual_server", s.name)
]


def peak(text: bytes) -> tuple[int, int]:
    """Bytes at the peak, and how many faults."""
    tracemalloc.start()
    try:
        _, faults = build(native.read("main", repeated.One(text), SCRIPT_WORDS), values=native_values())
        return tracemalloc.get_traced_memory()[1], len(faults)
    finally:
        tracemalloc.stop()


def bound(size: int, faults: int) -> int:
    return TIMES * size + (FIXED if faults < FEW else FAULTS)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: s.name)
def test_memory_is_bounded_by_the_text(shape: repeated.Shape) -> None:
    text = shape.text(SIZE)
    peak(shape.text(500))  # loads what is loaded when it is first needed
    gc.collect()
    gc.disable()
    try:
        taken, faults = peak(text)
    finally:
        gc.enable()
    print(f"{taken / len(text):.1f} times, {faults} faults")
    assert taken <= bound(len(text), faults)


@pytest.mark.campaign
def test_a_megabyte_of_everything() -> None:
    """A process for each: the next one is not to profit from it."""
    size = int(os.environ.get("FASTHA_BYTES", 1_000_000))
    broken = []
    for shape in repeated.all_shapes():
        text = shape.text(size)
        child = os.fork()
        if not child:
            gc.disable()
            began = time.process_time()
            build(native.read("main", repeated.One(text), SCRIPT_WORDS), values=native_values())
            took = time.process_time() - began
            taken, faults = peak(text)
            print(f"{took:6.2f} s {taken / len(text):6.1f} {shape.name}", flush=True)
            os._exit(took > SLOWEST_S or taken > bound(len(text), faults))
        if os.waitpid(child, 0)[1]:
            broken.append(shape.name)
    assert not broken
