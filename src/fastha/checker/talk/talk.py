"""What a conversation is, and how it can end. Pure."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from fastha.checker.ending import Ending

SAID = 160  # characters of what a peer said that are shown


class Verdict(NamedTuple):
    """`detail`: HTTP status, SMTP code or errno; `text`: what the peer said or what is wrong, fit to be shown."""

    ending: Ending
    detail: int = 0
    text: str = ""


class Talk(Protocol):
    """One conversation, from the connected socket to the verdict. Nothing that a peer sends makes it raise."""

    verdict: Verdict | None  # the end; nothing is sent or received after it

    @property
    def handshaking(self) -> bool:
        """Whether what it does now is costly and counted (a TLS handshake)."""
        ...

    def begin(self) -> bytes:
        """Connected: what to send first."""
        ...

    def receive(self, data: bytes) -> bytes:
        """The peer's next bytes (never empty): what to send now."""
        ...

    def end(self) -> bytes:
        """The peer has ended its side. There is a verdict afterwards."""
        ...


def said(data: bytes | bytearray | str) -> str:
    """The first line that a peer said, cut to a sane length, control characters escaped: fit for a terminal."""
    text = data if isinstance(data, str) else bytes(data[: 4 * SAID]).decode("utf-8", "backslashreplace")
    text = text.strip().split("\n", 1)[0].rstrip()
    if len(text) > SAID:
        text = text[: SAID - 3] + "..."
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
