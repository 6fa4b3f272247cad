"""The configuration a running daemon has, over its control socket."""

from __future__ import annotations

from dataclasses import dataclass

from fastha.cli.client import NoAnswer, ask
from fastha.model import Config
from fastha.model.codec import read

ANSWER_S = 30.0


@dataclass(frozen=True, slots=True)
class Running:
    """`config` and where it came from; `noted`: its findings about what is not supported yet, one line each."""

    config: Config
    file: str
    files: tuple[str, ...]
    loaded: float  # wall clock
    noted: tuple[str, ...]


def running(control: str) -> Running:
    """What the daemon runs; NoAnswer if there is none, or it does not tell us."""
    answer = ask(control, "configuration", ANSWER_S)
    try:
        return Running(
            config=read(Config, answer["configuration"]),
            file=str(answer["file"]),
            files=tuple(map(str, answer["files"])),
            loaded=float(answer["loaded"]),
            noted=tuple(map(str, answer["not_supported"])),
        )
    except (KeyError, TypeError) as error:
        raise NoAnswer(f"{control}: the daemon is of another version than this command ({error})") from None
