"""Which addresses of strangers we fetch from or call: media by URL, outgoing webhooks.

An address is read once, here, and strictly; what is read is what is asked. Its host's name says
nothing: only the addresses it resolves to do, every one of them, whenever it is asked. Messages
never quote an address, which can be a signed secret.
"""

import re
from collections.abc import Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, Literal, Protocol

import idna

from contracts.errors import InvalidInput
from contracts.values import Value

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

MAX_URL: Final = 2048
"""Characters of an address."""

HTTPS_PORT: Final = 443
HTTP_PORT: Final = 80
_FIRST_FREE_PORT: Final = 1024
_LAST_PORT: Final = 65_535
_LONGEST_HOST: Final = 253

DENIED: Final = tuple(
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16"),
        *("198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/3"),
        # Unspecified, loopback and IPv4 in the last bits; NAT64, both kinds; Teredo; 6to4.
        *("::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2001::/32", "2002::/16"),
        *("100::/64", "100:0:0:1::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16"),
        *("fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
    )
)
"""Private, local, special or leading to such by translation (IANA's special-purpose registries).

Python's ``is_global`` is asked as well: either of the two can be behind the registries.
"""
UNICAST: Final = ip_network("2000::/3")
"""All of IPv6 that is given out to anybody."""

_URL: Final = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]+\]|[^/?:@\[\]%]+)(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<path>/[^?]*)?(?P<query>\?.*)?",
    re.IGNORECASE,
)
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
_RULE: Final = re.compile(
    r"(?P<host>\[[0-9a-f:.]+\]|[^/:@\[\]%]+)(?::(?P<port>[1-9][0-9]{0,4}))?", re.IGNORECASE
)


def refusal(why: str) -> InvalidInput:
    """What an address that is not allowed is answered with.

    Args:
        why: after "The address"; quotes nothing of it.
    """
    return InvalidInput(f"The address {why}", code="url_not_allowed")


class Resolve(Protocol):
    """Looks up the addresses of a host."""

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        """Every address, in the order of preference.

        Raises:
            Unavailable: the name cannot be resolved, or not now.
        """


class Target(Value):
    """What an address asks, and whom.

    Attributes:
        host: a name in ASCII and lower case, or an IP address (IPv6 without brackets).
        path: with the query, as it is sent.
    """

    scheme: Literal["https", "http"]
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The value of the ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = HTTPS_PORT if self.scheme == "https" else HTTP_PORT
        return host if self.port == default else f"{host}:{self.port}"

    @property
    def literal(self) -> Address | None:
        """The IP address that stands for the host, when it is one."""
        return _literal(self.host)


def parse_target(url: str) -> Target:
    """Read an address.

    Taken is ``http(s)://host[:port][/path][?query]`` in printable ASCII, with no user in it and no
    fragment; the host may be written in Unicode (IDNA). A host that ends in a number is an IPv4
    address of four decimal numbers, and no other spelling of one.

    Raises:
        InvalidInput: ``url_not_allowed``.
    """
    if len(url) > MAX_URL:
        raise refusal(f"is longer than {MAX_URL} characters")
    if not url.isprintable() or any(mark in url for mark in ' \\"<>'):
        raise refusal("has characters that no address has")
    found = _URL.fullmatch(url)
    if found is None:
        raise refusal("is not of the form https://host/path")
    target = f"{found['path'] or '/'}{found['query'] or ''}"
    if not target.isascii():
        raise refusal("has characters that must be percent-encoded")
    if "#" in url:
        raise refusal("has a fragment")
    scheme: Literal["https", "http"] = "https" if found["scheme"].lower() == "https" else "http"
    default = HTTPS_PORT if scheme == "https" else HTTP_PORT
    port = int(found["port"] or default)
    if port > _LAST_PORT:
        raise refusal("has a port that there is not")
    return Target(scheme=scheme, host=_host(found["host"]), port=port, path=target)


def _host(text: str) -> str:
    if text.startswith("["):
        try:
            return str(IPv6Address(text[1:-1]))
        except ValueError:
            raise refusal("has a host that is no IPv6 address") from None
    name = _ascii(text)
    labels = name.split(".")
    if len(name) > _LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise refusal("has a host that is no name")
    if _NUMBER.fullmatch(labels[-1]) and _literal(name) is None:
        raise refusal("spells an IP address in an unusual way")
    return name


def _ascii(text: str) -> str:
    if text.isascii():
        return text.lower()
    try:
        return idna.encode(text, uts46=True, std3_rules=True).decode().lower()
    except (idna.IDNAError, UnicodeError):
        raise refusal("has a host that is no name") from None


def is_address(host: str) -> bool:
    """Whether a host is an IP address, which nobody has to look up."""
    return _literal(host) is not None


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def address_allowed(address: Address) -> bool:
    """Whether it is a public address of one machine, whatever translates it on the way."""
    bare = _unwrapped(address)
    if bare is None or (bare.version == 6 and bare not in UNICAST):  # noqa: PLR2004 - its name
        return False
    return bare.is_global and not bare.is_multicast and not any(bare in each for each in DENIED)


def _unwrapped(address: Address) -> Address | None:
    """IPv4 out of IPv6; none for an address that means something else on every interface."""
    if isinstance(address, IPv4Address):
        return address
    if address.scope_id is not None:
        return None
    return address.ipv4_mapped or address


class AllowedHost(Value):
    """A host that may be reached although private or by plain http; no port: by any."""

    host: str
    port: int | None = None


class EgressRules(Value):
    """What the operator allows beside https to public addresses."""

    hosts: tuple[AllowedHost, ...] = ()
    networks: tuple[Network, ...] = ()

    def check(self, target: Target) -> None:
        """What can be said of a target before its host is looked up.

        Raises:
            InvalidInput: ``url_not_allowed``.
        """
        if self._names(target):
            return
        if target.scheme != "https" and not self.networks:
            raise refusal("must begin with https://")
        if target.port < _FIRST_FREE_PORT and target.port not in {HTTPS_PORT, HTTP_PORT}:
            raise refusal("has a port of another service")
        if target.literal is not None:
            self.permit(target, [target.host])

    def permit(self, target: Target, addresses: Sequence[str]) -> None:
        """Whether all the addresses a host was found to have may be connected to.

        All are public, or all lie in networks of the rules: a mixture is how a stranger's name
        leads inside.

        Raises:
            InvalidInput: ``url_not_allowed``.
        """
        found = [_literal(text) for text in addresses]
        known = [each for each in found if each is not None and _unwrapped(each) is not None]
        if not found or len(known) < len(found):
            raise refusal("leads nowhere")
        if self._names(target) or all(self._inside(each) for each in known):
            return
        if not all(address_allowed(each) for each in known):
            raise refusal("leads to a private or special network")
        if target.scheme != "https":
            raise refusal("must begin with https://")

    def _names(self, target: Target) -> bool:
        return any(
            each.host == target.host and each.port in {None, target.port} for each in self.hosts
        )

    def _inside(self, address: Address) -> bool:
        bare = _unwrapped(address)
        return any(bare in network for network in self.networks if bare is not None)


def parse_rules(entries: Iterable[str]) -> EgressRules:
    """Read what an operator allows: ``host``, ``host:port`` or a network, ``10.0.0.0/8``.

    Raises:
        ValueError: one of them is neither; the message quotes it.
    """
    hosts: list[AllowedHost] = []
    networks: list[Network] = []
    for entry in entries:
        if "/" in entry:
            networks.append(_network(entry))
        else:
            hosts.append(_allowed(entry))
    return EgressRules(hosts=tuple(hosts), networks=tuple(networks))


def _network(entry: str) -> Network:
    try:
        return ip_network(entry)
    except ValueError:
        raise ValueError(f"{entry} is no network like 10.0.0.0/8") from None


def _allowed(entry: str) -> AllowedHost:
    found = _RULE.fullmatch(entry)
    port = int(found["port"]) if found and found["port"] else None
    try:
        if found is not None and (port or 1) <= _LAST_PORT:
            return AllowedHost(host=_host(found["host"]), port=port)
    except InvalidInput:
        pass
    raise ValueError(f"{entry} is no host, host:port or network")


def too_wide(rules: EgressRules) -> tuple[str, ...]:
    """Networks of the rules that let a stranger's address lead where nobody means it to.

    That is the whole Internet by plain http, or the link-local network, where clouds keep the
    credentials of their machines.
    """
    return tuple(
        str(network)
        for network in rules.networks
        if network.prefixlen < _NARROWEST[network.version]
        or any(network.version == each.version and network.overlaps(each) for each in _METADATA)
    )


_NARROWEST: Final = {4: 8, 6: 7}
_METADATA: Final = (ip_network("169.254.0.0/16"), ip_network("fe80::/10"))
