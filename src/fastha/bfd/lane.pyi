"""What Python sees of the lane (engine.pxd is the native side)."""

from fastha.loop.reactor import Reactor
from fastha.wire.bfd import Control

REASONS: tuple[str, ...]

PACKET: int
TIMER: int
REOPEN: int

class Lane:
    """All sessions of a process. One per reactor. Indexes are reused after removal."""

    reactor: Reactor
    def __init__(self, reactor: Reactor) -> None: ...
    def add_socket(self, fd: int, family: int, multihop: bool) -> int:
        """Hear this non-blocking UDP socket (at most four; the caller keeps it, and closes it after `close`). It says
        the TTL (IP_RECVTTL, IPV6_RECVHOPLIMIT) and destination (IP_PKTINFO) of packets. Returns its slot."""
    def add(self, *, mine: int, family: int, multihop: bool, peer: bytes, local: bytes, least_ttl: int) -> int:
        """A new session: Down, silent, without a socket. `peer`, `local`: packed addresses (`local` empty: any).
        ValueError if `mine` is 0 or taken. Returns its index."""
    def remove(self, index: int) -> None: ...
    def configure(self, index: int, *, multihop: bool, peer: bytes, local: bytes, least_ttl: int, family: int) -> None:
        """Other rules; state and counters stay."""
    def connect(self, index: int, fd: int) -> None:
        """Send through this connected socket (-1: not at all)."""
    def load(
        self,
        index: int,
        packet: bytes,
        heard: Control,
        interval_ns: int,
        detection_ns: int,
        detect_at_ns: int,
        now_ns: int,
    ) -> None:
        """Set the state that the machine decided and arm its timers.

        `packet`: what is sent every `interval_ns` (0: nothing is) less a jitter. `heard`: what is known of the peer.
        `detect_at_ns` -1: nobody is heard.
        """
    def detect_at(self, index: int) -> int:
        """The detection deadline, which the lane may have moved since `load`; -1: none."""
    def send(self, index: int, final: bool = False) -> None:
        """Send the packet now; `final`: with the F bit."""
    def take(self, most: int) -> list[tuple[int, int, Control | None, int]]:
        """(index, PACKET | TIMER | REOPEN, the packet, when it was heard) of up to `most` dirty sessions, a packet
        before a timer. The others stay dirty: they keep the last packet, and take no short cut."""
    def counters(self, index: int) -> dict[str, object]:
        """sent, send_errors, last_errno, received, late_max_ns, late (a list: the steps of loop/lateness.pxd),
        detect_late_max_ns, discarded {reason: n, only those above 0}."""
    def totals(self) -> dict[str, object]:
        """Of no session: discarded {reason: n, only those above 0}, errors of the sockets."""
    def jittered_ns(self, interval_ns: int) -> int:
        """One draw (tests)."""
    def breathe(self) -> None:
        """From inside a long piece of Python: serve native descriptors and timers now. Costs one epoll_wait."""
    def hear(self, slot: int, packet: bytes, ttl: int, src: bytes, dst: bytes, now_ns: int) -> bool:
        """As if the socket had delivered this datagram (tests and benchmarks). True if a session became dirty."""
    def hear_all(self, slot: int, packets: list[bytes], ttl: int, sources: list[bytes], now_ns: int) -> int:
        """The same for many, each from its source (benchmarks); how many sessions became dirty."""
    def fire(self, index: int, what: int, now_ns: int) -> bool:
        """As if its TIMER (detection) or PACKET (transmission) were due now (tests). True if it became dirty."""
    def close(self) -> None:
        """Disarm everything and forget the sockets. Idempotent."""
