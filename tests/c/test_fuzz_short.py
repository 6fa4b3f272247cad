"""The fuzzers build, find nothing in a short run, and would find what they are for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import need

ROOT = Path(__file__).resolve().parent.parent.parent
RUN = ROOT / "tests" / "fuzz" / "wire" / "run.py"


def run(out: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(RUN), "--out", str(out), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need.tool("clang")
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "empty.c").write_text("int LLVMFuzzerTestOneInput(const char *d, long n) { return 0; }\n")
    argv = ["clang", "-fsanitize=fuzzer,address,undefined", str(folder / "empty.c"), "-o", str(folder / "empty")]
    if subprocess.run(argv, capture_output=True).returncode:
        need.lack("clang has no libFuzzer (libclang-rt)")
    return folder


def test_a_short_run_finds_nothing(out: Path) -> None:
    done = run(out, "--runs", "20000")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["advert", "arp", "na", "bfd", "ah", "trailer"]
    assert done.stdout.count("no finding") == 6


def test_a_decoder_that_reads_too_far_is_found(out: Path) -> None:
    """Without its first check the decoder of BFD reads past the end."""
    source = out / "generated" / "bfd.c"
    text = source.read_text()
    check = "(__pyx_v_size < __pyx_e_6fastha_4wire_3bfd_BFD_SIZE)"
    assert text.count(check) == 1
    try:
        source.write_text(text.replace(check, "(__pyx_v_size < 0)"))
        done = run(out, "bfd", "--runs", "20000")
    finally:
        source.write_text(text)
    assert done.returncode == 1
    assert "heap-buffer-overflow" in done.stdout
    assert list((out / "bfd").glob("crash-*"))
