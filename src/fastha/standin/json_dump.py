"""keepalived.json: instances for programs. Pure; keys and types as keepalived 2.2.7 writes them (observed), version 2
as keepalived.md 1.16 tells.

Version 1 is an array of instances, version 2 {"vrrp": [instances], "track_process": [...]}; an instance is
{"data": {...}, "stats": {...}}. What is empty is left out, as there. Passwords are not told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from fastha.model import TrackProcess, VrrpInstance
from fastha.standin.picture import STATES, Picture, Seen, wanted_state
from fastha.standin.words import address, command, seconds

# attribute of InstanceNotify -> key
SCRIPTS = {
    "backup": "script_backup",
    "master": "script_master",
    "fault": "script_fault",
    "stop": "script_stop",
    "deleted": "script_deleted",
    "any": "script",
    "master_rx_lower_pri": "script_master_rx_lower_pri",
}
AUTH = {"none": 0, "pass": 1, "ah": 2}
TRACKS = {"interface": "track_ifp", "script": "track_script", "process": "track_process"}


def document(picture: Picture, version: int = 1) -> bytes:
    """The whole file."""
    instances = [{"data": _data(seen), "stats": dict(seen.counts)} for seen in picture.instances]
    return (
        orjson.dumps(
            instances
            if version == 1
            else {"vrrp": instances, "track_process": [_process(*one) for one in picture.processes]}
        )
        + b"\n"
    )


def _process(one: TrackProcess, facts: Mapping[str, Any]) -> dict[str, Any]:
    """keepalived.md 1.16, without its timers, which this process does not know of."""
    return {
        "process": one.argv[0],
        "parameters": list(one.argv[1:]),
        "param_match": one.match,
        "min_processes": one.quorum,
        "max_processes": one.quorum_max,
        "current_processes": int(facts.get("running", 0)),
        "have_quorum": bool(facts.get("up", False)),
        "weight": one.weight,
        "terminate_delay": seconds(one.terminate_delay_ns),
        "fork_delay": seconds(one.fork_delay_ns),
        "full_command": one.full_command,
    }


def _data(seen: Seen) -> dict[str, Any]:
    instance, facts = seen.instance, seen.facts
    garp = instance.garp
    said: dict[str, Any] = {
        "iname": instance.name,
        "dont_track_primary": _number(instance, "dont_track_primary"),
        "skip_check_adv_addr": _number(instance, "skip_check_adv_addr"),
        "strict_mode": _number(instance, "strict_mode"),
        "vmac_ifname": str(facts.get("vmac", "")),
        "ifp_ifname": instance.interface,
        "master_priority": 0 if seen.master else int(facts.get("master_priority", 0)),
        "last_transition": float(facts.get("since", 0.0)),
        "garp_delay": seconds(garp.master_delay_ns),
        "garp_refresh": seconds(garp.master_refresh_ns),
        "garp_rep": garp.master_repeat,
        "garp_refresh_rep": garp.master_refresh_repeat,
        "garp_lower_prio_delay": seconds(garp.lower_prio_delay_ns),
        "garp_lower_prio_rep": garp.lower_prio_repeat,
        "lower_prio_no_advert": _number(instance, "lower_prio_no_advert"),
        "higher_prio_send_advert": _number(instance, "higher_prio_send_advert"),
        "vrid": instance.vrid,
        "base_priority": instance.priority,
        "effective_priority": int(facts.get("priority", instance.priority)),
        "vipset": seen.master,
        "promote_secondaries": bool(getattr(instance, "promote_secondaries", False)),
        "adver_int": seconds(instance.advert_int_ns),
        "master_adver_int": seconds(int(facts.get("master_advert_int_ns", instance.advert_int_ns))),
        "accept": int(bool(getattr(instance, "accept", True))),
        "nopreempt": not instance.preempt,
        "preempt_delay": seconds(instance.preempt_delay_ns),
        "state": STATES.get(seen.state, 0),
        "wantstate": STATES[wanted_state(seen)],
        "version": instance.version,
        "smtp_alert": instance.smtp_alert,
        "notify_deleted": instance.notify.deleted is not None or instance.notify.says_deleted,
    }
    for attribute, key in SCRIPTS.items():
        if (script := getattr(instance.notify, attribute, None)) is not None:
            said[key] = command(script)
    said |= _lists(seen)
    said["auth_type"] = AUTH.get(instance.auth.kind, 0)
    if instance.auth.kind != "none":
        said["auth_data"] = "*" * 8  # keepalived 2.2.7 tells it
    return said


def _lists(seen: Seen) -> dict[str, list[str]]:
    """Lists, without the empty ones."""
    instance = seen.instance
    lists = {
        "vips": [address(one, instance.interface, seen.master) for one in instance.addresses],
        "evips": [address(one, instance.interface, seen.master) for one in getattr(instance, "excluded", ())],
        "vroutes": [str(route) for route in getattr(instance, "routes", ())],
        "vrules": [str(rule) for rule in getattr(instance, "rules", ())],
    }
    for kind, key in TRACKS.items():
        lists[key] = [f"{t.name} weight {t.weight}" for t in instance.track if t.kind == kind]
    return {key: texts for key, texts in lists.items() if texts}


def _number(instance: VrrpInstance, name: str) -> int:
    """1 for a switch that is on, if there is such a switch."""
    return int(bool(getattr(instance, name, False)))
