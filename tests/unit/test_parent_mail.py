"""The queue of the parent: order, patience, bounds and counts, with processes that stand for the one that sends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fastha.log import Log
from fastha.model import GlobalDefs, MailDefs
from fastha.parent import mail
from fastha.parent.loop import Loop
from fastha.parent.mail import Post, Times
from fastha.scripts.letters import CHANGE, CHECK, FAULT

MS = 1_000_000
QUICK = Times(gather_ns=MS, silence_ns=2000 * MS, again_ns=20 * MS, last_again_ns=60 * MS, life_ns=60_000 * MS)
DEFS = GlobalDefs(router_id="lvs1", mail=MailDefs(to=("ops@example.com",)))
HEAD = """
import json, sys, os, time
job = json.load(sys.stdin)
def say(letter, what, why=""): print(json.dumps([letter["number"], what, why]), flush=True)
def note(letter): open(FILE, "a").write(letter["subject"] + chr(10))
FILE = sys.argv[1]
tries = len(open(FILE + ".tries").read()) if os.path.exists(FILE + ".tries") else 0
open(FILE + ".tries", "a").write("x")
"""
ALL = "for one in job['letters']: note(one); say(one, 'sent')\n"


class Office:
    def __init__(self, folder: Path, code: str, times: Times = QUICK) -> None:
        self.loop, self.file, self.log = Loop(), folder / "sent", folder / "log"
        self.stderr = self.log.open("wb")
        log = Log("test", fd=self.stderr.fileno(), syslog="", journal="")
        self.post = Post(self.loop, log, argv=("-S", "-c", HEAD + code, str(self.file)), times=times)
        self.post.configure(DEFS)

    def take(self, *subjects: str) -> None:
        for subject in subjects:
            self.post.take(CHANGE, subject, "text")

    def until(self, condition: Any) -> None:
        end = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < end, (self.post.facts(), self.log.read_text())
            self.loop.turn(0.05)

    def sent(self) -> list[str]:
        return self.file.read_text().splitlines() if self.file.exists() else []

    def tries(self) -> int:
        path = Path(f"{self.file}.tries")
        return len(path.read_text()) if path.exists() else 0

    def lines(self) -> list[str]:
        return self.log.read_text().splitlines()


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Any]:
    made = []

    def make(code: str, times: Times = QUICK) -> Office:
        made.append(Office(tmp_path, code, times))
        return made[-1]

    yield make
    for one in made:
        one.post.close()
        one.loop.close()
        one.stderr.close()


def counts(office: Office) -> tuple[int, int, int, int]:
    facts = office.post.facts()
    return facts["sent"], facts["failed"], facts["dropped"], facts["waiting"]


def test_in_order_and_together(office: Any) -> None:
    it = office(ALL)
    names = [str(n) for n in range(120)]
    it.take(*names)
    it.until(lambda: it.post.counts["sent"] == 120)
    assert it.sent() == [f"[lvs1] {name}" for name in names]
    assert it.tries() == 3  # of fifty each
    assert counts(it) == (120, 0, 0, 0)
    assert it.lines() == []
    assert not it.post.busy


def test_kinds_that_nobody_wants(office: Any) -> None:
    it = office(ALL)
    it.post.configure(replace(DEFS, mail=replace(DEFS.mail, faults=False, every_check=False)))
    for kind in (FAULT, CHECK, CHANGE):
        it.post.take(kind, kind, "text")
    it.until(lambda: it.post.counts["sent"] == 1)
    assert it.sent() == ["[lvs1] change"]
    it.post.configure(replace(DEFS, mail=MailDefs()))
    it.take("to nobody")
    assert counts(it) == (1, 0, 0, 0)


def test_what_is_to_be_tried_again_is(office: Any) -> None:
    """Two letters, and the second has to wait twice; nothing overtakes it, and it is said once."""
    it = office("""
for one in job['letters']:
    if one['subject'].endswith('b') and tries < 2: say(one, 'later', '451 not now'); break
    note(one); say(one, 'sent')
""")
    it.take("a", "b", "c")
    it.until(lambda: it.post.facts().get("trouble"))
    assert it.post.facts()["trouble"] == "451 not now"
    assert not it.post.busy  # a daemon that stops would not wait for that
    it.until(lambda: it.post.counts["sent"] == 3)
    assert [one[-1] for one in it.sent()] == ["a", "b", "c"]
    assert "trouble" not in it.post.facts()
    assert ["mail cannot be sent" in line for line in it.lines()] == [True, False]
    assert "mail is sent again" in it.lines()[1]


def test_refused_for_good(office: Any) -> None:
    it = office("for one in job['letters']: say(one, 'refused', '550 no')\n")
    it.take(*"abcdef")
    it.until(lambda: it.post.counts["failed"] == 6)
    assert counts(it) == (0, 6, 0, 0)
    assert len(it.lines()) == 1  # one line, not six


def test_too_old(office: Any) -> None:
    it = office("say(job['letters'][0], 'later', 'down')\n", replace(QUICK, life_ns=300 * MS))
    it.take("a", "b")
    it.until(lambda: it.post.counts["failed"] == 2)
    assert counts(it) == (0, 2, 0, 0)
    assert len(it.lines()) == 2  # that it cannot be sent, and that they are given up


def test_too_many(office: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go, but not one that is being sent."""
    monkeypatch.setattr(mail, "MOST", 10)
    monkeypatch.setattr(mail, "TOGETHER", 2)
    it = office("while not os.path.exists(FILE + '.go'): time.sleep(0.01)\n" + ALL)
    it.take("0", "1")
    it.until(lambda: it.tries() == 1)
    it.take(*map(str, range(2, 30)))
    assert it.post.counts["dropped"] == 20
    Path(f"{it.file}.go").touch()
    it.until(lambda: it.post.counts["sent"] == 10)
    assert [one.split()[1] for one in it.sent()] == ["0", "1", *map(str, range(22, 30))]
    assert counts(it) == (10, 0, 20, 0)
    assert len(it.lines()) == 1


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("sys.exit(3)", "status 3"),
        ("os.kill(os.getpid(), 9)", "signal 9"),
        ("print('nonsense', flush=True); time.sleep(60)", "nonsense"),
        ("print(json.dumps([99, 'sent', '']), flush=True); time.sleep(60)", "nonsense"),
        ("print(7, flush=True); time.sleep(60)", "nonsense"),
        ("print(json.dumps([[], {}, 1]), flush=True); time.sleep(60)", "nonsense"),
        ("print('x' * 1000000, flush=True); print(); time.sleep(60)", "nonsense"),
        ("time.sleep(60)", "nothing came of it"),
    ],
)
def test_a_process_that_fails(office: Any, code: str, why: str) -> None:
    """It is as if the server had said that it will not now: the letter is sent by the next."""
    it = office(f"if not tries: {code}\n{ALL}", replace(QUICK, silence_ns=500 * MS))
    it.take("a")
    it.until(lambda: it.post.facts().get("trouble"))
    assert why in it.post.facts()["trouble"]
    it.until(lambda: it.post.counts["sent"] == 1)
    assert counts(it) == (1, 0, 0, 0)


def test_it_cannot_be_started(office: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    it = office(ALL)

    def fails(*_args: object, **_more: object) -> int:
        raise OSError(12, "Cannot allocate memory")

    with monkeypatch.context() as patch:
        patch.setattr(mail.os, "posix_spawn", fails)
        it.take("a")
        it.until(lambda: it.post.facts().get("trouble"))
    it.until(lambda: it.post.counts["sent"] == 1)


def test_other_settings_are_tried_at_once(office: Any) -> None:
    """A wrong server waits for minutes in the end; who mends it does not."""
    it = office(
        f"if job['defs']['server'] == '127.0.0.1': say(job['letters'][0], 'later', 'refused'); sys.exit()\n{ALL}",
        replace(QUICK, again_ns=3600_000 * MS, last_again_ns=3600_000 * MS),
    )
    it.take("a")
    it.until(lambda: it.post.facts().get("trouble"))
    it.post.configure(replace(DEFS, mail=replace(DEFS.mail, server="127.0.0.2")))
    it.until(lambda: it.post.counts["sent"] == 1)


def test_nobody_is_left_to_write_to(office: Any) -> None:
    it = office("say(job['letters'][0], 'later', 'refused')\n")
    it.take("a", "b")
    it.until(lambda: it.post.facts().get("trouble"))
    it.post.configure(replace(DEFS, mail=MailDefs()))
    it.until(lambda: it.post.facts()["waiting"] == 0)
    assert counts(it) == (0, 0, 2, 0)


def test_the_end_waits_for_what_is_being_sent(office: Any) -> None:
    it = office(ALL)
    done: list[int] = []
    it.post.when_idle(lambda: done.append(0))
    assert done == [0]
    it.take("a")
    it.post.when_idle(lambda: done.append(it.post.counts["sent"]))
    it.until(lambda: len(done) == 2)
    assert done == [0, 1]


def test_the_end_leaves_nothing_uncounted(office: Any) -> None:
    it = office("time.sleep(60)\n")
    it.take("a", "b")
    it.until(lambda: it.tries() == 1)
    it.take("c")
    it.post.close()
    assert counts(it) == (0, 0, 3, 0)
    assert "3 mails were not sent" in it.lines()[-1]
