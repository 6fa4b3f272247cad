"""Compiles the C unit tests of this folder with the sanitizers and runs them."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

import need

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FLAGS = ["-std=gnu11", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-fno-omit-frame-pointer"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
PURE = [f"csrc/fha_ipvs_{part}.c" for part in ("encode", "decode", "control")]
CALLS = ("socket", "bind", "setsockopt", "getsockopt", "close", "send", "recvmsg")
WRAPPED = [f"-Wl,--wrap={name}" for name in CALLS]
LEAKS = "detect_leaks=1"
Build = Callable[..., Path]


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """`build(name, *sources and flags)` compiles one program."""
    gcc = need.tool("gcc")
    out = tmp_path_factory.mktemp("c")
    (out / "empty.c").write_text("int main(void) { return 0; }\n")
    probe = subprocess.run([gcc, *SANITIZERS, str(out / "empty.c"), "-o", str(out / "empty")], capture_output=True)
    if probe.returncode:
        need.lack("gcc has no libasan or libubsan")

    def compiled(name: str, *words: str) -> Path:
        if not (out / name).exists():
            argv = [gcc, *FLAGS, *SANITIZERS, "-Icsrc", "-Itests/c", *words, "-o", str(out / name)]
            built = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True)
            assert built.returncode == 0, built.stderr
        return out / name

    return compiled


def run(program: Path, seed: int, leaks: bool) -> str:
    # LeakSanitizer works by ptrace: where that is forbidden or in use it makes every program fail
    env = os.environ | {"ASAN_OPTIONS": LEAKS if leaks else "detect_leaks=0", "LD_PRELOAD": ""}
    done = subprocess.run([str(program), str(seed)], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def leaks(build: Build, tmp_path_factory: pytest.TempPathFactory) -> bool:
    """Whether LeakSanitizer finds a leak here."""
    source = tmp_path_factory.mktemp("leak") / "leak.c"
    source.write_text(
        "#include <stdlib.h>\nvoid *volatile p;\nint main(void) { p = malloc(7); p = NULL; return p != NULL; }\n"
    )
    env = os.environ | {"ASAN_OPTIONS": LEAKS, "LD_PRELOAD": ""}
    done = subprocess.run([str(build("leak", str(source)))], env=env, capture_output=True, text=True)
    return "detected memory leaks" in done.stderr


@pytest.mark.parametrize("seed", [1, 2])
def test_ipvs_encode_and_decode(build: Build, leaks: bool, seed: int) -> None:
    run(build("test_ipvs", "tests/c/test_ipvs.c", *PURE), seed, leaks)


def test_ipvs_socket_under_every_fault(build: Build, leaks: bool) -> None:
    sources = ("tests/c/test_ipvs_faults.c", "tests/c/fake_kernel.c", "csrc/fha_ipvs_socket.c", *PURE)
    print("LeakSanitizer runs" if leaks else "LeakSanitizer does not run here")
    print(run(build("test_ipvs_faults", *sources, *WRAPPED), 1, leaks))
