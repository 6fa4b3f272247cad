"""keepalived.json of version 2 tells of tracked processes, that of version 1 is an array of instances."""

from __future__ import annotations

import json

from fastha.model import GlobalDefs, TrackProcess, VrrpInstance
from fastha.standin.data import of_vrrp
from fastha.standin.json_dump import document
from fastha.standin.picture import Picture, Seen

PROCESS = TrackProcess(
    name="p", argv=("nginx", "-g"), match="exact", quorum=2, quorum_max=3, fork_delay_ns=1_500_000_000
)
PICTURE = Picture(
    GlobalDefs(),
    (Seen(VrrpInstance(name="a", interface="eth0", vrid=1), {}, {}),),
    processes=((PROCESS, {"up": True, "running": 2}),),
)


def test_two_shapes() -> None:
    one, two = json.loads(document(PICTURE)), json.loads(document(PICTURE, 2))
    assert [i["data"]["iname"] for i in one] == ["a"]
    assert two["vrrp"] == one
    (process,) = two["track_process"]
    assert process["process"] == "nginx"
    assert process["parameters"] == ["-g"]
    assert (process["min_processes"], process["max_processes"], process["current_processes"]) == (2, 3, 2)
    assert process["have_quorum"] is True
    assert process["fork_delay"] == 1.5


def test_the_text_tells_of_them_too() -> None:
    assert " Track process = p\n   Process = nginx -g\n   Quorum = 2, running 2\n" in of_vrrp(PICTURE)
