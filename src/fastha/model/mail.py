"""How mail about changes is sent."""

from __future__ import annotations

from fastha.lean import dataclass
from fastha.model.units import NS_PER_S


@dataclass(frozen=True, slots=True)
class MailDefs:
    """What global_defs says of mail. `to` (): none is sent; `sender` "": our user at this host; `helo` "": this host.

    `tls`: "off", "opportunistic" (STARTTLS where the server has it), "starttls" (not without) or "implicit" (RFC 8314
    section 3.3); `verify`: the server's certificate must come from a known authority (`ca`, "": the system's) and be
    for `verify_name` ("": the name of the server). `user`: of AUTH, "" none; its password is `password`, or the first
    line of `password_file`. `faults` False: no_email_faults; `every_check` False: no_checker_emails."""

    to: tuple[str, ...] = ()
    sender: str = ""
    server: str = "127.0.0.1"
    port: int = 25
    helo: str = ""
    timeout_ns: int = 30 * NS_PER_S  # to connect, and for each answer
    faults: bool = True
    every_check: bool = True
    tls: str = "off"
    verify: bool = False
    verify_name: str = ""
    ca: str = ""
    user: str = ""
    password: str = ""
    password_file: str = ""
