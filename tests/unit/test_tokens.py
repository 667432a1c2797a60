import asyncio
import base64
import hashlib
import hmac
import json
import stat
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from contracts.errors import Unauthenticated
from runtime.issuer import ISSUER, KEY_FILE, EmbeddedIssuer, NotAKey
from runtime.key_sets import FixedKeys, VerifyingKey
from runtime.settings import load
from runtime.tokens import MOST_SEEN, TokenVerifier, TrustedIssuer

USER = "5f0f7a86-8a5f-4b0a-9a53-0d3f3a1f2c11"
EDDSA, OTHER_EDDSA = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
ES256 = ec.generate_private_key(ec.SECP256R1())
ES384 = ec.generate_private_key(ec.SECP384R1())
RS256 = rsa.generate_private_key(public_exponent=65537, key_size=2048)
SHORT_RSA = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - refused

KEYS = {
    "keys": [
        OKPAlgorithm.to_jwk(EDDSA.public_key(), as_dict=True) | {"kid": "ed"},
        ECAlgorithm.to_jwk(ES256.public_key(), as_dict=True) | {"kid": "ec"},
        ECAlgorithm.to_jwk(ES384.public_key(), as_dict=True) | {"kid": "ec384"},
        RSAAlgorithm.to_jwk(RS256.public_key(), as_dict=True) | {"kid": "rsa", "alg": "RS256"},
        RSAAlgorithm.to_jwk(RS256.public_key(), as_dict=True) | {"kid": "pss", "alg": "PS256"},
        RSAAlgorithm.to_jwk(SHORT_RSA.public_key(), as_dict=True) | {"kid": "short"},
        OKPAlgorithm.to_jwk(EDDSA.public_key(), as_dict=True) | {"kid": "enc", "use": "enc"},
        {"kty": "oct", "kid": "oct", "k": base64.urlsafe_b64encode(b"0" * 32).decode()},
        {"kid": "nothing"},
        {"kty": "EC", "crv": "P-256", "kid": "broken", "x": "AA", "y": "AA"},
        "no key at all",
    ]
}
OTHER_KEYS = {"keys": [OKPAlgorithm.to_jwk(OTHER_EDDSA.public_key(), as_dict=True) | {"kid": "ed"}]}


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    base = {"iss": "https://a", "aud": "mana", "sub": USER, "iat": now, "exp": now + 60}
    return {name: value for name, value in (base | changes).items() if value is not ...}


def sign(key: Any = EDDSA, algorithm: str = "EdDSA", kid: str | None = "ed", **changes: Any) -> str:
    headers = dict(changes.pop("headers", {}))
    if kid is not None:
        headers["kid"] = kid
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers=headers)


def part(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(head: dict[str, Any], body: Any, key: bytes | None = None) -> str:
    text = f"{part(head)}.{part(body)}"
    mark = hmac.new(key, text.encode(), hashlib.sha256).digest() if key is not None else b""
    return f"{text}.{part(mark)}"


def by_hand(body: Any, **head: Any) -> str:
    """Rightly signed, whatever is in it: only the rule under test can refuse it."""
    text = f"{part({'alg': 'EdDSA', 'kid': 'ed'} | head)}.{part(body)}"
    return f"{text}.{part(EDDSA.sign(text.encode()))}"


def with_short_key() -> str:
    text = f"{part({'alg': 'RS256', 'kid': 'short'})}.{part(claims())}"
    return f"{text}.{part(SHORT_RSA.sign(text.encode(), PKCS1v15(), SHA256()))}"


def confused() -> str:
    """Signed with the public key as if it were a shared secret."""
    public = RS256.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return forge({"alg": "HS256", "kid": "rsa", "typ": "JWT"}, claims(), public)


def tampered() -> str:
    head, _, mark = sign().split(".")
    return f"{head}.{part(claims(sub=str(uuid4())))}.{mark}"


def own_key_in_header() -> str:
    own = OKPAlgorithm.to_jwk(OTHER_EDDSA.public_key(), as_dict=True)
    return sign(OTHER_EDDSA, headers={"jwk": own, "jku": "http://127.0.0.1:1/", "x5u": "http://x"})


@pytest.fixture
def verifier() -> TokenVerifier:
    return TokenVerifier(
        [
            TrustedIssuer("https://a", "mana", FixedKeys(KEYS)),
            TrustedIssuer("https://b", "authenticated", FixedKeys(OTHER_KEYS)),
        ]
    )


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"),
    [(EDDSA, "EdDSA", "ed"), (ES256, "ES256", "ec"), (RS256, "RS256", "rsa")],
)
async def test_each_asymmetric_algorithm_is_believed(
    verifier: TokenVerifier, key: Any, algorithm: str, kid: str
) -> None:
    found = await verifier.verify_header(f"Bearer {sign(key, algorithm, kid, email='A@B.example')}")
    assert (found.user_id, found.email, found.issuer) == (USER, "a@b.example", "https://a")


REFUSED: dict[str, Callable[[], str]] = {
    "expired": lambda: sign(exp=int(time.time()) - 1),
    "expired this second": lambda: sign(exp=int(time.time())),
    "not valid yet": lambda: sign(nbf=int(time.time()) + 60),
    "no expiry": lambda: sign(exp=...),
    "expiry that is no number": lambda: by_hand(claims(exp="soon")),
    "endless": lambda: by_hand(claims(exp=float("inf"))),
    "audience of another": lambda: sign(aud="authenticated"),
    "audiences without ours": lambda: sign(aud=["x", "y"]),
    "no audience": lambda: sign(aud=...),
    "issuer nobody trusts": lambda: sign(iss="https://c"),
    "issuer with a slash more": lambda: sign(iss="https://a/"),
    "no issuer": lambda: sign(iss=...),
    "issuer that is a list": lambda: by_hand(claims(iss=["https://a"])),
    "key of another issuer": lambda: sign(OTHER_EDDSA),
    "issuer of another key": lambda: sign(iss="https://b", aud="authenticated"),
    "unknown key id": lambda: sign(kid="nobody"),
    "no key id": lambda: sign(kid=None),
    "key id that is no text": lambda: by_hand(claims(), kid=["ed"]),
    "no signature": lambda: forge({"alg": "none", "kid": "ed"}, claims()),
    "none in capitals": lambda: forge({"alg": "NONE", "kid": "ed"}, claims()),
    "signature cut off": lambda: sign().rpartition(".")[0] + ".",
    "shared secret": lambda: forge({"alg": "HS256", "kid": "oct"}, claims(), b"0" * 32),
    "public key as a shared secret": confused,
    "changed after signing": tampered,
    "algorithm of another key": lambda: sign(RS256, "RS256", "ed"),
    "algorithm of the same family": lambda: sign(RS256, "RS512", "rsa"),
    "key for another algorithm": lambda: sign(RS256, "PS256", "pss"),
    "curve that is not taken": lambda: sign(ES384, "ES384", "ec384"),
    "short RSA key": with_short_key,
    "key for encryption": lambda: sign(kid="enc"),
    "key brought along in the header": own_key_in_header,
    "critical extension": lambda: by_hand(claims(), crit=["exp"]),
    "critical extension the library knows": lambda: by_hand(claims(), crit=["b64"], b64=True),
    "no token": lambda: "garbage",
    "two parts": lambda: "a.b",
    "four parts": lambda: sign() + ".x",
    "header that is no JSON": lambda: f"{part(b'{')}.{part(claims())}.x",
    "body that is no object": lambda: by_hand([1]),
    "body nested without end": lambda: by_hand(b"[" * 5000),
    "body that is no text": lambda: by_hand(b"\xff\xfe"),
    "longer than any token": lambda: sign(note="x" * 9000),
    "not ASCII": lambda: "é.ü.ñ",
    "subject longer than any": lambda: sign(sub="x" * 300),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_token_that_must_not_be_believed_is_refused_without_a_reason(
    verifier: TokenVerifier, case: str
) -> None:
    with pytest.raises(Unauthenticated) as raised:
        await verifier.verify_header(f"Bearer {REFUSED[case]()}")
    assert raised.value.message == "Invalid or expired token"
    assert raised.value.extra == {}


@pytest.mark.parametrize(
    "header", [None, "", "   ", "Bearer", "Bearer  ", "Basic dTpw", "Token x", "x"]
)
async def test_a_header_without_a_bearer_token_is_missing(
    verifier: TokenVerifier, header: str | None
) -> None:
    with pytest.raises(Unauthenticated) as raised:
        await verifier.verify_header(header)
    assert raised.value.message == "Missing authorization header"


@pytest.mark.parametrize("subject", [..., "", "  ", None, 7, ["x"]])
async def test_a_believed_token_without_a_subject_is_told_so(
    verifier: TokenVerifier, subject: Any
) -> None:
    with pytest.raises(Unauthenticated) as raised:
        await verifier.verify(by_hand(claims(sub=subject)))
    assert raised.value.message == "Token missing subject claim"


async def test_a_forged_token_without_a_subject_learns_nothing(verifier: TokenVerifier) -> None:
    with pytest.raises(Unauthenticated, match="Invalid or expired token"):
        await verifier.verify(sign(OTHER_EDDSA, sub=...))


async def test_a_token_put_together_by_hand_is_believed_when_nothing_is_wrong_with_it(
    verifier: TokenVerifier,
) -> None:
    assert (await verifier.verify(by_hand(claims()))).user_id == USER


async def test_a_token_may_have_several_audiences(verifier: TokenVerifier) -> None:
    assert (await verifier.verify(sign(aud=["x", "mana"]))).user_id == USER


async def test_each_issuer_has_its_own_audience_and_keys(verifier: TokenVerifier) -> None:
    token = sign(OTHER_EDDSA, iss="https://b", aud="authenticated")
    assert (await verifier.verify(token)).issuer == "https://b"


async def test_an_issuer_whose_clock_is_ahead_is_believed(verifier: TokenVerifier) -> None:
    assert (await verifier.verify(sign(iat=int(time.time()) + 30))).user_id == USER


async def test_the_scheme_may_be_spelled_in_any_case(verifier: TokenVerifier) -> None:
    assert (await verifier.verify_header(f"bearer   {sign()}")).user_id == USER


async def test_a_subject_that_is_no_uuid_is_given_one_for_good(verifier: TokenVerifier) -> None:
    strange = "auth0|../../etc/passwd\x00"
    first = await verifier.verify(sign(sub=strange))
    again = await verifier.verify(sign(sub=strange))
    elsewhere = await verifier.verify(
        sign(OTHER_EDDSA, iss="https://b", aud="authenticated", sub=strange)
    )
    assert first.user_id == again.user_id != elsewhere.user_id
    assert set(first.user_id) <= set("0123456789abcdef-")


async def test_one_user_has_one_id_however_it_is_spelled(verifier: TokenVerifier) -> None:
    assert (await verifier.verify(sign(sub=USER.upper()))).user_id == USER


class ChangingKeys:
    """A key set whose keys are exchanged while tokens signed with them are about."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.keys = FixedKeys(document)

    async def find(self, kid: str) -> VerifyingKey | None:
        return await self.keys.find(kid)


async def test_a_token_believed_before_is_refused_once_its_key_is_withdrawn() -> None:
    keys = ChangingKeys(KEYS)
    verifier = TokenVerifier([TrustedIssuer("https://a", "mana", keys)])
    token = sign()
    assert await verifier.verify(token) == await verifier.verify(token)
    withdrawn: dict[str, Any] = {"keys": []}
    for document in (withdrawn, OTHER_KEYS):
        keys.keys = FixedKeys(document)
        with pytest.raises(Unauthenticated):
            await verifier.verify(token)


async def test_a_token_believed_before_is_refused_once_it_has_expired(
    verifier: TokenVerifier,
) -> None:
    expiry = int(time.time()) + 2
    token = sign(exp=expiry)
    assert await verifier.verify(token) == await verifier.verify(token)
    await asyncio.sleep(expiry - time.time() + 0.01)
    with pytest.raises(Unauthenticated):
        await verifier.verify(token)


async def test_only_so_many_tokens_are_remembered(verifier: TokenVerifier) -> None:
    tokens = [by_hand(claims(sub=str(uuid4()))) for _ in range(MOST_SEEN + 1)]
    found = [await verifier.verify(token) for token in tokens]
    assert len(verifier._seen) == MOST_SEEN
    assert await verifier.verify(tokens[0]) == found[0]


async def test_tokens_of_the_embedded_issuer_are_believed_where_it_is_on(tmp_path: Path) -> None:
    token = EmbeddedIssuer.open(tmp_path).sign(USER, email="e@x.example")
    on = load(None, EMBEDDED_ISSUER=True).tokens
    async with TokenVerifier.build(on, tmp_path) as verifier:
        found = await verifier.verify(token)
    assert (found.user_id, found.email, found.issuer) == (USER, "e@x.example", ISSUER)
    off = load(None, EMBEDDED_ISSUER=False).tokens
    async with TokenVerifier.build(off, tmp_path) as verifier:
        with pytest.raises(Unauthenticated):
            await verifier.verify(token)


@pytest.mark.parametrize("options", [{"expires_in": -1}, {"audience": "else"}])
async def test_the_embedded_issuer_can_make_tokens_that_are_refused(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    token = EmbeddedIssuer.open(tmp_path).sign(USER, **options)
    async with TokenVerifier.build(load(None, EMBEDDED_ISSUER=True).tokens, tmp_path) as verifier:
        with pytest.raises(Unauthenticated):
            await verifier.verify(token)


async def test_tokens_of_another_folder_are_refused(tmp_path: Path) -> None:
    token = EmbeddedIssuer.open(tmp_path / "one").sign(USER)
    settings = load(None, EMBEDDED_ISSUER=True).tokens
    async with TokenVerifier.build(settings, tmp_path / "two") as verifier:
        with pytest.raises(Unauthenticated):
            await verifier.verify(token)


def test_the_key_is_made_once_and_is_its_owners_alone(tmp_path: Path) -> None:
    first = EmbeddedIssuer.open(tmp_path)
    path = tmp_path / KEY_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert EmbeddedIssuer.open(tmp_path).kid == first.kid
    assert list(path.parent.iterdir()) == [path]


def test_processes_that_make_the_key_at_once_agree_on_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        kids = set(pool.map(lambda _: EmbeddedIssuer.open(tmp_path).kid, range(32)))
    assert len(kids) == 1


def test_the_published_keys_hold_no_private_part(tmp_path: Path) -> None:
    issuer = EmbeddedIssuer.open(tmp_path)
    [key] = issuer.key_set()["keys"]
    assert set(key) == {"kty", "crv", "x", "kid", "alg", "use"}
    assert key["kid"] == issuer.kid


@pytest.mark.parametrize("content", [b"", b"not a key"])
def test_a_file_that_is_no_key_is_never_written_over(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / KEY_FILE
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(NotAKey):
        EmbeddedIssuer.open(tmp_path)
    assert path.read_bytes() == content
