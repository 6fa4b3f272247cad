"""Families about VRRP and BFD. Pure: the answer to `status` in, families out.

Names that begin with keepalived_ are those of keepalived_exporter (mehdy), with its labels: `iname`, `intf`, `vrid`,
`state`, `ip_address`. Two of its names are left out: keepalived_gratuitous_arp_delay_total is a setting under a
counter's name, and keepalived_exporter_check_script_status is a script of the exporter's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fastha.watch.families import Family, Kind, of, section

STATES = ("init", "backup", "master", "fault")  # keepalived's numbers, 0 to 3
NS = 1e-9
ALONE_S = 10.0  # adverts of another master are told within 5 s; older ones are history

# Of keepalived's reasons for dropping an advert: our words for the same (wire.advert.VERDICTS, vrrp.lane.REASONS).
DROPPED = {
    "packet_length_errors": (("short", "length"), "Adverts of a wrong length."),
    "advertisements_interval_errors": (("interval",), "Adverts with another interval."),
    "ip_ttl_errors": (("ttl",), "Adverts whose TTL is not 255."),
    "invalid_type_received": (("type",), "VRRP packets that are no adverts."),
    "authentication_invalid": (
        ("auth_type", "auth_missing", "auth_shape"),
        "Adverts with another kind of authentication, or none.",
    ),
    "authentication_failure": (
        ("auth_password", "auth_stranger", "auth_key", "auth_time", "auth_digest", "auth_replay"),
        "Adverts with a wrong password, key or signature, or played again.",
    ),
}
COUNTERS = {
    "advertisements_received": ("received", "Adverts received and accepted."),
    "advertisements_sent": ("sent", "Adverts sent."),
    "become_master": ("became_master", "Times the instance became master."),
    "priority_zero_received": ("zero_received", "Adverts by which a master resigned."),
    "priority_zero_sent": ("zero_sent", "Adverts by which we resigned."),
    "address_list_errors": ("addresses_differ", "Adverts with another list of addresses."),
}


def vrrp(status: Mapping[str, Any]) -> Iterator[Family]:
    instances = [
        (str(name), one) for name, one in section(status, "vrrp", "instances").items() if isinstance(one, Mapping)
    ]
    yield from _as_keepalived(instances)
    now = float(status.get("now") or 0)

    def own(name: str, kind: Kind, text: str, value: str, scale: float = 1) -> Family:
        rows = [((i,), None if one.get(value) is None else one[value] * scale) for i, one in instances]
        return of(f"fastha_vrrp_{name}", kind, text, "vrrp_instance", rows)

    yield of(
        "fastha_vrrp_master", "gauge", "1 while the instance is master.", "vrrp_instance",
        [((i,), one.get("state") == "master") for i, one in instances],
    )  # fmt: skip
    yield of(
        "fastha_vrrp_fault", "gauge", "1 while the instance cannot take part.", "vrrp_instance",
        [((i,), one.get("state") == "fault") for i, one in instances],
    )  # fmt: skip
    yield of(
        "fastha_vrrp_two_masters", "gauge", "1 while we are master and hear another master.", "vrrp_instance",
        [((i,), two_masters(one, now)) for i, one in instances],
    )  # fmt: skip
    yield own("priority", "gauge", "Effective priority.", "priority")
    yield own("state_changed_timestamp_seconds", "gauge", "When it came into its state.", "since")
    yield own("advert_interval_seconds", "gauge", "Interval of adverts.", "advert_int_ns", NS)
    yield own("addresses_repaired", "counter", "Addresses that somebody removed and we put back.", "repaired")
    yield own("send_errors", "counter", "Adverts that could not be sent.", "send_errors")
    yield own("advert_late_max_seconds", "gauge", "The latest advert since the process started.", "late_max_ns", NS)
    yield own("advert_lateness_seconds", "histogram", "How late our adverts were.", "late")
    yield of(
        "fastha_vrrp_discarded", "counter", "Adverts discarded, by reason.", "vrrp_instance reason",
        [((i, str(r)), n) for i, one in instances for r, n in section(one, "discarded").items()],
    )  # fmt: skip
    interfaces = section(status, "vrrp", "interfaces").items()
    for word in ("unknown_vrid", "malformed", "errors"):
        yield of(
            f"fastha_vrrp_interface_{word}", "counter", f"VRRP packets heard that belong to no instance: {word}.",
            "interface", [((str(name),), counts.get(word)) for name, counts in interfaces],
        )  # fmt: skip
    yield from bfd(status)


def two_masters(instance: Mapping[str, Any], now: float) -> bool | None:
    """Whether another one speaks while we are master; None if it is not known who speaks."""
    if "peers" not in instance:
        return None
    if instance.get("state") != "master":
        return False
    interval = float(instance.get("advert_int_ns") or 0) * NS
    # What was under way when we became master is no second master.
    after = max(float(instance.get("since") or 0) + 2 * interval, now - max(ALONE_S, 3 * interval))
    return any(peer.get("priority", 0) > 0 and peer.get("heard", 0) > after for peer in instance["peers"])


def _as_keepalived(instances: list[tuple[str, Mapping[str, Any]]]) -> Iterator[Family]:
    labels = "iname intf vrid state"
    keys = [
        (name, str(one.get("interface", "")), str(one.get("vrid", "")), str(one.get("state", "")).upper())
        for name, one in instances
    ]
    yield of(
        "keepalived_vrrp_state", "gauge", "State of the instance: 0 init, 1 backup, 2 master, 3 fault.",
        "iname intf vrid ip_address",
        [
            ((key[0], key[1], key[2], address), STATES.index(one["state"]))
            for key, (_, one) in zip(keys, instances, strict=True)
            if one.get("state") in STATES
            for address in dict.fromkeys(map(str, one.get("addresses", ())))
        ],
    )  # fmt: skip
    for name, (field, text) in COUNTERS.items():
        rows = [(key, one.get(field)) for key, (_, one) in zip(keys, instances, strict=True)]
        yield of(f"keepalived_{name}", "counter", text, labels, rows)
    yield of(
        "keepalived_release_master", "counter", "Times the instance ceased to be master.", labels,
        [
            (key, max(0, one.get("became_master", 0) - (one.get("state") == "master")))
            for key, (_, one) in zip(keys, instances, strict=True)
        ],
    )  # fmt: skip
    for name, (reasons, text) in DROPPED.items():
        yield of(
            f"keepalived_{name}", "counter", text, labels,
            [
                (key, sum(section(one, "discarded").get(reason, 0) for reason in reasons))
                for key, (_, one) in zip(keys, instances, strict=True)
            ],
        )  # fmt: skip


def bfd(status: Mapping[str, Any]) -> Iterator[Family]:
    sessions = [
        (str(name), one) for name, one in section(status, "bfd", "sessions").items() if isinstance(one, Mapping)
    ]

    def own(name: str, kind: Kind, text: str, value: str, scale: float = 1) -> Family:
        rows = [((i,), None if one.get(value) is None else one[value] * scale) for i, one in sessions]
        return of(f"fastha_bfd_{name}", kind, text, "session", rows)

    yield of(
        "fastha_bfd_up", "gauge", "1 while the session is up.", "session",
        [((i,), one.get("state") == "up") for i, one in sessions],
    )  # fmt: skip
    yield own("state_changed_timestamp_seconds", "gauge", "When it came into its state.", "since")
    yield own("became_up", "counter", "Times the session came up.", "became_up")
    yield own("packets_sent", "counter", "Packets sent.", "sent")
    yield own("packets_received", "counter", "Packets received and accepted.", "received")
    yield own("send_errors", "counter", "Packets that could not be sent.", "send_errors")
    yield own("lateness_seconds", "histogram", "How late our packets were.", "late")
    yield own("detection_time_seconds", "gauge", "Silence that ends the session.", "detection_us", 1e-6)
    yield of(
        "fastha_bfd_discarded", "counter", "Packets discarded, by reason.", "session reason",
        [((i, str(r)), n) for i, one in sessions for r, n in section(one, "discarded").items()],
    )  # fmt: skip
