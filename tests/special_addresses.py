"""Which IP addresses are special, written down independently of the product and of Python.

From IANA's registries of special-purpose IPv4 and IPv6 addresses, of multicast, and from RFC 4291
(2.5.5, 2.5.7), RFC 6052 and RFC 8215 (NAT64), RFC 3056 (6to4), RFC 4380 (Teredo), RFC 3879.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

V4_BLOCKS: Final = [
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local: credentials of clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
]
V6_BLOCKS: Final = [
    IPv6Network(text)
    for text in (
        "::/3",  # nothing of these three is given out to anybody
        "4000::/2",
        "8000::/1",
        "::/96",  # unspecified, loopback, IPv4-compatible
        "64:ff9b::/96",  # NAT64
        "64:ff9b:1::/48",  # NAT64 of one network
        "100::/64",  # discard
        "100:0:0:1::/64",  # dummy
        "2001::/23",  # protocol assignments; Teredo is the first of them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
        "5f00::/16",  # segment routing
        "fc00::/7",  # unique local
        "fe80::/10",  # link-local
        "fec0::/10",  # site-local
        "ff00::/8",  # multicast
    )
]
_MAPPED: Final = 0xFFFF


def is_special(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is private, local, reserved, or leads elsewhere by translation."""
    number = int(address)
    if address.version == 4 or number >> 32 == _MAPPED:
        return any(
            number & 0xFFFFFFFF & int(block.netmask) == int(block.network_address)
            for block in V4_BLOCKS
        )
    return any(number & int(block.netmask) == int(block.network_address) for block in V6_BLOCKS)
