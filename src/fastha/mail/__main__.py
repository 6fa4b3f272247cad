"""`python -m fastha.mail`: send the letters that stdin has, one after another, and say on stdout how it went.

stdin: one JSON document, {"defs": MailDefs, "letters": [Posted]}. stdout: for each letter a line [number,
"sent"|"refused"|"later", why]; the first "later" is the last line. As root it only reads certificates and password.
"""

from __future__ import annotations

import encodings.idna  # noqa: F401  # name servers' names need it, and after `drop` it may be out of reach
import os
import pwd
import signal
import smtplib
import sys
from collections.abc import Sequence
from datetime import datetime
from types import FrameType

import orjson

from fastha.mail.compose import Posted, mailbox, message, sender
from fastha.mail.reply import LATER, SENT, judged, refused
from fastha.mail.session import Trust, connect, send, trust
from fastha.model import MailDefs
from fastha.model.codec import read
from fastha.scripts.identity import DEFAULT_USER

NOBODY = (DEFAULT_USER, "nobody")
LETTER_S = 120  # of one letter, whatever the server does; the parent kills what is silent for longer


class TooSlow(Exception):
    """The time of a letter is over."""


def main() -> int:
    signal.signal(signal.SIGALRM, _over)
    plain = orjson.loads(sys.stdin.buffer.read())
    defs = read(MailDefs, plain["defs"])
    letters = [Posted(**letter) for letter in plain["letters"]]
    user, host = _user(), os.uname().nodename
    try:
        context = trust(defs) if defs.tls != "off" else None
        password = _password(defs)
        drop()
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        _say(letters[0].number, LATER, f"{where}{getattr(error, 'strerror', None) or error}")
        return 0
    deliver(defs, letters, context, password, host, user)
    return 0


def deliver(
    defs: MailDefs, letters: Sequence[Posted], context: Trust | None, password: str, host: str, user: str
) -> None:
    """All of them in one session, or in several where a server ends it after each."""
    smtp: smtplib.SMTP | None = None
    to = [mailbox(address) for address in defs.to]
    for letter in letters:
        signal.alarm(LETTER_S)
        try:
            at = datetime.fromtimestamp(letter.wall).astimezone()
            text = message(defs, letter, host, user, at)
            if smtp is None or not _lives(smtp):
                smtp = connect(defs, context, password, host)
            bad = send(smtp, mailbox(sender(defs, host, user)), to, text)
            what, why = SENT, refused(bad)
        except Exception as error:  # whatever a hostile server makes of smtplib: it is said, and the letter waits
            what, why = judged(error)
        finally:
            signal.alarm(0)
        _say(letter.number, what, why)
        if what == LATER:
            break
    if smtp is not None:
        signal.alarm(LETTER_S)
        try:
            smtp.quit()
        except Exception:  # nothing depends on it
            smtp.close()


def _lives(smtp: smtplib.SMTP) -> bool:
    """Whether the session goes on after a letter: RSET costs a round trip, a lost letter costs more."""
    try:
        return smtp.rset()[0] == 250
    except (smtplib.SMTPException, OSError):
        smtp.close()
        return False


def drop() -> None:
    """Be nobody: what strangers say is read without privilege."""
    if os.geteuid() != 0:
        return
    for name in NOBODY:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
        return
    raise OSError(f"there is no user {' or '.join(NOBODY)} to send mail as")


def _password(defs: MailDefs) -> str:
    if not defs.password_file:
        return defs.password
    with open(defs.password_file, encoding="utf-8") as file:
        return file.readline().rstrip("\r\n")


def _user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return str(os.geteuid())


def _say(number: int, what: str, why: str) -> None:
    sys.stdout.buffer.write(orjson.dumps([number, what, " ".join(why.split())[:500]]) + b"\n")
    sys.stdout.buffer.flush()


def _over(_number: int, _frame: FrameType | None) -> None:
    raise TooSlow(f"it took more than {LETTER_S} s")


if __name__ == "__main__":
    sys.exit(main())
