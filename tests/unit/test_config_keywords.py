"""The keyword table against the list of what keepalived knows, counted, and against the code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from fastha.config import keywords
from fastha.config.build_buffers import BUFFER_WORDS
from fastha.config.build_processes import WORDS as PROCESS_WORDS
from fastha.config.keywords import FREE, SCRIPT_WORDS, TABLE, Status
from fastha.config.keywords.table import ROOT

CONNECTION = "connect_ip connect_port bindto bind_port bind_if connect_timeout fwmark"
SCHEDULING = "retry delay_before_retry warmup delay_loop alpha log_all_failures"
COMMON = f"{CONNECTION} {SCHEDULING}"
HTTP = f"{COMMON} nb_get_retry virtualhost http_protocol enable_sni sni_name fast_recovery url"
URL = """path digest status_code virtualhost regex regex_no_match regex_options regex_min_offset regex_max_offset
    regex_stack"""
TRACK = "track_interface track_script track_file track_process track_bfd"

# block -> (how many keywords keepalived registers in it, which)
EXPECTED = {
    ROOT: (25, """linkbeat_use_polling net_namespace net_namespace_ipvs namespace_with_ipsets use_pid_dir instance
        child_wait_time
        global_defs track_group static_ipaddress static_routes static_rules interface_up_down_delays linkbeat_interfaces
        vrrp_sync_group garp_group vrrp_instance vrrp_script vrrp_track_process track_file vrrp_track_file bfd_instance
        SSL virtual_server_group virtual_server"""),
    "global_defs": (140, """router_id notification_email notification_email_from smtp_server smtp_helo_name
        smtp_connect_timeout smtp_alert smtp_alert_vrrp smtp_alert_checker no_email_faults no_checker_emails script_user
        enable_script_security set_supplementary_groups use_symlink_paths startup_script shutdown_script
        startup_script_timeout shutdown_script_timeout umask random_seed
        process_names process_name vrrp_process_name checker_process_name bfd_process_name lvs_process_name
        vrrp_priority checker_priority bfd_priority vrrp_no_swap checker_no_swap bfd_no_swap vrrp_rt_priority
        checker_rt_priority bfd_rt_priority vrrp_cpu_affinity checker_cpu_affinity bfd_cpu_affinity vrrp_rlimit_rttime
        checker_rlimit_rttime bfd_rlimit_rttime vrrp_rlimit_rtime checker_rlimit_rtime bfd_rlimit_rtime
        max_auto_priority min_auto_priority_delay vrrp_netlink_cmd_rcv_bufs vrrp_netlink_cmd_rcv_bufs_force
        vrrp_netlink_monitor_rcv_bufs vrrp_netlink_monitor_rcv_bufs_force lvs_netlink_cmd_rcv_bufs
        lvs_netlink_cmd_rcv_bufs_force lvs_netlink_monitor_rcv_bufs lvs_netlink_monitor_rcv_bufs_force
        process_monitor_rcv_bufs process_monitor_rcv_bufs_force vrrp_rx_bufs_policy vrrp_rx_bufs_multiplier
        vrrp_version default_interface dynamic_interfaces disable_local_igmp v3_checksum_as_v2 vrrp_mcast_group4
        vrrp_mcast_group6 vrrp_garp_master_delay vrrp_garp_master_repeat vrrp_garp_master_refresh
        vrrp_garp_master_refresh_repeat vrrp_garp_lower_prio_delay vrrp_garp_lower_prio_repeat vrrp_garp_interval
        vrrp_gna_interval vrrp_min_garp vrrp_garp_extra_if vrrp_vmac_garp_intvl vrrp_down_timer_adverts
        vrrp_lower_prio_no_advert vrrp_higher_prio_send_advert vrrp_check_unicast_src vrrp_skip_check_adv_addr
        vrrp_strict vrrp_owner_ignore_adverts vrrp_startup_delay vrrp_delay_after_boot vrrp_notify_priority_changes
        log_unknown_vrids vmac_prefix vmac_addr_prefix
        vrrp_iptables vrrp_ipsets nftables nftables_priority nftables_counters nftables_ifindex nftables_ipvs
        nftables_ipvs_priority nftables_ipvs_start_fwmark lvs_timeouts lvs_flush lvs_flush_on_stop lvs_flush_onstop
        lvs_sync_daemon checker_log_all_failures rs_init_notifies snmp_socket enable_traps enable_snmp_vrrp
        enable_snmp_keepalived enable_snmp_checker enable_snmp_rfcv2 enable_snmp_rfcv3 enable_snmp_rfc
        snmp_vs_stats_update_interval snmp_rs_stats_update_interval enable_dbus dbus_service_name dbus_no_interface_name
        notify_fifo vrrp_notify_fifo lvs_notify_fifo notify_fifo_script vrrp_notify_fifo_script lvs_notify_fifo_script
        fifo_write_vrrp_states_on_reload reload_file reload_check_config reload_time_file reload_repeat include_check
        config_save_dir tmp_config_directory data_use_instance state_dump_file stats_dump_file json_dump_file
        json_version iproute_usr_dir iproute_etc_dir"""),
    "vrrp_instance": (70, f"""interface virtual_router_id state priority advert_int version nopreempt preempt
        preempt_delay accept no_accept strict_mode skip_check_adv_addr down_timer_adverts timer_expired_backup
        thread_timer_expired lower_prio_no_advert higher_prio_send_advert owner_ignore_adverts v3_checksum_as_v2
        old_unicast_checksum unicast_src_ip unicast_peer unicast_ttl unicast_fault_no_peer check_unicast_src
        mcast_src_ip mcast_dst_ip track_src_ip dont_track_primary {TRACK} virtual_ipaddress
        virtual_ipaddress_excluded no_virtual_ipaddress virtual_routes virtual_rules promote_secondaries use_vmac
        use_vmac_addr vmac_xmit_base use_ipvlan vrf native_ipv6 linkbeat_use_polling debug kernel_rx_buf_size
        garp_master_delay garp_master_repeat garp_master_refresh garp_master_refresh_repeat garp_lower_prio_delay
        garp_lower_prio_repeat garp_extra_if vmac_garp_intvl notify_master notify_backup notify_fault notify_stop
        notify_deleted notify_master_rx_lower_pri notify smtp_alert notify_priority_changes lvs_sync_daemon_interface
        authentication auth_hmac"""),
    "authentication": (2, "auth_type auth_pass"),
    "auth_hmac": (5, "key active_key mode anti_replay time_window"),
    "vrrp_sync_group": (15, f"""group {TRACK} sync_group_tracking_weight global_tracking notify_master notify_backup
        notify_fault notify_stop notify smtp_alert notify_priority_changes"""),
    "vrrp_script": (8, "script interval timeout weight rise fall user init_fail"),
    "vrrp_track_process": (9, """process param_match weight quorum quorum_max terminate_delay fork_delay delay
        full_command"""),
    "track_file": (3, "file weight init_file"),
    "garp_group": (4, "garp_interval gna_interval interface interfaces"),
    "track_group": (1, "group"),
    "bfd_instance": (15, """neighbor_ip neighbour_ip source_ip min_rx min_tx idle_tx multiplier ttl hoplimit max_hops
        multihop passive weight vrrp checker"""),
    "SSL": (4, "password ca certificate key"),
    "virtual_server": (39, """protocol ip_family delay_loop delay_before_retry retry warmup connect_timeout lb_algo
        lvs_sched ops flag-1 flag-2 flag-3 sh-port sh-fallback mh-port mh-fallback hashed lb_kind lvs_method
        persistence_timeout persistence_engine persistence_granularity quorum hysteresis alpha omega ha_suspend
        quorum_up quorum_down inhibit_on_failure sorry_server sorry_server_inhibit sorry_server_lvs_method virtualhost
        smtp_alert weight snmp_name real_server"""),
    "real_server": (26, """weight lvs_method uthreshold lthreshold inhibit_on_failure alpha smtp_alert virtualhost retry
        delay_before_retry warmup connect_timeout delay_loop snmp_name notify_up notify_down
        TCP_CHECK HTTP_GET SSL_GET SMTP_CHECK DNS_CHECK MISC_CHECK UDP_CHECK PING_CHECK FILE_CHECK BFD_CHECK"""),
    "TCP_CHECK": (13, COMMON),
    "PING_CHECK": (13, COMMON),
    "HTTP_GET": (20, HTTP),
    "SSL_GET": (21, f"{HTTP} tls_compliant"),
    "url": (10, URL),
    "ssl_url": (11, f"{URL} tls_compliant"),
    "UDP_CHECK": (17, f"{COMMON} payload require_reply min_reply_length max_reply_length"),
    "DNS_CHECK": (15, f"{COMMON} type name"),
    "GRPC_CHECK": (13, COMMON),
    "SMTP_CHECK": (15, f"{COMMON} helo_name host"),
    "smtp_host": (13, COMMON),
    "MISC_CHECK": (10, f"{SCHEDULING} misc_path misc_timeout misc_dynamic user"),
    "FILE_CHECK": (2, "track_file weight"),
    "BFD_CHECK": (2, "name alpha"),
}  # fmt: skip
TLS = "tls_verify tls_verify_name tls_ca tls_expiry_days".split()
OWN = {
    ("real_server", "GRPC_CHECK"),
    ("SSL_GET", "http2"),
    *(("SSL_GET", w) for w in TLS),
    *(("GRPC_CHECK", w) for w in ["service", "authority", "tls", "enable_sni", "sni_name", *TLS]),
    ("vrrp_instance", "track_virtual_server"),
    ("vrrp_instance", "staged_addresses"),
    ("global_defs", "address_lease"),
    ("global_defs", "nft_masquerade"),
    ("virtual_server", "nft_masquerade"),
    ("virtual_server", "panic_threshold"),
    ("virtual_server", "removal_limit"),
    ("virtual_server", "rise"),
    ("real_server", "rise"),
    *((block, "rise") for block, (_count, words) in EXPECTED.items() if "delay_before_retry" in words.split()),
    *(("global_defs", f"smtp_{w}") for w in ["tls", "user", "password", "password_file"]),
    *(("global_defs", f"smtp_tls_{w}") for w in ["verify", "verify_name", "ca"]),
    ("TCP_CHECK", "close_reset"),
    ("HTTP_GET", "close_reset"),
}
DISTINCT = 363  # over all build options; one build registers a few less
# Registered after 2.2.7, the release in Debian 12.
NEWER = """active_key anti_replay auth_hmac dbus_no_interface_name iproute_etc_dir iproute_usr_dir json_dump_file
    json_version mode multihop no_virtual_ipaddress owner_ignore_adverts set_supplementary_groups sni_name
    snmp_rs_stats_update_interval snmp_vs_stats_update_interval state_dump_file stats_dump_file thread_timer_expired
    time_window timer_expired_backup tls_compliant use_symlink_paths v3_checksum_as_v2 vrrp_delay_after_boot
    vrrp_owner_ignore_adverts""".split()


@pytest.mark.parametrize("block", EXPECTED)
def test_block_has_exactly_keepaliveds_keywords(block: str) -> None:
    count, text = EXPECTED[block]
    words = text.split()
    assert len(words) == len(set(words)) == count
    assert {w for w in TABLE[block] if (block, w) not in OWN} == set(words)


def test_no_other_blocks() -> None:
    assert set(TABLE) == set(EXPECTED)
    assert {(b, w) for b, words in TABLE.items() for w, k in words.items() if k.own} == OWN


def test_distinct_words() -> None:
    expected = {w for _, text in EXPECTED.values() for w in text.split()}
    table = {w for b, words in TABLE.items() for w in words if (b, w) not in OWN}
    assert table == expected
    assert len(table) == DISTINCT


def test_newer_words_say_since_when() -> None:
    # Some words are old in one block and new in another; every new one says so at least once, no old one does.
    since = {w for words in TABLE.values() for w, k in words.items() if k.since}
    assert since == {*NEWER, "key"}  # `key` is old in SSL and new in auth_hmac


def test_entries_are_complete() -> None:
    for block, words in TABLE.items():
        for word, k in words.items():
            assert k.word == word
            assert k.block == block
            assert len(k.help) > 5, (block, word)
            assert k.help[0].isupper(), (block, word)
            assert not k.help.endswith("."), (block, word)
            assert k.most is None or k.least <= k.most, (block, word)
            assert not k.opens or k.opens in TABLE or k.opens in FREE, (block, word)
            assert not k.alias_of or TABLE[block][k.alias_of].alias_of == "", (block, word)
            if k.range:
                assert k.low is not None, (block, word)


def test_every_block_is_opened_by_a_keyword() -> None:
    opened = {k.opens for words in TABLE.values() for k in words.values()}
    assert opened - {""} == (set(TABLE) | set(FREE)) - {ROOT}


def test_script_words() -> None:
    assert {"notify_up", "quorum_down", "misc_path", "script", "notify", "vrrp_notify_fifo_script"} <= SCRIPT_WORDS
    assert "process" not in SCRIPT_WORDS


def handled_words() -> set[str]:
    """Every string that code outside the table names."""
    out = set()
    for path in Path(keywords.__file__).parent.parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                out.add(node.value)
    return out


def test_supported_words_have_code() -> None:
    handled = handled_words() | PROCESS_WORDS.keys() | BUFFER_WORDS
    for block, words in TABLE.items():
        if block == "PING_CHECK":
            continue
        for word, k in words.items():
            if k.status is Status.SUPPORTED and not k.alias_of:
                assert word in handled or f"vrrp_{word}" in handled or word.removeprefix("vrrp_") in handled, word


def test_script_words_are_those_of_the_table() -> None:
    assert {k.word for words in TABLE.values() for k in words.values() if k.script} == SCRIPT_WORDS
