"""What Python sees of the lane (engine.pxd is the native side)."""

from collections.abc import Sequence

from fastha.loop.reactor import Reactor
from fastha.vrrp.sealed import Seal

REASONS: tuple[str, ...]

TIMER: int
ADVERT: int
ZERO: int
ADDRESSES: int
REMEMBERED: int  # peers with other addresses than ours, of a router

class Lane:
    """All routers of a process. One per reactor. Indexes and slots are reused after removal."""

    reactor: Reactor
    rest_ns: int  # between two looks at sockets where adverts come all the time
    def __init__(self, reactor: Reactor) -> None: ...
    def add_socket(self, fd: int, six: bool = False, hears_for: int = -1) -> int:
        """Receive from this non-blocking raw socket (the caller keeps and closes it); returns its slot. `six`: an IPv6
        one, which says hop limit and destination (IPV6_RECVHOPLIMIT, IPV6_RECVPKTINFO). `hears_for`: a slot whose
        routers hear what comes here."""
    def remove_socket(self, slot: int) -> None:
        """Forget it, before it is closed. Its routers hear nothing until configured with another."""
    def add(self) -> int:
        """A new router: role init, no timer, no frame. Returns its index."""
    def remove(self, index: int) -> None: ...
    def configure(
        self,
        index: int,
        *,
        slot: int,
        listen_ip: bytes,
        version: int,
        vrid: int,
        own_ip: int,
        advert_int_ns: int,
        silence_ns: int,
        down_adverts: int,
        preempt: bool,
        patient: bool,
        auth: bytes,
        addresses: bytes,
        tx_fd: int,
        frames: Sequence[tuple[bytes, int, bytes]],
        second_slot: int = -1,
        trusting: bool = False,
        plain_sum: bool = False,
        old_sum: int = 0,
        allowed: Sequence[tuple[int, int, int]] = (),
        deaf: bool = False,
    ) -> None:
        """Set rules and frames; state and counters stay.

        `slot` -1 and `tx_fd` -1: none. `second_slot`: one that hears for `slot`; drained as it is before silence
        counts. `listen_ip`: 4 or 16 bytes, the destination this router's adverts come to. `auth`: empty or the 8 bytes
        of a type 1 password. `addresses`: as many bytes each. Each frame is (bytes, offset of the IP packet in it,
        socket address as the kernel's struct, empty for a connected socket). `trusting`: addresses are compared only in
        the first advert of a master. `plain_sum`, `old_sum`: other version 3 checksums that are right as well: without
        a pseudo header, and with this destination in it (0: none); not with a seal. `allowed`: (number, lowest and
        highest TTL) of those who may speak; empty: everybody.
        """
    def seal(self, index: int, spec: Seal | None, silence_ns: int, sequence: int = 0) -> None:
        """How adverts are signed and verified; before `configure`, whose frames have room for it. Numbers and what was
        heard stay, unless the kind changes. `sequence`: a number that peers may have heard already. OSError: libcrypto
        lacks the digest."""
    def load(
        self,
        index: int,
        role: int,
        priority: int,
        deadline_ns: int,
        master_adver_ns: int,
        master_ip: int,
        master_priority: int,
        holding: bool,
        delaying: bool,
    ) -> None:
        """Set the state that the machine decided and arm its timer (deadline -1: none)."""
    def timers(self, index: int) -> tuple[int, int]:
        """(deadline_ns or -1, master_adver_ns): what the lane itself may have moved since `load`."""
    def send(self, index: int, priority: int) -> None:
        """Send the frames now, once with another priority if it differs from the loaded one."""
    def take(self) -> list[tuple[int, int, int, int, int, int]]:
        """(index, TIMER | ADVERT | ZERO | ADDRESSES, priority, src, adver_ns, heard_ns) of all dirty routers."""
    def counters(self, index: int) -> dict[str, object]:
        """sent, send_errors, last_errno, received, zero_received, addresses_differ, sequence (the last number; only if
        adverts are signed), late_max_ns, late (a list: the steps of loop/lateness.pxd), discarded {reason: n, only
        those above 0}."""
    def socket_counters(self, slot: int) -> dict[str, int]:
        """unknown_vrid, malformed, errors."""
    def peers(self, index: int) -> list[tuple[int, int, int, int]]:
        """(address, priority, adverts, heard_ns of the last) of those who spoke for this virtual router; priority 0: it
        has resigned."""
    def strangers(self, slot: int) -> dict[int, int]:
        """VRID -> who spoke last for it, of VRIDs that no router of this slot has."""
    def breathe(self) -> None:
        """From inside a long piece of Python: serve native descriptors and timers now. Costs one epoll_wait."""
    def hear(self, slot: int, packet: bytes, now_ns: int) -> bool:
        """As if the socket had received this IP packet, with its header (tests and benchmarks). True if a router became
        dirty."""
    def hear_many(self, slot: int, packet: bytes, now_ns: int, times: int) -> int:
        """The same again and again without returning to Python (benchmarks); how often a router became dirty."""
    def fire(self, index: int, now_ns: int) -> bool:
        """As if the router's timer were due now (tests). True if it became dirty."""
    def close(self) -> None:
        """Disarm everything and release the memory. Idempotent."""
