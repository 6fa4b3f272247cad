"""MailDefs -> its words of `global_defs`."""

from __future__ import annotations

from fastha.config.build_mail import SUBMISSIONS
from fastha.config.dump_words import Page, word
from fastha.model import MailDefs
from fastha.model.units import NS_PER_S


def dump_mail(mail: MailDefs, page: Page) -> None:
    default = MailDefs()
    if mail.to:
        with page.block("notification_email"):
            for to in mail.to:
                page.say(word(to))
    for keyword, text in (
        ("notification_email_from", mail.sender),
        ("smtp_helo_name", mail.helo),
        ("smtp_tls_verify_name", mail.verify_name),
        ("smtp_tls_ca", mail.ca),
        ("smtp_user", mail.user),
        ("smtp_password_file", mail.password_file),
    ):
        if text:
            page.say(keyword, word(text))
    if mail.password:
        page.secret("smtp_password", mail.password)
    if (mail.server, mail.port) != (default.server, SUBMISSIONS if mail.tls == "implicit" else default.port):
        page.say("smtp_server", mail.server, mail.port)
    page.unless(default.timeout_ns, "smtp_connect_timeout", mail.timeout_ns, mail.timeout_ns // NS_PER_S)
    page.unless(default.tls, "smtp_tls", mail.tls)
    if mail.tls != "off":
        page.flag("smtp_tls_verify", mail.verify, default=mail.tls in ("starttls", "implicit"))
    if not mail.faults:
        page.say("no_email_faults")
    page.flag("no_checker_emails", not mail.every_check)
