"""From what shall be said to a message of RFC 5322. Pure.

What stands in headers comes from names of a configuration and words of strangers' servers: nothing of it can begin a
header of its own.
"""

from __future__ import annotations

import re
from datetime import datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr

from fastha.lean import dataclass
from fastha.model import MailDefs

CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
LINE = 998  # RFC 5322 section 2.1.1; folded subjects would no longer look like keepalived's
POLICY = policy.SMTP.clone(max_line_length=LINE)
TEXT_LINE = 900


@dataclass(frozen=True, slots=True)
class Posted:
    """A letter as the parent hands it over. `number`: its own; `wall`: when it happened, seconds since the epoch."""

    number: int
    wall: float
    subject: str
    text: str


def message(defs: MailDefs, letter: Posted, host: str, user: str, at: datetime) -> bytes:
    """The whole message, with CRLF. `host`, `user`: this host and whom it is from if nothing is said; `at`: `wall` with
    its time zone."""
    mail = EmailMessage(policy=POLICY)
    mail["Date"] = format_datetime(at)
    mail["From"] = one_line(sender(defs, host, user))
    mail["Subject"] = one_line(letter.subject)[: LINE - 100]
    mail["X-Mailer"] = "Keepalived (fastha)"  # what filters look for
    mail["To"] = ", ".join(map(one_line, defs.to))
    # The same for every attempt: a server that took it although we did not hear so can tell.
    mail["Message-ID"] = f"<{letter.wall:.6f}.{letter.number}@{CONTROLS.sub('', host)}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5
    text = "\n".join(one_line(line)[:TEXT_LINE] for line in letter.text.split("\n")) + "\n"
    mail.set_content(text, cte="7bit" if text.isascii() else "quoted-printable")
    return mail.as_bytes()


def sender(defs: MailDefs, host: str, user: str) -> str:
    """Whom it is from."""
    return defs.sender or f"{user}@{host}"


def mailbox(address: str) -> str:
    """The address alone, for MAIL FROM and RCPT TO: of `Ops <ops@example.com>` what is inside the brackets."""
    return parseaddr(address)[1] or address


def one_line(text: str) -> str:
    """Without what could end a line, and without halves of characters."""
    whole = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return CONTROLS.sub(" ", whole).strip()
