"""Links and addresses of this host as last heard. Pure: messages in, answers out."""

from __future__ import annotations

from collections.abc import Container, Iterable

from fastha.link.rtnl import Address, Gone, Link, Reply


def link_local(ip: str) -> bool:
    """fe80::/10, RFC 4291 section 2.5.6."""
    return ip.startswith(("fe8", "fe9", "fea", "feb")) and ":" in ip[:5]


class Table:
    """`apply` takes what `rtnl.parse` yields; `links` by index; addresses in the kernel's order."""

    def __init__(self, messages: Iterable[Link | Address | Gone | Reply] = ()) -> None:
        self.links: dict[int, Link] = {}
        self._names: dict[str, int] = {}
        self._addresses: dict[int, dict[tuple[str, int], None]] = {}
        for message in messages:
            self.apply(message)

    def apply(self, message: Link | Address | Gone | Reply) -> bool:
        """True if it changed anything."""
        match message:
            case Link():
                old = self.links.get(message.index)
                if old == message:
                    return False
                if old is not None and old.name != message.name and self._names.get(old.name) == old.index:
                    del self._names[old.name]
                self.links[message.index] = message
                self._names[message.name] = message.index
                return True
            case Address():
                return self.add(message.index, message.ip, message.prefixlen)
            case Gone(Link() as link):
                self._addresses.pop(link.index, None)
                if self._names.get(link.name) == link.index:
                    del self._names[link.name]
                return self.links.pop(link.index, None) is not None
            case Gone(Address() as address):
                have = self._addresses.get(address.index, {})
                return have.pop((address.ip, address.prefixlen), False) is None
            case _:
                return False

    def add(self, index: int, ip: str, prefixlen: int) -> bool:
        """An address is there; True if that is new."""
        have = self._addresses.setdefault(index, {})
        if (ip, prefixlen) in have:
            return False
        have[ip, prefixlen] = None
        return True

    def knows(self, what: Link | Address) -> bool:
        return what.index in self.links if isinstance(what, Link) else self.has(what.index, what.ip, what.prefixlen)

    def link(self, name: str) -> Link | None:
        return self.links.get(self._names.get(name, -1))

    def has(self, index: int, ip: str, prefixlen: int) -> bool:
        return (ip, prefixlen) in self._addresses.get(index, {})

    def holds(self, index: int, ip: str) -> bool:
        """The address is there with whatever prefix length."""
        return any(have == ip for have, _ in self._addresses.get(index, {}))

    def anywhere(self, ip: str) -> bool:
        """Some interface has the address."""
        return any(have == ip for addresses in self._addresses.values() for have, _ in addresses)

    def primary(self, index: int, others: Container[str] = (), family: int = 4) -> str:
        """The first IPv4 address (IPv6: link-local address) that is none of `others` (the service addresses); the first
        of all if there is no other (an owner's); "" if there is none."""
        have = [ip for ip, _ in self._addresses.get(index, {}) if (link_local(ip) if family == 6 else ":" not in ip)]
        return next((ip for ip in have if ip not in others), have[0] if have else "")
