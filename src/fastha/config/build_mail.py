"""What `global_defs` says of mail -> MailDefs, and who sends it on changes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

from fastha.config import values
from fastha.config.build_tls import host_name
from fastha.config.item import Item
from fastha.config.line import plain
from fastha.config.tree import Faults, Statement, shown
from fastha.config.twice import twice
from fastha.config.words import check_words
from fastha.lean import dataclass, field, replace
from fastha.model import MailDefs

ALERTS = {"smtp_alert": "every", "smtp_alert_vrrp": "vrrp", "smtp_alert_checker": "checker"}
TEXTS = {"smtp_user": "user", "smtp_password": "password", "smtp_password_file": "password_file", "smtp_tls_ca": "ca"}
TLS_ONLY = {"smtp_tls_verify": "verify", "smtp_tls_verify_name": "verify_name", "smtp_tls_ca": "ca"}
MAIL_WORDS = frozenset(
    """notification_email notification_email_from smtp_server smtp_helo_name smtp_connect_timeout smtp_alert
    smtp_alert_vrrp smtp_alert_checker no_email_faults no_checker_emails smtp_tls smtp_tls_verify smtp_tls_verify_name
    smtp_tls_ca smtp_user smtp_password smtp_password_file""".split()
)
# A mailbox, alone or behind a name: `ops@example.com`, `Ops <ops@example.com>`. Nothing that could end a line of a
# header or of a command (RFC 5322 section 2.2, RFC 5321 section 4.1.2).
ADDRESS = re.compile(r"(?:[^\x00-\x1f\x7f<>]*<[!-;=?-~]+>|[!-;=?-~]+)")
HELO = re.compile(r"[!-~]+")
SUBMISSIONS = 465  # RFC 8314 section 7.3


@dataclass(slots=True)
class Mail:
    """As far as it has been read. Of what mails on changes, None: not said."""

    defs: MailDefs = MailDefs()
    port: int = 0
    verify: bool | None = None
    every: bool | None = None
    vrrp: bool | None = None
    checker: bool | None = None
    said: dict[str, Statement] = field(default_factory=dict)

    def alerts(self, own: bool | None, kind: str) -> bool:
        """Whether something mails on changes. `own`: what it says itself; `kind`: "vrrp", "server" or "real"."""
        general = self.vrrp if kind == "vrrp" else self.checker
        # keepalived.md 1.2: unset, real servers do and nobody else does
        return next((said for said in (own, general, self.every) if said is not None), kind == "real")

    def settle(self, faults: Faults) -> MailDefs:
        """What goes together."""
        defs, said = self.defs, self.said
        for keyword, name in ALERTS.items():
            if getattr(self, name) and not defs.to:
                faults.warning(said[keyword].place(), f"{keyword} has no effect without notification_email")
        if defs.tls == "off":
            for keyword in TLS_ONLY:
                if keyword in said:
                    faults.warning(said[keyword].place(), f"{keyword} has no effect without smtp_tls")
        if defs.user and defs.tls not in ("starttls", "implicit"):
            faults.error(
                said["smtp_user"].place(), "smtp_user would show its password to the network", "smtp_tls starttls"
            )
        if defs.user and not (defs.password or defs.password_file):
            faults.error(said["smtp_user"].place(), "smtp_user without a password", "smtp_password_file PATH")
        for keyword in ("smtp_password", "smtp_password_file"):
            if keyword in said and not defs.user:
                faults.warning(said[keyword].place(), f"{keyword} has no effect without smtp_user")
        if "smtp_password" in said and "smtp_password_file" in said:
            faults.warning(said["smtp_password"].place(), "smtp_password has no effect beside smtp_password_file")
            defs = replace(defs, password="")
        # Who may take off the offer of STARTTLS gains nothing from a false certificate (RFC 7435 section 3).
        verify = defs.tls in ("starttls", "implicit") if self.verify is None else self.verify and defs.tls != "off"
        port = self.port or (SUBMISSIONS if defs.tls == "implicit" else defs.port)
        return replace(defs, verify=verify, port=port)


def read_mail(item: Item, into: Mail, faults: Faults) -> None:
    """One keyword of MAIL_WORDS."""
    statement, defs = item.statement, into.defs
    into.said[item.name] = statement
    match item.name:
        case "notification_email":
            to = tuple(chain(defs.to, _recipients(statement.block or [], faults)))
            into.defs = replace(defs, to=tuple(dict.fromkeys(to)) if twice(to) else to)
        case "notification_email_from":
            if _is_address(statement, 1, faults):
                into.defs = replace(defs, sender=statement.words[1])
        case "smtp_server":
            into.defs = replace(defs, server=_server(item, faults) or defs.server)
            if len(statement.words) > 2:
                into.port = values.port(statement, 2, faults) or 0
        case "smtp_helo_name":
            if not HELO.fullmatch(statement.words[1]):
                faults.error(statement.place(1), f"'{shown(statement.words[1])}' cannot stand in HELO")
            into.defs = replace(defs, helo=statement.words[1])
        case "smtp_connect_timeout":
            into.defs = replace(defs, timeout_ns=values.whole_seconds_ns(item, faults) or defs.timeout_ns)
        case "no_email_faults":
            into.defs = replace(defs, faults=False)
        case "no_checker_emails":
            into.defs = replace(defs, every_check=values.boolean(item, faults) is False)
        case "smtp_tls":
            check_words(item, faults)
            into.defs = replace(defs, tls=statement.words[1])
        case "smtp_tls_verify":
            into.verify = values.boolean(item, faults)
        case "smtp_tls_verify_name":
            into.defs = replace(defs, verify_name=host_name(item, faults))
        case name if name in TEXTS:
            _text(item, into, faults)
        case name:
            setattr(into, ALERTS[name], values.boolean(item, faults))


def _text(item: Item, into: Mail, faults: Faults) -> None:
    statement = item.statement
    word = statement.words[1]
    if item.name == "smtp_password_file" and not word.startswith("/"):
        faults.error(statement.place(1), "smtp_password_file must be an absolute path")
    change: dict[str, Any] = {TEXTS[item.name]: word}
    into.defs = replace(into.defs, **change)


def _server(item: Item, faults: Faults) -> str:
    """An address in its shortest form, or a name."""
    found = values.parse_address(item.statement.words[1])
    return str(found) if found is not None else host_name(item, faults)


def _recipients(block: Sequence[Statement], faults: Faults) -> Iterator[str]:
    """The addresses of `notification_email`; several may share a line, as in keepalived."""
    for statement in plain(block, faults):
        yield from (word for index, word in enumerate(statement.words) if _is_address(statement, index, faults))


def _is_address(statement: Statement, index: int, faults: Faults) -> bool:
    word = statement.words[index]
    if ADDRESS.fullmatch(word):
        return True
    faults.error(statement.place(index), f"'{shown(word)}' is not a mail address")
    return False
