"""Which addresses of strangers may be asked: the rules alone, without a socket."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.egress import EgressRules, address_allowed, parse_rules, parse_target, too_wide
from contracts.errors import InvalidInput
from tests.special_addresses import V4_BLOCKS, V6_BLOCKS, is_special

NOBODY = EgressRules()


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://example.com", ("https", "example.com", 443, "/")),
        ("HTTPS://Example.COM/A?b=C", ("https", "example.com", 443, "/A?b=C")),
        ("https://example.com:8443/", ("https", "example.com", 8443, "/")),
        ("https://example.com?x=/a:b@c", ("https", "example.com", 443, "/?x=/a:b@c")),
        ("http://example.com/%2e%2E/", ("http", "example.com", 80, "/%2e%2E/")),
        ("https://bücher.example/", ("https", "xn--bcher-kva.example", 443, "/")),
        ("https://\uff25\uff38ample\u3002com/", ("https", "example.com", 443, "/")),
        ("https://a_b.example/", ("https", "a_b.example", 443, "/")),
        ("https://93.184.216.34/", ("https", "93.184.216.34", 443, "/")),
        ("https://[2606:4700:0::1111]:444/", ("https", "2606:4700::1111", 444, "/")),
    ],
)
def test_an_address_is_read_as_it_is_asked(url: str, asked: tuple[str, str, int, str]) -> None:
    target = parse_target(url)
    assert (target.scheme, target.host, target.port, target.path) == asked


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("https://example.com:443/", "example.com"),
        ("http://example.com:443/", "example.com:443"),
        ("https://[2606::1]/", "[2606::1]"),
        ("https://[2606::1]:81/", "[2606::1]:81"),
    ],
)
def test_the_host_header_names_a_port_that_is_not_the_usual_one(url: str, authority: str) -> None:
    assert parse_target(url).authority == authority


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_by_its_code(text: str) -> None:
    for url in (text, f"https://{text}", f"https://{text}.example/", f"https://a.example/{text}"):
        try:
            target = parse_target(url)
        except InvalidInput as failure:
            assert failure.code == "url_not_allowed"  # noqa: PT017 - either is fine
        else:
            assert target.host.isascii()
            assert target.path.isascii()
            assert not any(mark in target.host for mark in "/@?#\\ ")


@given(st.text(min_size=6, alphabet=st.characters(categories=["L", "N"]), max_size=60))
def test_a_refusal_quotes_nothing_of_the_address(secret: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_target(f"ftp://{secret}/{secret}")
    assert secret not in refused.value.message


addresses = st.one_of(
    st.ip_addresses(),
    *(st.ip_addresses(v=4, network=str(block)) for block in V4_BLOCKS),
    *(st.ip_addresses(v=6, network=str(block)) for block in V6_BLOCKS),
    st.ip_addresses(v=4).map(lambda v4: IPv6Address((0xFFFF << 32) + int(v4))),
)


@given(addresses)
def test_an_address_is_allowed_exactly_when_the_registries_know_nothing_of_it(
    address: IPv4Address | IPv6Address,
) -> None:
    assert address_allowed(address) is not is_special(address)


@pytest.mark.parametrize("block", [*V4_BLOCKS, *V6_BLOCKS], ids=str)
def test_no_special_block_has_a_gap_at_its_ends(block: IPv4Network | IPv6Network) -> None:
    assert not address_allowed(block[0])
    assert not address_allowed(block[-1])


@pytest.mark.parametrize("text", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111"])
def test_a_public_address_is_allowed(text: str) -> None:
    assert address_allowed(ip_address(text))


def test_an_address_of_one_interface_is_no_public_address() -> None:
    assert not address_allowed(ip_address("2606:4700:4700::1111%eth0"))


def refused(rules: EgressRules, url: str, *found: str) -> bool:
    target = parse_target(url)
    try:
        rules.check(target)
        rules.permit(target, found)
    except InvalidInput as failure:
        return failure.code == "url_not_allowed"
    return False


@pytest.mark.parametrize(
    ("found", "no"),
    [
        (["1.1.1.1"], False),
        (["1.1.1.1", "2606:4700::1"], False),
        (["1.1.1.1", "10.0.0.1"], True),
        (["10.0.0.1", "1.1.1.1"], True),
        (["1.1.1.1", "::ffff:10.0.0.1"], True),
        (["1.1.1.1", "fe80::1%eth0"], True),
        (["1.1.1.1", "what is this"], True),
        ([], True),
    ],
)
def test_one_private_answer_among_public_ones_is_enough_to_refuse(
    found: list[str], no: bool
) -> None:
    assert refused(NOBODY, "https://example.com/", *found) is no


ALLOWED = parse_rules(["minio", "hooks.local:8080", "10.1.0.0/16", "fd00:1::/32", "[::1]:9"])


@pytest.mark.parametrize(
    ("url", "found", "no"),
    [
        ("http://minio:9000/x", ["10.9.9.9"], False),
        ("https://minio/x", ["192.168.0.1"], False),
        ("http://MINIO:22/x", ["127.0.0.1"], False),
        ("http://minio.evil.example/x", ["127.0.0.1"], True),
        ("http://hooks.local:8080/", ["127.0.0.1"], False),
        ("https://hooks.local:8081/", ["127.0.0.1"], True),
        ("http://any.example/", ["10.1.2.3"], False),
        ("http://any.example/", ["::ffff:10.1.2.3"], False),
        ("http://any.example/", ["fd00:1::5", "10.1.2.3"], False),
        ("http://any.example/", ["10.2.2.3"], True),
        ("http://any.example/", ["1.1.1.1"], True),
        ("https://any.example/", ["10.1.2.3", "1.1.1.1"], True),
        ("https://any.example:22/", ["10.1.2.3"], True),
        ("http://[::1]:9/", ["::1"], False),
        ("http://[::1]:10/", ["::1"], True),
    ],
)
def test_what_an_operator_allows_is_allowed_and_nothing_beside_it(
    url: str, found: list[str], no: bool
) -> None:
    assert refused(ALLOWED, url, *found) is no


@pytest.mark.parametrize("port", [1, 22, 25, 79, 110, 1023])
def test_a_port_of_another_service_is_refused(port: int) -> None:
    assert refused(NOBODY, f"https://example.com:{port}/", "1.1.1.1")


@pytest.mark.parametrize("port", [80, 443, 1024, 8443, 65535])
def test_a_port_a_web_server_may_have_is_taken(port: int) -> None:
    assert not refused(NOBODY, f"https://example.com:{port}/", "1.1.1.1")


@pytest.mark.parametrize(
    "entry",
    [
        "10.0.0.1/8",
        "10.0.0.0/33",
        "http://x",
        "a:b",
        "a:99999",
        "user@host",
        "a b",
        "::1",
        "0x7f.1",
    ],
)
def test_a_rule_that_is_none_is_named(entry: str) -> None:
    with pytest.raises(ValueError, match="is no") as wrong:
        parse_rules(["fine.example", entry])
    assert entry in str(wrong.value)


@pytest.mark.parametrize(
    ("entry", "wide"),
    [
        ("0.0.0.0/0", True),
        ("0.0.0.0/1", True),
        ("::/0", True),
        ("169.254.169.254/32", True),
        ("fe80::/64", True),
        ("10.0.0.0/8", False),
        ("fd00::/8", False),
        ("127.0.0.0/8", False),
    ],
)
def test_a_network_that_gives_everything_away_is_noticed(entry: str, wide: bool) -> None:
    assert bool(too_wide(parse_rules([entry]))) is wide
