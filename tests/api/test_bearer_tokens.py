"""Bearer tokens through the front: one table of what is believed, one of what is not.

The issuer is a real HTTP server that publishes its keys; whatever else a token names is one too,
and must never be asked.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.api.front import Front, opened

ISSUER: Final = "https://issuer.example"
USER: Final = "5f0f7a86-8a5f-4b0a-9a53-0d3f3a1f2c11"
ED, STRANGE = ed25519.Ed25519PrivateKey.generate(), ed25519.Ed25519PrivateKey.generate()
EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OCT: Final = b"0" * 32

ED_KEY = OKPAlgorithm.to_jwk(ED.public_key(), as_dict=True)
STRANGE_KEY = OKPAlgorithm.to_jwk(STRANGE.public_key(), as_dict=True)
PUBLISHED: Final = (
    ED_KEY | {"kid": "ed"},
    ECAlgorithm.to_jwk(EC.public_key(), as_dict=True) | {"kid": "ec"},
    RSAAlgorithm.to_jwk(RSA.public_key(), as_dict=True) | {"kid": "rsa", "alg": "RS256"},
    {"kty": "oct", "kid": "oct", "k": base64.urlsafe_b64encode(OCT).decode()},
    # A second key under an id that is taken: the first one counts.
    STRANGE_KEY | {"kid": "ed"},
)


@dataclass
class Site:
    """A real HTTP server with one document, which counts who asks."""

    keys: tuple[Mapping[str, Any], ...] = PUBLISHED
    status: int = 200
    asked: int = 0
    url: str = field(default="", init=False)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.asked += 1
        body = json.dumps({"keys": self.keys}).encode()
        head = f"HTTP/1.1 {self.status} X\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
        writer.write(f"{head}\r\n".encode() + body)
        await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(site: Site) -> AsyncIterator[Site]:
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    site.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks"
    async with server:
        yield site


@asynccontextmanager
async def believing(data_dir: Path, site: Site) -> AsyncIterator[Front]:
    """The app of an installation that believes the issuer behind a site."""
    known = [{"issuer": ISSUER, "jwks_url": site.url, "audience": "mana"}]
    async with opened(data_dir, AUTH_ISSUERS=json.dumps(known)) as front:
        yield front


@pytest.fixture(scope="module")
async def trap() -> AsyncIterator[Site]:
    """Where forged tokens say their keys are."""
    async with serving(Site(keys=(STRANGE_KEY | {"kid": "ed"},))) as site:
        yield site


@pytest.fixture(scope="module")
async def front(
    tmp_path_factory: pytest.TempPathFactory, empty_database: Path
) -> AsyncIterator[Front]:
    """One app for both tables: nothing in them writes."""
    folder = tmp_path_factory.mktemp("tokens")
    shutil.copy(empty_database, folder / "voicekeep.db")
    async with serving(Site()) as site, believing(folder, site) as front:
        yield front


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    base = {"iss": ISSUER, "aud": "mana", "sub": USER, "iat": now, "exp": now + 600}
    return {name: value for name, value in (base | changes).items() if value is not ...}


def sign(key: Any = ED, algorithm: str = "EdDSA", kid: str = "ed", **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers={"kid": kid})


def part(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def by_hand(head: Any = None, body: Any = None, key: ed25519.Ed25519PrivateKey = ED) -> str:
    """Rightly signed, whatever is in it: only the rule under test can refuse it."""
    if head is None or isinstance(head, dict):
        head = {"alg": "EdDSA", "kid": "ed"} | (head or {})
        head = {name: value for name, value in head.items() if value is not ...}
    text = f"{part(head)}.{part(claims() if body is None else body)}"
    return f"{text}.{part(key.sign(text.encode()))}"


def unsigned(algorithm: str) -> str:
    return f"{part({'alg': algorithm, 'kid': 'ed'})}.{part(claims())}."


def shared(kid: str, secret: bytes) -> str:
    text = f"{part({'alg': 'HS256', 'kid': kid, 'typ': 'JWT'})}.{part(claims())}"
    return f"{text}.{part(hmac.new(secret, text.encode(), hashlib.sha256).digest())}"


def pem(key: Any) -> bytes:
    found: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return found


def changed() -> str:
    head, _, mark = sign().split(".")
    return f"{head}.{part(claims(sub=str(uuid4())))}.{mark}"


def of_no_point() -> str:
    """Zeros for a signature: a verifier that forgets to look at its range takes it for anything."""
    head, body, _ = sign(EC, "ES256", "ec").split(".")
    return f"{head}.{body}.{part(bytes(64))}"


def twice(first: str, second: str) -> bytes:
    """The right claims, and one name in them twice."""
    rest = json.dumps(claims())[1:]
    return f"{{{first}, {rest[:-1]}, {second}}}".encode()


def in_seconds(seconds: int) -> int:
    return int(time.time()) + seconds


BELIEVED: Final[Mapping[str, Callable[[], str]]] = {
    "EdDSA": sign,
    "ES256": lambda: sign(EC, "ES256", "ec"),
    "RS256": lambda: sign(RSA, "RS256", "rsa"),
    "put together by hand": by_hand,
    "no type": lambda: by_hand({"typ": ...}),
    "the type of an access token": lambda: by_hand({"typ": "at+jwt"}),
    "the type as a media type, in other capitals": lambda: by_hand({"typ": "Application/JWT"}),
    "one of several audiences": lambda: sign(aud=["x", "mana"]),
    "an issuer whose clock is ahead": lambda: sign(iat=in_seconds(30)),
    "valid since a moment": lambda: sign(nbf=in_seconds(-1)),
    "a subject that is no UUID": lambda: sign(sub="auth0|../../etc/passwd\x00"),
    "a subject that looks like SQL": lambda: sign(sub="' OR 1=1; --"),
    # RFC 7519, section 4: of two claims with one name the last counts, or the token is refused.
    "a claim twice, the last one right": lambda: by_hand(
        body=twice('"exp": 1', f'"exp": {in_seconds(60)}')
    ),
}

REFUSED: Final[Mapping[str, Callable[[str], str]]] = {
    "alg none": lambda _: unsigned("none"),
    "alg None, in other capitals": lambda _: unsigned("nOnE"),
    "alg of no name": lambda _: unsigned(""),
    "alg twice": lambda _: by_hand(b'{"alg":"EdDSA","kid":"ed","alg":"none"}'),
    "HS256 with an RSA public key": lambda _: shared("rsa", pem(RSA)),
    "HS256 with an EC public key": lambda _: shared("ec", pem(EC)),
    "HS256 with the public bytes": lambda _: shared("ed", ED.public_key().public_bytes_raw()),
    "HS256 with a published secret": lambda _: shared("oct", OCT),
    "HS256 with no secret": lambda _: shared("ed", b""),
    "RS512 by a key for RS256": lambda _: sign(RSA, "RS512", "rsa"),
    "PS256 by a key for RS256": lambda _: sign(RSA, "PS256", "rsa"),
    "ES256 under the id of another key": lambda _: sign(EC, "ES256", "rsa"),
    "ES256 signature of zeros": lambda _: of_no_point(),
    "kid that is a path": lambda _: by_hand({"kid": "../../../../dev/null"}),
    "kid that is SQL": lambda _: by_hand({"kid": "ed' UNION SELECT 'x"}),
    "kid that is an address": lambda url: by_hand({"kid": url}, key=STRANGE),
    "kid with a NUL": lambda _: by_hand({"kid": "ed\x00"}),
    "kid in other capitals": lambda _: by_hand({"kid": "ED"}),
    "kid missing": lambda _: by_hand({"kid": ...}),
    "kid null": lambda _: by_hand({"kid": None}),
    "kid that is a list": lambda _: by_hand({"kid": ["ed"]}),
    "kid that is an object": lambda _: by_hand({"kid": {"ed": 1}}),
    "kid twice": lambda _: by_hand(b'{"alg":"EdDSA","kid":"ed","kid":"nobody"}'),
    "kid of two keys, signed by the second": lambda _: by_hand(key=STRANGE),
    "jku": lambda url: by_hand({"jku": url}, key=STRANGE),
    "x5u": lambda url: by_hand({"x5u": url}, key=STRANGE),
    "jwk": lambda _: by_hand({"jwk": STRANGE_KEY}, key=STRANGE),
    "x5c": lambda _: by_hand({"x5c": ["AAAA"]}, key=STRANGE),
    "jku beside an unknown kid": lambda url: by_hand({"jku": url, "kid": "new"}, key=STRANGE),
    "crit": lambda _: by_hand({"crit": ["exp"]}),
    "crit that the library knows": lambda _: by_hand({"crit": ["b64"], "b64": True}),
    "crit that is empty": lambda _: by_hand({"crit": []}),
    "type of a notice of signing out": lambda _: by_hand({"typ": "logout+jwt"}),
    "type of a proof": lambda _: by_hand({"typ": "dpop+jwt"}),
    "type that is empty": lambda _: by_hand({"typ": ""}),
    "type that is no text": lambda _: by_hand({"typ": ["JWT"]}),
    "issuer of nobody": lambda _: sign(iss="https://other.example"),
    "issuer with a slash more": lambda _: sign(iss=f"{ISSUER}/"),
    "issuer in other capitals": lambda _: sign(iss=ISSUER.upper()),
    "issuer that is the trap": lambda url: sign(STRANGE, iss=url),
    "issuer that is a list": lambda _: by_hand(body=claims(iss=[ISSUER])),
    "issuer missing": lambda _: sign(iss=...),
    "issuer twice": lambda _: by_hand(body=twice('"iss": "x"', '"iss": "https://x.example"')),
    "audience of another": lambda _: sign(aud="authenticated"),
    "audience that begins alike": lambda _: sign(aud="mana2"),
    "audience missing": lambda _: sign(aud=...),
    "audience that is a number": lambda _: by_hand(body=claims(aud=7)),
    "audiences without ours": lambda _: sign(aud=["x", "y"]),
    "expired": lambda _: sign(exp=in_seconds(-1)),
    "expired since 1970": lambda _: sign(exp=0),
    "expiry missing": lambda _: sign(exp=...),
    "expiry null": lambda _: by_hand(body=claims(exp=None)),
    "expiry without end": lambda _: by_hand(body=claims(exp=float("inf"))),
    "expiry that is text": lambda _: by_hand(body=claims(exp="soon")),
    "expiry twice, the last one past": lambda _: by_hand(body=twice('"x": 1', '"exp": 1')),
    "not valid yet": lambda _: sign(nbf=in_seconds(60)),
    "not valid yet, said as text": lambda _: by_hand(body=claims(nbf="later")),
    "changed after signing": lambda _: changed(),
    "signature cut off": lambda _: sign().rpartition(".")[0] + ".",
    "signature of another key": lambda _: sign(STRANGE),
    "subject longer than any": lambda _: sign(sub="x" * 300),
    "longer than any token": lambda _: sign(note="x" * 9_000),
    "as long as headers may be": lambda _: sign(note="x" * 20_000),
    "two parts": lambda _: "a.b",
    "five parts, as if encrypted": lambda _: f"{sign()}.a.b",
    "nothing in three parts": lambda _: "..",
    "header that is no JSON": lambda _: by_hand(b"{"),
    "header that is a list": lambda _: by_hand(b"[]"),
    "body that is a list": lambda _: by_hand(body=[1]),
    "body nested without end": lambda _: by_hand(body=b"[" * 5_000),
    "body that is no text": lambda _: by_hand(body=b"\xff\xfe"),
    "two tokens": lambda _: f"{sign()}, {sign()}",
}


async def ask(front: Front, token: str) -> httpx.Response:
    return await front.ask("GET", "memos", headers={"Authorization": f"Bearer {token}"})


@pytest.mark.parametrize("case", BELIEVED)
async def test_a_right_token_comes_in(front: Front, case: str) -> None:
    answer = await ask(front, BELIEVED[case]())
    assert (answer.status_code, answer.json()["memos"]) == (200, [])


@pytest.mark.parametrize("case", REFUSED)
async def test_a_wrong_token_is_401_and_its_answer_names_no_reason(
    front: Front, trap: Site, case: str
) -> None:
    token = REFUSED[case](trap.url)
    answer = await ask(front, token)
    body = answer.json()
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert body == {
        "success": False,
        "error": "Invalid or expired token",
        "code": "unauthorized",
        "requestId": answer.headers["X-Request-ID"],
    }
    assert trap.asked == 0


async def test_a_token_of_a_megabyte_is_not_even_looked_at(front: Front) -> None:
    answer = await ask(front, sign(note="x" * 1_000_000))
    assert (answer.status_code, answer.json()["code"]) == (431, "headers_too_large")


async def test_a_token_stands_nowhere_but_in_its_header(front: Front) -> None:
    token = sign()
    places: tuple[dict[str, Any], ...] = (
        {"params": {"access_token": token}},
        {"params": {"token": token}},
        {"headers": {"Cookie": f"access_token={token}"}},
        {"headers": {"X-Authorization": f"Bearer {token}"}},
        {"headers": {"Authorization": token}},
    )
    for sent in places:
        answer = await front.ask("GET", "memos", **sent)
        assert (answer.status_code, answer.json()["error"]) == (
            401,
            "Missing authorization header",
        )


def age(front: Front, seconds: float) -> None:
    """Let the kept keys grow older than they are."""
    keys: Any = front.services.tokens._issuers[ISSUER].keys
    keys._tried_at -= seconds


async def test_a_rotated_key_is_believed_and_the_withdrawn_one_no_more(data_dir: Path) -> None:
    async with serving(Site()) as site, believing(data_dir, site) as front:
        old, new = sign(), by_hand({"kid": "new"}, key=STRANGE)
        assert (await ask(front, old)).status_code == 200
        site.keys = (STRANGE_KEY | {"kid": "new"},)
        # Whoever invents key ids causes one fetch a minute.
        asked = site.asked
        assert [(await ask(front, new)).status_code for _ in range(3)] == [401] * 3
        assert site.asked == asked
        age(front, 61)
        assert (await ask(front, new)).status_code == 200
        assert (await ask(front, old)).status_code == 401
        assert site.asked == asked + 1


async def test_kept_keys_serve_while_the_key_set_is_away(data_dir: Path) -> None:
    async with serving(Site()) as site, believing(data_dir, site) as front:
        token = sign()
        assert (await ask(front, token)).status_code == 200
        site.status = 503
        age(front, 301)
        unknown = await ask(front, by_hand({"kid": "new"}, key=STRANGE))
        assert (unknown.status_code, unknown.json()["code"]) == (503, "key_set_unavailable")
        assert (await ask(front, token)).status_code == 200
        assert (await ask(front, sign(sub=str(uuid4())))).status_code == 200
        assert (await ask(front, by_hand(key=STRANGE))).status_code == 401


async def test_a_key_set_that_was_never_there_is_503_until_it_is(data_dir: Path) -> None:
    async with serving(Site(status=500)) as site, believing(data_dir, site) as front:
        away = await ask(front, sign())
        assert (away.status_code, away.json()["code"]) == (503, "key_set_unavailable")
        assert int(away.headers["Retry-After"]) >= 1
        site.status = 200
        age(front, 6)
        assert (await ask(front, sign())).status_code == 200
