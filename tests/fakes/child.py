"""A child that speaks the channel and does nothing else.

What it does comes from its part of the configuration: the name of its first instance, or the scheduler of its first
virtual server, is a list of words (`refuse`, `slow-ready` ...). It writes what it sees, one JSON line each, into a
file, $FAKE_CHILD_LOG.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from typing import Any

from fastha.channel.endpoint import Closed, Endpoint
from fastha.channel.messages import Message
from fastha.child.parts import Parts
from fastha.model.codec import dumps


class FakeChild:
    def __init__(self, role: str, fd: int) -> None:
        self.role = role
        self.endpoint = Endpoint.inherited(fd)
        self.words: set[str] = set()
        self.parts = Parts()
        self.pending: dict[str, Any] = {}
        self.reported: list[str] = []
        self.turns = 0
        self.beat_at = 0.0

    def note(self, what: str, **fields: object) -> None:
        line = json.dumps({"role": self.role, "pid": os.getpid(), "what": what, **fields}) + "\n"
        fd = os.open(os.environ["FAKE_CHILD_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(fd, line.encode())
        os.close(fd)

    def run(self) -> None:
        self.note("start", pgid=os.getpgid(0), fds=sorted(os.listdir("/proc/self/fd"), key=int))
        self.endpoint.send(type="hello", role=self.role, pid=os.getpid())
        while True:
            now = time.monotonic()
            if now >= self.beat_at:
                self.turns += 1
                self.beat_at = now + 0.25
                if "mute" not in self.words:
                    self.endpoint.send(
                        type="heartbeat", turns=self.turns, lag_ns=1000, lag=[self.turns, 0, 0, 0, 0, 0], rss_kb=10_000
                    )
            writers = [self.endpoint] if self.endpoint.wants_write() else []
            readable, _, _ = select.select([self.endpoint], writers, [], max(0.0, self.beat_at - now))
            if writers:
                self.endpoint.flush()
            if readable:
                for message in self.endpoint.receive():
                    self.handle(message)

    def handle(self, message: Message) -> None:
        kind = message["type"]
        told = {k: v for k, v in message.items() if k not in ("type", "config")}
        if kind == "propose":
            told["previous"] = self.parts.proposed_so_far | message["previous"]
        self.note(kind, **told)
        getattr(self, f"on_{kind}")(message)

    def on_propose(self, message: Message) -> None:
        rows, base, previous = self.parts.proposed(message)
        draft = list(self.parts.draft(message["generation"], rows, base))[-1]
        assert draft is not None
        config = json.loads(dumps(draft.config))
        names = [i["name"] for i in config["instances"]] + [s["scheduler"] for s in config["virtual_servers"]]
        names += [b["name"] for b in config["bfds"]]
        words = set(names[0].split()) if names else set()
        self.pending = {"words": words, "names": names, "config": config, "draft": draft}
        if "crash" in words:
            os._exit(7)
        if "reject" in words:
            os._exit(2)
        if "crash-again" in words and previous:
            os._exit(7)
        if "never-ready" in words:
            return
        if "garbage" in words:
            os.write(self.endpoint.fileno(), b"\0\0\0\2[]")
            return
        if "slow-ready" in words:
            self.endpoint.send(type="heartbeat", turns=1, lag_ns=0, lag=[0] * 6, rss_kb=1)
            time.sleep(2.0)
        if "refuse" in words:
            self.endpoint.send(type="refused", generation=message["generation"], reason="eth9: no such interface")
        else:
            self.endpoint.send(type="ready", generation=message["generation"])

    def on_parts(self, message: Message) -> None:
        self.parts.take_parts(message)

    def on_previous(self, message: Message) -> None:
        self.parts.take_previous(message)

    def on_commit(self, message: Message) -> None:
        list(self.parts.commit(self.pending["draft"]))
        self.words = self.pending["words"]
        names = self.pending["names"]
        if self.role == "vrrp":
            gone = dict.fromkeys(self.reported)
            self.endpoint.send(type="facts", facts={"instances": gone | {n: {"state": "master"} for n in names}})
            self.reported = names
        elif self.role == "bfd":
            self.endpoint.send(type="facts", facts={"sessions": {n: {"state": "up"} for n in names}})
            self.endpoint.send(type="bfd", states=dict.fromkeys(names, True))
        else:
            keys = [f"{s['ip']}:{s['port']}/{s['protocol'].lower()}" for s in self.pending["config"]["virtual_servers"]]
            self.endpoint.send(type="facts", facts={"virtual_servers": {k: {"up": True} for k in keys}})
            self.endpoint.send(type="quorum", states=dict.fromkeys(keys, True))
        self.endpoint.send(
            type="event", event={"kind": "committed", "subject": names[0] if names else "", "text": "fake is happy"}
        )
        self.endpoint.send(type="committed", generation=message["generation"])
        if "script" in self.words:
            for n in range(5):
                argv = ["/bin/sh", "-c", f"echo {n} >> {os.environ['FAKE_CHILD_LOG']}.scripts"]
                self.endpoint.send(type="script", script={"argv": argv, "user": "", "group": ""}, subject=self.role)

    def on_abandon(self, message: Message) -> None:
        self.pending = {}

    def on_quorums(self, message: Message) -> None:
        pass

    def on_overrides(self, message: Message) -> None:
        pass

    on_masters = on_bfds = on_vrrp_overrides = on_overrides

    def on_resync(self, message: Message) -> None:
        self.endpoint.send(type="resynced", ticket=message["ticket"], ok=True, operations=2, text="as told")

    def on_stop(self, message: Message) -> None:
        if "deaf" in self.words:
            return
        self.note("stopped")
        sys.exit(0)


if __name__ == "__main__":
    for number in (signal.SIGINT, signal.SIGTERM):
        assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)
    fake = FakeChild(sys.argv[1], int(sys.argv[sys.argv.index("--channel") + 1]))
    try:
        fake.run()
    except Closed:
        fake.note("orphaned")
