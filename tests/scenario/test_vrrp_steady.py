"""The steady state makes no Python object: a lane of masters feeds a lane of backups through a datagram socket,
on one reactor, for hundreds of periods."""

from __future__ import annotations

import gc
import socket
import sys

from fastha.loop.reactor import Reactor
from fastha.model.units import NS_PER_MS, NS_PER_S
from fastha.vrrp.lane import Lane
from fastha.vrrp.machine import Role
from fastha.wire import advert

ROUTERS = 100
INTERVAL_NS = 10 * NS_PER_MS
ROLES = list(Role)
GROUP = "224.0.0.18"


def test_neither_heard_nor_sent_adverts_touch_python() -> None:
    out, into = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    out.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    reactor = Reactor()
    lane = Lane(reactor)
    served = []
    try:
        out.setblocking(False)
        into.setblocking(False)
        slot = lane.add_socket(into.fileno())
        now = reactor.now_ns()
        masters, backups = [], []
        for vrid in range(1, ROUTERS + 1):
            frame = advert.encode("10.0.0.1", GROUP, 3, vrid, 200, 1, ["10.0.1.1"])
            for own, role, where in ((1, Role.MASTER, masters), (2, Role.BACKUP, backups)):
                index = lane.add()
                where.append(index)
                lane.configure(
                    index, slot=slot if role is Role.BACKUP else -1, listen_ip=socket.inet_aton(GROUP), version=3,
                    vrid=vrid, own_ip=0x0A000000 + own, advert_int_ns=INTERVAL_NS, silence_ns=100 * NS_PER_S,
                    down_adverts=100, preempt=True, patient=False, auth=b"", addresses=socket.inet_aton("10.0.1.1"),
                    tx_fd=out.fileno() if role is Role.MASTER else -1, frames=[(frame, 0, b"")],
                )  # fmt: skip
                # Masters begin at different moments and backups have a long breath: a busy machine changes nothing.
                due = now + vrid * INTERVAL_NS // ROUTERS if role is Role.MASTER else now + 60 * NS_PER_S
                lane.load(index, ROLES.index(role), 200, due, INTERVAL_NS, 0x0A000001, 200, False, False)
        reactor.before_sleep(lambda: served.append(lane.take()))
        blocks = []

        def stop() -> None:
            blocks.append(sys.getallocatedblocks())
            reactor.stop()

        reactor.call_later(NS_PER_S, stop)
        gc.collect()
        blocks.append(sys.getallocatedblocks())
        reactor.run()
        sent = sum(int(str(lane.counters(i)["sent"])) for i in masters)
        heard = sum(int(str(lane.counters(i)["received"])) for i in backups)
    finally:
        lane.close()
        reactor.close()
        out.close()
        into.close()
    assert sent > ROUTERS * 20, "hundreds of periods passed even on a busy machine"
    assert heard > 0.9 * sent
    assert served in ([], [[]]), "Python was asked for nothing but to stop"
    # Other threads of this process have a few: that which runs the tests is told meanwhile what is to be run next.
    assert abs(blocks[1] - blocks[0]) < sent // 50, f"{blocks[1] - blocks[0]} blocks for {sent} sent, {heard} heard"
