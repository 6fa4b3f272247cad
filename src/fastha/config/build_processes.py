"""Words about the daemon's processes, of global_defs and of the top level -> Processes."""

from __future__ import annotations

from typing import Any, TypeVar

from fastha.config import values
from fastha.config.item import Item
from fastha.config.tree import Faults
from fastha.config.words import c_number, check_words
from fastha.lean import replace
from fastha.model import ProcessDefs, Processes

T = TypeVar("T", ProcessDefs, Processes)
ROLES = ("vrrp", "checker", "bfd")
# word behind ROLE_ -> field of ProcessDefs
FIELDS = {
    "process_name": "name",
    "priority": "nice",
    "no_swap": "no_swap",
    "rt_priority": "rt_priority",
    "rlimit_rttime": "rttime_us",
    "cpu_affinity": "cpus",
}
WORDS = {f"{role}_{word}": (role, field) for role in ROLES for word, field in FIELDS.items()}
# word -> field of Processes
PLAIN = {
    "max_auto_priority": "auto_priority",
    "min_auto_priority_delay": "auto_delay_us",
    "child_wait_time": "child_wait_s",
}
NAMES = {
    "process_name": "name",
    "instance": "instance",
    "net_namespace": "namespace",
    "net_namespace_ipvs": "ipvs_namespace",
}
FLAGS = {"process_names": "names", "use_pid_dir": "pid_dir"}
KNOWN = frozenset((*WORDS, *PLAIN, *NAMES, *FLAGS, "umask"))
COMM = 15  # bytes that the kernel keeps of a name
# keepalived spells permission bits as stat(2) does, without the S_.
BITS = {
    "IRWXU": 0o700, "IRUSR": 0o400, "IWUSR": 0o200, "IXUSR": 0o100, "IRWXG": 0o070, "IRGRP": 0o040, "IWGRP": 0o020,
    "IXGRP": 0o010, "IRWXO": 0o007, "IROTH": 0o004, "IWOTH": 0o002, "IXOTH": 0o001,
}  # fmt: skip


def read_process(item: Item, into: Processes, faults: Faults) -> Processes:
    """What `into` becomes by one of KNOWN."""
    words, name = item.statement.words, item.name
    before = len(faults)
    check_words(item, faults)
    if any(fault.severity.name == "ERROR" for fault in faults[before:]):
        return into
    if name in WORDS:
        role, field = WORDS[name]
        return _with(into, **{role: _with(into.of(role), **{field: _value(field, item, faults)})})
    if name in PLAIN:
        value = values.number(item, faults) if len(words) > 1 else None
        if value is None and len(words) < 2:
            faults.warning(item.statement.place(), f"{name} without a number does nothing", f"{name} 99")
        return into if value is None else _with(into, **{PLAIN[name]: value})
    if name in NAMES:
        said = words[1] if len(words) > 1 else ""  # of net_namespace_ipvs: the namespace of the start
        if name != "process_name" and ("/" in said or said.startswith(".")):
            faults.error(item.statement.place(1), f"{name}: a name that cannot be one of a file")
            return into
        return _with(into, **{NAMES[name]: _name(said) if name == "process_name" else said})
    if name in FLAGS:
        return _with(into, **{FLAGS[name]: True})
    return replace(into, umask=_umask(words[1:]))


def _with(value: T, **fields: Any) -> T:
    return replace(value, **fields)


def _value(field: str, item: Item, faults: Faults) -> object:
    words = item.statement.words
    if field == "no_swap":
        return True
    if field == "name":
        return _name(words[1])
    if field == "cpus":
        return tuple(dict.fromkeys(map(int, words[1:])))
    return values.number(item, faults) or 0


def _name(word: str) -> str:
    return word.encode()[:COMM].decode(errors="ignore")


def _umask(words: list[str]) -> int:
    text = " ".join(words)
    if text[:1].isdigit():
        return c_number(text) or 0
    return sum(BITS[bit] for bit in dict.fromkeys(text.replace("|", " ").split()))
