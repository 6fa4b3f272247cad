"""Coverage-guided fuzzing of what reads the wire: libFuzzer with ASan and UBSan on the C that Cython makes.

    python tests/fuzz/wire/run.py                     every target, 4 000 000 inputs each
    python tests/fuzz/wire/run.py bfd --runs 20000    one of them, briefly
    python tests/fuzz/wire/run.py --seconds 600       as many as ten minutes allow, each

What it finds stays in build/fuzz/TARGET/ (crash-*, with the input in it) together with the corpus it has gathered, from
which the next run goes on. Exit status 1 if a target found something.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
OUT = ROOT / "build" / "fuzz"
MODULES = ("checksum", "ether", "advert", "arp", "na", "bfd", "mac", "ah", "trailer")
TARGETS = {
    "advert": ("advert.c", "checksum.c"),
    "arp": ("arp.c", "ether.c"),
    "na": ("na.c", "ether.c", "checksum.c"),
    "bfd": ("bfd.c",),
    "ah": ("ah.c", "mac.c", "checksum.c"),
    "trailer": ("trailer.c", "mac.c"),
}
LIBRARIES = {"ah": ("-lcrypto",), "trailer": ("-lcrypto",)}
LONGEST = {"advert": 1200, "arp": 400, "na": 400, "bfd": 80, "ah": 300, "trailer": 400}
RUNS = 4_000_000
DIRECTIVES = ("language_level=3", "boundscheck=False", "wraparound=False", "cdivision=True", "initializedcheck=False")
SANITIZERS = "-fsanitize=fuzzer,address,undefined"


def translate(out: Path) -> None:
    """.pyx -> .c, with the directives of setup.py, or as its build has left it. Nothing is exported from the result: a
    compiler then drops all of it that only an interpreter could call."""
    (out / "generated").mkdir(parents=True, exist_ok=True)
    for module in MODULES:
        made, source = out / "generated" / f"{module}.c", ROOT / "src/fastha/wire" / f"{module}.pyx"
        built = ROOT / "build/cython/src/fastha/wire" / f"{module}.c"
        changed = max(p.stat().st_mtime for p in source.parent.glob("*.p*"))
        if made.exists() and made.stat().st_mtime > changed:
            continue
        if not built.exists() or built.stat().st_mtime < changed:
            built = out / f"{module}.c"
            words = [w for d in DIRECTIVES for w in ("-X", d)]
            subprocess.run(
                [sys.executable, "-m", "cython", *words, str(source), "-o", str(built)], cwd=ROOT, check=True
            )
        made.write_text(
            built.read_text().replace("__Pyx_PyMODINIT_FUNC PyInit_", "static __Pyx_PyMODINIT_FUNC PyInit_")
        )


def compile_target(name: str, out: Path) -> Path:
    """The fuzzer of one target."""
    program = out / name / "fuzzer"
    program.parent.mkdir(parents=True, exist_ok=True)
    config = shutil.which("python3-config", path="/usr/bin") or "python3-config"
    includes = subprocess.run([config, "--includes"], capture_output=True, text=True, check=True).stdout.split()
    sources = [str(HERE / source) for source in TARGETS[name]]
    subprocess.run(
        ["clang", "-g", "-O1", "-fno-omit-frame-pointer", SANITIZERS, "-fno-sanitize-recover=all", "-w",
         f"-I{out}", f"-I{HERE}", *includes, *sources, *LIBRARIES.get(name, ()), "-o", str(program)],
        check=True,
    )  # fmt: skip
    return program


def seeds(name: str, folder: Path) -> None:
    """A few good inputs to begin with."""
    from fastha.wire import advert, ah, bfd, trailer

    folder.mkdir(parents=True, exist_ok=True)
    ips = [f"10.0.0.{i}" for i in range(20)]
    made = {
        "advert": [
            b"\1" + advert.encode("10.0.0.9", "224.0.0.18", 3, 7, 100, 100, ips[:n]) for n in (1, 3, 20)
        ] + [
            bytes([how]) + packet[8:40] + packet[7:8] + packet[40:]
            for n in (1, 3, 20)
            for how in (2, 3)
            for packet in [advert.encode("fe80::9", "ff02::12", 3, 7, 100, 100, [f"fe80::{i}:1" for i in range(n)])]
        ] + [b"\0" + advert.encode("10.0.0.9", "10.0.0.8", 2, 7, 100, 100, ips[:n], 1, b"secret") for n in (1, 3)]
        + [
            how + packet[at:] + bytes(28)
            for n in (1, 3)
            for how, at, packet in (
                (b"\4", 20, advert.encode("10.0.0.9", "10.0.0.8", 2, 7, 100, 100, ips[:n])),
                (b"\6", 40, advert.encode("fe80::9", "ff02::12", 3, 7, 100, 100, [f"fe80::{i}:1" for i in range(n)])),
            )
        ],
        "arp": [b"\4\0" + bytes(range(6 + 4 * n)) for n in (0, 1, 20)],
        "na": [b"\4\0\1" + bytes(range(6 + 16 * n)) for n in (0, 1, 5)],
        "bfd": [bfd.encode(s, 0, 3, 1, 0 if s < 2 else 2, 10_000, 10_000, f) for s in range(4) for f in (0, bfd.POLL)],
        "ah": [
            bytes(6) + ah.sign(ah.wrap(advert.encode("10.0.0.9", to, 2, 7, 100, 100, ips[:n], 2)), b"secret", 70_000)
            for n in (1, 3)
            for to in ("224.0.0.18", "10.0.0.8")
        ],
        "trailer": [
            bytes([width == 16]) + bytes(18) + trailer.sign(bytes([0x31, 7, 100, n, 0, 100, 0, 0]) + bytes(n * width),
            bytes(width), b"secret", 3, 70_000)
            for n in (1, 3)
            for width in (4, 16)
        ],
    }  # fmt: skip
    for i, data in enumerate(made[name]):
        (folder / f"seed-{i}").write_bytes(data)


def fuzz(name: str, program: Path, runs: int, seconds: int) -> tuple[int, str]:
    """(exit status, one line of figures)."""
    folder = program.parent
    seeds(name, folder / "corpus")
    argv = [str(program), f"-max_len={LONGEST[name]}", "-print_final_stats=1", f"-artifact_prefix={folder}/"]
    argv += [f"-max_total_time={seconds}"] if seconds else [f"-runs={runs}"]
    done = subprocess.run([*argv, str(folder / "corpus")], capture_output=True, text=True, errors="replace")
    if done.returncode:
        return done.returncode, done.stderr[-6000:]
    found = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    speed = re.search(r"average_exec_per_sec: +(\d+)", done.stderr)
    covered = re.findall(r"cov: (\d+)", done.stderr)
    assert found, done.stderr[-2000:]
    return 0, (
        f"{name}: {found[1]} inputs, {speed[1] if speed else '?'} a second, "
        f"{covered[-1] if covered else '?'} edges covered, no finding"
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="wire/run.py", description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}; default: all")
    parser.add_argument("--runs", type=int, default=RUNS, help="inputs for each target")
    parser.add_argument("--seconds", type=int, default=0, help="instead: time for each target")
    parser.add_argument("--out", type=Path, default=OUT, help="where programs, corpus and findings are")
    options = parser.parse_args(argv)
    if unknown := set(options.targets) - TARGETS.keys():
        parser.error(f"no target {', '.join(sorted(unknown))}")
    translate(options.out)
    status = 0
    for name in options.targets or TARGETS:
        code, text = fuzz(name, compile_target(name, options.out), options.runs, options.seconds)
        print(text, flush=True)
        status |= code != 0
    return status


if __name__ == "__main__":
    sys.exit(main())
