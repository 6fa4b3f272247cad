"""Seeds of random walks: new ones in every run, printed with the test; FASTHA_SEED repeats one."""

from __future__ import annotations

import os
import random


def walk(name: str) -> random.Random:
    """A generator whose seed is printed (pytest shows it when the test fails)."""
    text = os.environ.get("FASTHA_SEED")
    seed = int(text) if text else random.SystemRandom().getrandbits(32)
    print(f"{name}: FASTHA_SEED={seed}")
    return random.Random(seed)
