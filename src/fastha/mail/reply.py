"""What a server's answer means for a letter: sent, refused for good, or to be tried again. Pure.

RFC 5321 section 4.2.1: 5yz means that the same will be refused again. Of what comes before MAIL (greeting, STARTTLS,
AUTH) that is not taken at its word: an operator may be mending it.
"""

from __future__ import annotations

import smtplib
from collections.abc import Mapping

SENT, REFUSED, LATER = "sent", "refused", "later"
Refusals = Mapping[str, tuple[int, bytes]]


def judged(error: BaseException) -> tuple[str, str]:
    """(what, why) of an attempt that failed."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        codes = [code for code, _ in error.recipients.values()]
        return (REFUSED if all(code >= 500 for code in codes) else LATER), refused(error.recipients)
    if isinstance(error, smtplib.SMTPSenderRefused | smtplib.SMTPDataError):
        what = REFUSED if 500 <= error.smtp_code < 600 else LATER
        return what, f"{error.smtp_code} {_text(error.smtp_error)}"
    if isinstance(error, smtplib.SMTPResponseException):
        return LATER, f"{error.smtp_code} {_text(error.smtp_error)}"
    return LATER, str(error) or type(error).__name__


def refused(recipients: Refusals) -> str:
    """Who was refused, and why."""
    return "; ".join(f"{who}: {code} {_text(said)}" for who, (code, said) in recipients.items())


def _text(said: bytes | str) -> str:
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return " ".join(text.split())[:300]
