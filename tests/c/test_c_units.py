"""Compiles the C unit tests of this folder with the sanitizers and runs them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import need

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FLAGS = ["-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fno-omit-frame-pointer"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
PURE = [f"csrc/fha_ipvs_{part}.c" for part in ("encode", "decode", "control")]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    gcc = need.tool("gcc")
    out = tmp_path_factory.mktemp("c")
    (out / "empty.c").write_text("int main(void) { return 0; }\n")
    probe = subprocess.run([gcc, *SANITIZERS, str(out / "empty.c"), "-o", str(out / "empty")], capture_output=True)
    if probe.returncode:
        need.lack("gcc has no libasan or libubsan")
    built = subprocess.run(
        [gcc, *FLAGS, *SANITIZERS, "-Icsrc", "tests/c/test_ipvs.c", *PURE, "-o", str(out / "test_ipvs")],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    return out / "test_ipvs"


@pytest.mark.parametrize("seed", [1, 2])
def test_ipvs_encode_and_decode(program: Path, seed: int) -> None:
    # a debugger or ptrace in the way makes LeakSanitizer fail; leaks cannot be: the code under test allocates nothing
    env = os.environ | {"ASAN_OPTIONS": "detect_leaks=0", "LD_PRELOAD": ""}
    run = subprocess.run([str(program), str(seed)], env=env, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout + run.stderr
