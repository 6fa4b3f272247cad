"""The doctor in a namespace of its own: what it prints mends what it found."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from fastha.lab.network import Network

CONF = """
vrrp_instance vi {
  interface eth0
  virtual_router_id 51
  virtual_ipaddress {
    10.9.0.100/24
  }
}
virtual_server 10.9.0.100 80 {
  lb_algo rr
  lb_kind NAT
  protocol TCP
  real_server 10.2.0.1 80 {
    TCP_CHECK {
    }
  }
}
"""


def test_it_finds_what_is_wrong_here_and_its_command_mends_it(network: Network, tmp_path: Path) -> None:
    namespace = network.namespace("a")
    network.attach("lan", namespace, "eth0", "10.9.0.1/24")
    path = tmp_path / "k.conf"
    path.write_text(CONF)
    for name, value in {"net.ipv4.ip_forward": 0, "net.ipv4.conf.eth0.promote_secondaries": 0,
                        "net.ipv4.conf.all.promote_secondaries": 0}.items():  # fmt: skip
        namespace.run(["sysctl", "-q", "-w", f"{name}={value}"])

    def doctor(*words: str) -> tuple[int, dict[str, Any]]:
        argv = [sys.executable, "-m", "fastha.cli", "doctor", "-f", path, "--control", tmp_path / "c", "--json", *words]
        process = namespace.popen([*map(str, argv)], stdout=subprocess.PIPE)
        out, _ = process.communicate(timeout=60)
        return process.returncode, {one["code"]: one for one in json.loads(out)["findings"]}

    status, found = doctor()
    assert status == 1
    assert found["forwarding"]["severity"] == "error"
    assert "promote-secondaries" in found
    assert "daemon" in found
    for code in ("forwarding", "promote-secondaries"):
        command = found[code]["mend"].split(" && ")[0]  # the file for the next start is the operator's
        namespace.run(command.split())
    status, found = doctor()
    assert "forwarding" not in found
    assert "promote-secondaries" not in found
    path.write_text("nonsense {")
    process = namespace.popen([sys.executable, "-m", "fastha.cli", "doctor", "-f", str(path)], stderr=subprocess.PIPE)
    process.communicate(timeout=60)
    assert process.returncode == 2


def test_it_looks_where_the_configuration_works(network: Network, tmp_path: Path) -> None:
    namespace = network.namespace("a")
    network.attach("lan", namespace, "eth0", "10.9.0.1/24")
    namespace.run(["sysctl", "-q", "-w", "net.ipv4.ip_forward=0"])
    path = tmp_path / "k.conf"

    def doctor(name: str) -> dict[str, Any]:
        path.write_text(f"net_namespace {name}\n{CONF}")
        argv = [
            sys.executable,
            "-m",
            "fastha.cli",
            "doctor",
            "-f",
            str(path),
            "--control",
            str(tmp_path / "c"),
            "--json",
        ]
        out = subprocess.run(argv, stdout=subprocess.PIPE, timeout=60, check=False).stdout
        return {one["code"]: one for one in json.loads(out)["findings"]}

    found = doctor(namespace.name)
    assert "interface" not in found, "eth0 is in there"
    mend = found["forwarding"]["mend"]
    assert mend == f"ip netns exec {namespace.name} sysctl -w net.ipv4.ip_forward=1"
    subprocess.run(mend.split(), check=True, stdout=subprocess.DEVNULL)
    assert "forwarding" not in doctor(namespace.name)
    assert "namespace" in doctor("none-such-here")
