"""`fastha check --keepalived`: each way in which a file reads differently there, and no word where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from fastha.config.examine import examine
from fastha.config.keywords import TABLE
from fastha.config.keywords.table import ROOT

INSTANCE = """\
vrrp_instance A {
    interface eth0
    virtual_router_id 1
INSIDE    virtual_ipaddress {
        10.0.0.1
    }
}
"""
SERVER = """\
virtual_server 10.0.0.1 80 {
    protocol TCP
INSIDE    lvs_method NAT
    real_server 10.1.0.1 80 {
        TCP_CHECK {
        }
    }
}
"""


def told(tmp_path: Path, text: str, config_id: str = "") -> list[tuple[int, str, str]]:
    """(line, code, message)."""
    path = tmp_path / "a.conf"
    path.write_text(text)
    faults = examine(str(path), config_id, keepalived=True).faults
    return [(f.line, f.code, f.message) for f in faults if f.code.startswith("keepalived-")]


@pytest.mark.parametrize(
    ("text", "line", "code", "message"),
    [
        (INSTANCE.replace("INSIDE", "    no_virtual_ipaddress\n"), 4, "newer", "since keepalived 2.2.8"),
        (SERVER.replace("INSIDE", "    lvs_sched rr\n    nft_masquerade off\n"), 4, "unknown", "nft_masquerade"),
        (INSTANCE.replace("INSIDE", "    skip_check_adv_addr off\n"), 4, "differs", "on, whatever follows"),
        (SERVER.replace("INSIDE", "    sh-port\n    lvs_sched sh\n"), 3, "differs", "before lvs_sched"),
        (
            INSTANCE.replace("INSIDE", "    authentication { auth_type PASS auth_pass x }\n"),
            4,
            "differs",
            "a value of auth_type",
        ),
        (
            INSTANCE.replace("INSIDE", "").replace("{\n        10.0.0.1\n    }", "{ 10.0.0.1 10.0.0.2 }"),
            4,
            "differs",
            "does not read 10.0.0.2",
        ),
        (
            INSTANCE.replace("INSIDE", "") + "global_defs {\n    vrrp_garp_master_delay 1\n}\n",
            9,
            "differs",
            "instances before it",
        ),
        (
            INSTANCE.replace("INSIDE", "    track_script {\n        late\n    }\n")
            + 'vrrp_script late {\n    script "/bin/true"\n}\n',
            5,
            "differs",
            "late yet",
        ),
        ("global_defs {\n    router_id ${_ENV HOME}\n}\n", 2, "newer", "2.4.0"),
        (f"global_defs {{\n    router_id {'x' * 1100}\n}}\n", 2, "differs", "1023 bytes"),
    ],
)
def test_each_difference(tmp_path: Path, text: str, line: int, code: str, message: str) -> None:
    found = told(tmp_path, text)
    assert [(at, kind) for at, kind, _ in found] == [(line, f"keepalived-{code}")]
    assert message in found[0][2]


@pytest.mark.parametrize(
    "text",
    [
        "global_defs {\n    vrrp_garp_master_delay 1\n}\n" + INSTANCE.replace("INSIDE", ""),
        INSTANCE.replace("INSIDE", "") + "global_defs {\n    router_id x\n}\n",
        SERVER.replace("INSIDE", "    lvs_sched sh\n    sh-port\n"),
        'vrrp_script early {\n    script "/bin/true"\n}\n'
        + INSTANCE.replace("INSIDE", "    track_script {\n        early\n    }\n"),
        "include inner.conf\n",
    ],
)
def test_what_reads_the_same_is_not_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "inner.conf").write_text(INSTANCE.replace("INSIDE", ""))
    assert told(tmp_path, text) == []


def test_included_files_are_looked_at(tmp_path: Path) -> None:
    (tmp_path / "inner.conf").write_text("\nglobal_defs {\n    nft_masquerade\n}\n")
    (code,) = told(tmp_path, "include inner.conf\n")
    assert code[:2] == (3, "keepalived-unknown")
    assert [c[:2] for c in told(tmp_path, 'include "inner.conf"\n')] == [
        (1, "keepalived-differs"),
        (3, "keepalived-unknown"),
    ]


def test_lines_for_other_directors_do_not_count(tmp_path: Path) -> None:
    text = INSTANCE.replace("INSIDE", "    @old no_virtual_ipaddress\n")
    assert told(tmp_path, text, "new") == []
    assert len(told(tmp_path, text, "old")) == 1


def test_building_finds_the_same_afterwards(tmp_path: Path) -> None:
    """The look at a tree must leave it as it was."""
    for path in sorted((Path(__file__).resolve().parent.parent / "golden" / "config").glob("*.conf")):
        with_look, without = (examine(str(path), "master", keepalived=k) for k in (True, False))
        assert with_look.config == without.config
        assert [f for f in with_look.faults if not f.code.startswith("keepalived-")] == list(without.faults)


def test_every_own_word_and_every_new_one_is_told(tmp_path: Path) -> None:
    for keyword in TABLE["global_defs"].values():
        if keyword.alias_of or not (keyword.own or keyword.since):
            continue
        found = told(tmp_path, f"global_defs {{\n    {keyword.word} 1\n}}\n")
        assert found, keyword.word
        assert found[0][1] == ("keepalived-unknown" if keyword.own else "keepalived-newer")
    assert ROOT in TABLE
