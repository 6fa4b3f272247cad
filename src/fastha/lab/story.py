"""What happens in the laboratory, step by step, and what has to come of it: named expectations, each with a verdict."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from fastha.lab import plan
from fastha.lab.director import Director
from fastha.lab.laboratory import Laboratory
from fastha.lab.measure import Seen
from fastha.lab.witness import now_ns

VICTIM = "server2"
GAP_LIMIT_MS = 500.0
READY_S, DETECT_S, TAKEOVER_S, RETURN_S = 20.0, 5.0, 5.0, 15.0
SETTLE_S = 0.5


@dataclass(frozen=True, slots=True)
class Expectation:
    what: str
    ok: bool
    detail: str = ""

    def __str__(self) -> str:
        return f"{'ok  ' if self.ok else 'FAIL'}  {self.what}{f': {self.detail}' if self.detail else ''}"


@dataclass(slots=True)
class Step:
    """One thing that happens. `seen`: what the client saw of it; `late_ms`: how late the client itself was."""

    title: str
    begin_ns: int
    end_ns: int = 0
    expectations: list[Expectation] = field(default_factory=list)
    seen: Seen = field(default_factory=lambda: Seen(0.0, 0, 0))
    late_ms: float = 0.0

    def expect(self, what: str, ok: object, detail: str = "") -> None:
        self.expectations.append(Expectation(what, bool(ok), detail))

    @property
    def ok(self) -> bool:
        return all(one.ok for one in self.expectations)


@dataclass(slots=True)
class Outcome:
    """The whole story's result."""

    director: str
    dataplane: str
    steps: list[Step] = field(default_factory=list)
    total: Seen = field(default_factory=lambda: Seen(0.0, 0, 0))

    @property
    def ok(self) -> bool:
        return bool(self.steps) and all(step.ok for step in self.steps)

    def plain(self) -> dict[str, Any]:
        """For --json."""
        steps = [
            {
                "title": step.title,
                "ok": step.ok,
                "expectations": [asdict(one) for one in step.expectations],
                "client": asdict(step.seen) | {"client_late_ms": step.late_ms},
            }
            for step in self.steps
        ]
        head = {"ok": self.ok, "director": self.director, "dataplane": self.dataplane}
        return head | {"steps": steps, "total": asdict(self.total)}


class Story:
    """Tells the story in a laboratory. A step that fails does not end it, unless nothing works from the start."""

    def __init__(self, lab: Laboratory) -> None:
        self.lab = lab
        self.outcome = Outcome(lab.options.director, lab.options.dataplane)
        self._step: Step | None = None

    def tell(self) -> Outcome:
        if self.start():
            if self.checks:
                self.kill_a_server()
                self.revive_it()
            self.kill_the_daemon()
            self.restart_it()
            self.pull_the_plug()
            self.power_returns()
        first, last = self.outcome.steps[0], self.outcome.steps[-1]
        self.outcome.total = self.lab.witness.seen(first.end_ns, last.end_ns)
        return self.outcome

    @property
    def checks(self) -> bool:
        """Whether the directors check real servers here."""
        return all(seen.sees_servers for seen in self.lab.observed.values())

    # -- the steps --

    def start(self) -> bool:
        lab = self.lab
        step = self.begin("everything starts", now_ns())
        ready = lab.wait(lambda: self.everything_works() or self.a_daemon_ended(), READY_S)
        if self.a_daemon_ended():
            ready = None
        step.expect(
            "one director is master, all real servers are in both tables, the client is answered",
            ready is not None,
            "a daemon ended at once" if self.a_daemon_ended() else _after(ready, READY_S),
        )
        if ready is not None:
            self.outcome.dataplane = next(iter(lab.observed.values())).backend or self.outcome.dataplane
            self.expect_one_holder(step)
            step.begin_ns = now_ns()  # the client began before there was anybody to answer
            lab.watch(1.0)
            self.end(step)
            seen = step.seen
            step.expect("every request is answered once it runs", seen.lost_total == 0, str(seen))
            step.expect("every real server answers", set(seen.servers) == {s.name for s in plan.SERVERS}, _shares(seen))
        else:
            self.end(step)
        return step.ok

    def kill_a_server(self) -> None:
        lab = self.lab
        step = self.begin(f"{VICTIM} is killed (SIGKILL)")
        lab.kill_server(VICTIM)
        master = lab.master()
        gone = lab.wait(lambda: master and lab.observed[master.name].gives_to(VICTIM) is False, DETECT_S)
        gone_ns = now_ns()
        step.expect("it leaves the master's table", gone is not None, _after(gone, DETECT_S))
        more = lab.wait(lambda: lab.in_no_table(VICTIM), DETECT_S)
        both = None if more is None or gone is None else gone + more
        step.expect("it leaves the backup's table", both is not None, _after(both, DETECT_S))
        lab.watch(1.0)
        self.end(step)
        after = lab.witness.seen(gone_ns, step.end_ns)
        step.expect(
            "none is lost once it has left the table",
            after.lost_total == 0,
            f"{after.sent} sent; {step.seen.lost_total - after.lost_total} were lost before, when nobody knew yet",
        )

    def revive_it(self) -> None:
        lab = self.lab
        step = self.begin(f"{VICTIM} is revived")
        lab.start_server(VICTIM)
        back = lab.wait(lambda: lab.in_all_tables(VICTIM), DETECT_S)
        step.expect("it is back in both tables", back is not None, _after(back, DETECT_S))
        back_ns = now_ns()
        used = lab.wait(lambda: lab.witness.answered_since(back_ns, VICTIM), 2)
        step.expect("it answers clients again", used is not None)
        lab.watch(SETTLE_S)
        self.end(step)
        step.expect("no request is lost", step.seen.lost_total == 0)

    def kill_the_daemon(self) -> None:
        master = self.master_or_any()
        step = self.begin(f"{master.name}, the master: SIGKILL to all its processes")
        master.crash()
        self.expect_takeover(step, master)

    def restart_it(self) -> None:
        director = self.dead_or_any()
        step = self.begin(f"{director.name}: its daemon is started again")
        director.start()
        self.expect_return(step, director)

    def pull_the_plug(self) -> None:
        master = self.master_or_any()
        step = self.begin(f"{master.name}, the master, loses power")
        master.power_off()
        self.expect_takeover(step, master)
        step.expect(
            "the service address is on the living director only", self.lab.holders() == [self.other(master).name]
        )

    def power_returns(self) -> None:
        director = self.dead_or_any()
        step = self.begin(f"{director.name}: its power returns")
        director.power_on()
        self.expect_return(step, director)

    # -- what they share --

    def everything_works(self) -> bool:
        lab = self.lab
        master = lab.master()
        return (
            master is lab.directors[plan.DIRECTORS[0].name]
            and all(seen.running and seen.states for seen in lab.observed.values())
            and lab.observed[self.other(master).name].all_in("backup")
            and self.tables_are_full()
            and lab.witness.answered_since(lab.witness.reported_ns - 500_000_000)
        )

    def a_daemon_ended(self) -> bool:
        return not all(director.running for director in self.lab.directors.values())

    def tables_are_full(self) -> bool:
        return not self.checks or self.lab.in_all_tables(*(server.name for server in plan.SERVERS))

    def expect_takeover(self, step: Step, dead: Director) -> None:
        lab, other = self.lab, self.other(dead)
        taken = lab.wait(lambda: lab.observed[other.name].all_in("master"), TAKEOVER_S)
        taken_ns = now_ns()
        step.expect(f"{other.name} becomes master", taken is not None, _after(taken, TAKEOVER_S))
        lab.watch(1.0)
        self.end(step)
        self.expect_gap(step)
        after = lab.witness.seen(taken_ns, step.end_ns)
        step.expect(
            "none is lost once it has taken over",
            after.sent > 0 and after.lost_total == 0,
            f"{after.sent} sent; {step.seen.lost_total - after.lost_total} were lost before",
        )

    def expect_return(self, step: Step, director: Director) -> None:
        lab, other = self.lab, self.other(director)
        back = lab.wait(
            lambda: (
                lab.observed[director.name].all_in("master")
                and lab.observed[other.name].all_in("backup")
                and self.tables_are_full()
            ),
            RETURN_S,
        )
        step.expect(
            f"{director.name} is master again, it has the higher priority", back is not None, _after(back, RETURN_S)
        )
        lab.watch(1.0)
        self.expect_one_holder(step)
        self.end(step)
        self.expect_gap(step)

    def expect_gap(self, step: Step) -> None:
        late = f"; the client itself was {step.late_ms:.0f} ms late" if step.late_ms > 20 else ""
        step.expect(
            f"the client's longest gap is under {GAP_LIMIT_MS:.0f} ms",
            step.seen.gap_ms < GAP_LIMIT_MS,
            f"{step.seen.gap_ms:.0f} ms{late}",
        )

    def expect_one_holder(self, step: Step) -> None:
        holders, master = self.lab.holders(), self.lab.master()
        step.expect(
            "the service address is on the master only",
            master is not None and holders == [master.name],
            ", ".join(holders) or "nowhere",
        )

    def other(self, director: Director) -> Director:
        return next(one for one in self.lab.directors.values() if one is not director)

    def master_or_any(self) -> Director:
        """The master; the first director when an earlier step failed and there is none."""
        return self.lab.master() or next(iter(self.lab.directors.values()))

    def dead_or_any(self) -> Director:
        return next((one for one in self.lab.directors.values() if not one.running), self.master_or_any())

    def begin(self, title: str, begin_ns: int | None = None) -> Step:
        """Steps follow each other without a hole: one begins when the one before ended."""
        step = Step(title, self.outcome.steps[-1].end_ns if begin_ns is None else begin_ns)
        self.outcome.steps.append(step)
        self.lab.say(f"== {title}")
        return step

    def end(self, step: Step) -> None:
        """Close the step's window, then wait until every request in it is over, and count."""
        step.end_ns = now_ns()
        self.lab.wait(lambda: self.lab.witness.complete_until(step.end_ns), self.lab.witness.timeout_s + 5)
        step.seen = self.lab.witness.seen(step.begin_ns, step.end_ns)
        step.late_ms = self.lab.witness.late_ms(step.begin_ns, step.end_ns)


def _after(seconds: float | None, limit_s: float) -> str:
    return f"not within {limit_s:.0f} s" if seconds is None else f"after {seconds:.2f} s"


def _shares(seen: Seen) -> str:
    return ", ".join(f"{name} {count}" for name, count in seen.servers.items())
