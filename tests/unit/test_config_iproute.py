"""`iproute_usr_dir` and `iproute_etc_dir`: whose names of tables and protocols count."""

from __future__ import annotations

from pathlib import Path

from fastha.config.load import load
from fastha.errors import Severity
from fastha.model import Route


def routes(path: Path, globals_: str) -> tuple[Route, ...]:
    path.write_text(
        "static_routes {\n10.7.0.0/16 dev eth0 table blue protocol ours\n}\n"
        f"global_defs {{\n{globals_}\n}}\n"  # the order is no matter
    )
    loaded = load(str(path))
    wrong = [f for f in loaded.faults if f.severity is Severity.ERROR]
    assert bool(wrong) is not globals_.startswith("iproute"), loaded.faults
    return loaded.config.statics[0].routes if loaded.config.statics else ()


def test_names_come_from_there_and_from_nowhere_else(tmp_path: Path) -> None:
    usr, etc, path = tmp_path / "usr", tmp_path / "etc", tmp_path / "x.conf"
    for folder, table in ((usr, 77), (etc, 88)):
        (folder / "rt_protos.d").mkdir(parents=True)
        (folder / "rt_tables").write_text(f"# names\n{table} blue\n")
        (folder / "rt_protos.d" / "a.conf").write_text("99 ours\n")
    assert routes(path, "router_id nothing") == (), "no such names"
    for said, table in (
        (f"iproute_usr_dir {usr}", 77),
        (f"iproute_etc_dir {etc}", 88),
        (f"iproute_usr_dir {usr}\niproute_etc_dir {etc}", 88),
    ):
        (route,) = routes(path, said)
        assert (route.table, route.protocol) == (table, 99), said
    assert routes(path, "router_id nothing") == (), "nor afterwards"
