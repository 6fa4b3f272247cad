"""A short run of the coverage-guided fuzzing of the configuration reader; `make fuzz-config` runs longer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
GOLDEN = HERE.parent / "golden" / "config"
RUNS = 400


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not installed (no wheel for this Python)")
def test_no_input_breaks_the_reader(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    for path in GOLDEN.glob("*.conf"):
        shutil.copy(path, corpus)
    runs = os.environ.get("FASTHA_ROUNDS", str(RUNS))
    command = [sys.executable, str(HERE / "config_reader.py"), f"-runs={runs}", "-seed=1", "-max_len=2048",
               f"-artifact_prefix={tmp_path}/", str(corpus)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=300, check=False)
    broken = [p.read_bytes() for p in tmp_path.glob("crash-*")]
    assert done.returncode == 0, f"{broken}\n{done.stdout[-2000:]}{done.stderr[-4000:]}"
