"""Requests nobody should send: each ends in a typed refusal, the front alive, nothing kept."""

import json
import random
from typing import Any, Final

import httpx
import pytest

from api.json_body import MAX_DEPTH, MAX_JSON_BYTES
from tests.api.front import Front, User

JSON: Final = {"Content-Type": "application/json"}
DEEP: Final = 100_000
SEED: Final = 20_260_131
ZALGO: Final = "Z" + "\u0300\u0336" * 500


def bodies(user_id: str) -> dict[str, bytes]:
    """Bodies that are no memo, by what is wrong with them."""
    path = f"{user_id}/a/b.m4a"
    good = json.dumps({"filePath": path, "duration": 1})
    return {
        "nothing": b"",
        "half": b'{"filePath": ',
        "no json": b"<xml/>",
        "no text": b"\xff\xfe\x00",
        "utf-16": good.encode("utf-16"),
        "list": b"[]",
        "text": b'"x"',
        "number": b"1",
        "null": b"null",
        "deep list": b"[" * DEEP + b"]" * DEEP,
        "deep object": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
        "deep within": f'{{"filePath": "{path}", "duration": 1, "location": {{"a": '
        f"{'[' * MAX_DEPTH}{']' * MAX_DEPTH}}}}}".encode(),
        "nan": f'{{"filePath": "{path}", "duration": NaN}}'.encode(),
        "infinity": f'{{"filePath": "{path}", "duration": Infinity}}'.encode(),
        "beyond floats": f'{{"filePath": "{path}", "duration": 1e999}}'.encode(),
        "infinity within": f'{{"filePath": "{path}", "duration": 1, "location": {{"a": -1e999}}}}'
        .encode(),
        "endless number": f'{{"filePath": "{path}", "duration": {"9" * 10_000}}}'.encode(),
        "nul": f'{{"filePath": "{path}", "duration": 1, "title": "a\\u0000b"}}'.encode(),
        "nul in a key": f'{{"filePath": "{path}", "duration": 1, "location": {{"\\u0000": 1}}}}'
        .encode(),
        "lone surrogate": f'{{"filePath": "{path}", "duration": 1, "title": "\\ud800"}}'.encode(),
        "lone surrogate within": f'{{"filePath": "{path}", "duration": 1, '
        '"location": {"a": ["\\udfff"]}}'.encode(),
        "ten megabytes of key": b'{"' + b"k" * 10_000_000 + b'": 1}',
        "ten megabytes of text": b'{"title": "' + b"t" * 10_000_000 + b'"}',
    }  # fmt: skip


@pytest.mark.parametrize("name", bodies(""))
async def test_a_body_that_is_none_is_refused_and_keeps_nothing(
    front: Front, anna: User, name: str
) -> None:
    content = bodies(anna.id)[name]
    for method, path in (("POST", "memos"), ("POST", "memos/process"), ("PATCH", "memos/x")):
        answer = await front.ask(method, path, anna, content=content, headers=JSON)
        check_refusal(answer, {400, 404, 413})
    await nothing_kept(front, anna)


async def test_broken_json_is_called_so(front: Front, anna: User) -> None:
    answer = await front.ask("POST", "memos", anna, content=b"{", headers=JSON)
    assert answer.status_code == 400
    assert (answer.json()["error"], answer.json()["code"]) == ("Invalid JSON body", "invalid_json")


async def test_a_body_beyond_the_bound_is_too_large(front: Front, anna: User) -> None:
    content = b" " * (MAX_JSON_BYTES + 1)
    answer = await front.ask("POST", "memos", anna, content=content, headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_every_message_is_said_at_once(front: Front, anna: User) -> None:
    answer = await front.ask("POST", "memos", anna, json={"title": None, "memoId": "x"})
    assert answer.status_code == 400
    assert answer.json()["error"].split(", ") == [
        "memoId should be a UUID",
        "title should not be null",
        "filePath is required",
        "duration is required",
    ]


OPTIONAL: Final = (
    "spaceId", "blueprintId", "memoId", "recordingStartedAt", "location", "mediaType",
    "recordingLanguages", "enableDiarization", "title",
)  # fmt: skip


@pytest.mark.parametrize("field", OPTIONAL)
async def test_null_is_no_way_to_leave_a_field_out(front: Front, anna: User, field: str) -> None:
    answer = await front.post_memo(anna, **{field: None})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(field)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("duration", "61"),
        ("duration", -1),
        ("duration", True),
        ("filePath", 7),
        ("filePath", ""),
        ("title", "   "),
        ("title", "x" * 301),
        ("spaceId", "not-a-uuid"),
        ("memoId", "1c0de2a47b1e4f5c9d0e0a1b2c3d4e5f"),
        ("recordingStartedAt", "yesterday"),
        ("location", "Konstanz"),
        ("mediaType", "audio/m4a\r\nX-Evil: 1"),
        ("mediaType", "text/html"),
        ("recordingLanguages", "de"),
        ("recordingLanguages", ["de", 1]),
        ("recordingLanguages", ["../x"]),
        ("recordingLanguages", ["de"] * 21),
        ("enableDiarization", "yes"),
    ],
)
async def test_a_field_of_another_form_is_refused_by_name(
    front: Front, anna: User, field: str, value: Any
) -> None:
    answer = await front.post_memo(anna, **{field: value})
    check_refusal(answer, {400})
    assert answer.json()["error"].startswith(field)


@pytest.mark.parametrize("name", ["\\", "\\1", "\\g<x>", "{0}", "%s", '"'])
async def test_a_name_of_any_spelling_is_refused_as_text(
    front: Front, anna: User, name: str
) -> None:
    body = {"name": {"en": "Meeting"}, "description": {name: 1}}
    answer = await front.ask("POST", "blueprints", anna, json=body)
    assert answer.status_code == 400
    assert name in answer.json()["error"]


async def test_unknown_fields_are_ignored_and_odd_but_valid_text_is_kept(
    front: Front, anna: User
) -> None:
    memo = await front.new_memo(anna, title=ZALGO[:300], unknown={"a": [1]}, success=False)
    read = await front.ask("GET", f"memos/{memo['memoId']}", anna)
    assert read.json()["memo"]["title"] == ZALGO[:300]


def traversals(own: str, other: str) -> list[str]:
    """Spellings of a file that is not one's own."""
    ups = [
        "../",
        "..\\",
        "%2e%2e%2f",
        "%2e%2e/",
        "..%2f",
        "..%5c",
        "%252e%252e%252f",
        "....//",
        "\uff0e\uff0e/",
        "..\uff0f",
        "./../",
        "%c0%ae%c0%ae/",
    ]
    spelt = [f"{own}/a/{up * 4}{other}/secret.m4a" for up in ups]
    return [
        *spelt,
        f"{other}/a/b.m4a",
        f"/{own}/a.m4a",
        f"//{own}/a.m4a",
        f"{own}//a.m4a",
        f"{own}/",
        own,
        f"{own}/../{other}/b.m4a",
        f"{own}/a/..",
        f"{own}/./a.m4a",
        f"{own}x/a.m4a",
        f"{own.upper()}/../{other}/a.m4a",
        f"file:///{own}/a.m4a",
        f"C:\\{own}\\a.m4a",
        f"{own}/a\x00.m4a",
        f"{own}/a\r\nX: 1.m4a",
        f"{own}/" + "a" * 4096,
        f"{own}/" + "a/" * 3000 + "b",
        "~/.ssh/id_ed25519",
        " ",
        "/etc/passwd",
    ]  # fmt: skip


async def test_a_path_that_leaves_ones_own_prefix_is_refused_in_every_spelling(
    front: Front, anna: User, ben: User
) -> None:
    for path in traversals(anna.id, ben.id):
        answer = await front.post_memo(anna, filePath=path)
        if answer.status_code != 400:
            # What stays below the own prefix under every reading is a name like any other.
            assert answer.json()["audioPath"].startswith(f"{anna.id}/")
            assert "/.." not in answer.json()["audioPath"].replace("....", "")
        else:
            assert answer.json()["code"] in {"invalid_path", "invalid_text", "validation_failed"}
            assert ben.id not in answer.text


PATH_IDS: Final = (
    "x", "..", "%2e%2e", "%00", "%ff", "a" * 4096, "1c0de2a4-7b1e-4f5c-9d0e-0a1b2c3d4e5f ",
    "{1c0de2a4-7b1e-4f5c-9d0e-0a1b2c3d4e5f}", "1c0de2a47b1e4f5c9d0e0a1b2c3d4e5f",
    "' OR 1=1 --", "%F0%9F%8E%A4", "%ED%A0%80",
)  # fmt: skip


@pytest.mark.parametrize("text", PATH_IDS)
async def test_an_id_that_names_nothing_is_not_found(front: Front, anna: User, text: str) -> None:
    for method, path in (
        ("GET", "memos/{}"), ("DELETE", "memos/{}"), ("GET", "memos/{}/transcript"),
        ("GET", "memos/{}/events"), ("GET", "jobs/{}"), ("GET", "jobs/{}/events"),
        ("POST", "jobs/{}/cancel"),
    ):  # fmt: skip
        if text.endswith("..") and path.endswith("/events"):
            continue  # clients make `/events` of it, the stream of all one's jobs
        answer = await front.ask(method, path.format(text), anna)
        check_refusal(answer, {404, 405})


def mutated(rng: random.Random, body: dict[str, Any]) -> Any:
    """A memo's body with some of it replaced by what does not belong there."""
    odd: list[Any] = [
        None, True, -1, 0, 2**63, 2**70, 1e308, "", " ", "\u0000", "x" * 5000, [], {}, [[]],
        {"": {}}, "\u202e", "\U0001d54f", {"a": None}, [None], "2026-13-45",
        "00000000-0000-0000-0000-000000000000",
    ]  # fmt: skip
    changed = dict(body)
    for _ in range(rng.randint(1, 4)):
        changed[rng.choice([*body, *OPTIONAL, "other"])] = rng.choice(odd)
    return rng.choice([changed, changed, changed, [changed], {"body": changed}])


async def test_a_seeded_sample_of_odd_bodies_never_crashes_the_front(
    front: Front, anna: User
) -> None:
    rng = random.Random(SEED)
    for _ in range(300):
        body = mutated(rng, {"filePath": f"{anna.id}/a/b.m4a", "duration": 1})
        answer = await front.ask("POST", "memos", anna, content=json.dumps(body), headers=JSON)
        if answer.status_code != 201:
            check_refusal(answer, {400, 402, 403, 404, 409, 413})


HEADERS: Final[tuple[dict[str, str | bytes], ...]] = (
    {"X-Request-ID": "x" * 10_000},
    {"X-Request-ID": b"\xff\r"},
    {"Accept-Language": "x" * 10_000},
    {"Accept-Language": b"\xff\xfe;q=\x01"},
    {"Last-Event-ID": "9" * 5000},
    {"Content-Type": "application/json; charset=utf-7"},
    {"Content-Type": "multipart/form-data"},
    {"Content-Length": "5"},
    {"Content-Encoding": "gzip"},
    {"Idempotency-Key": "x" * 300},
)


@pytest.mark.parametrize("headers", HEADERS)
async def test_odd_headers_never_crash_the_front(
    front: Front, anna: User, headers: dict[str, str | bytes]
) -> None:
    for method, path in (("POST", "memos"), ("GET", "memos"), ("GET", "jobs/x/events")):
        content = b'{"a": 1}' if method == "POST" else b""
        answer = await front.ask(method, path, anna, content=content, headers=headers)
        assert answer.status_code < 500
        assert len(answer.headers["X-Request-ID"]) <= 64


async def test_a_request_id_of_the_client_is_kept(front: Front) -> None:
    answer = await front.ask("GET", "memos", headers={"X-Request-ID": "trace-7.a_B"})
    assert answer.headers["X-Request-ID"] == answer.json()["requestId"] == "trace-7.a_B"


async def test_a_crash_is_answered_without_its_reason(front: Front, anna: User) -> None:
    def crash() -> Any:
        raise ValueError("the words of somebody")

    front.database.read = crash  # type: ignore[method-assign]  # a bug, as bugs are
    answer = await front.ask("GET", "memos", anna)
    assert answer.status_code == 500
    assert answer.json() == {
        "success": False, "error": "Internal server error", "code": "internal_error",
        "requestId": answer.headers["X-Request-ID"],
    }  # fmt: skip


def check_refusal(answer: httpx.Response, statuses: set[int]) -> None:
    """A typed refusal that repeats nothing of the request."""
    assert answer.status_code in statuses, answer.text[:300]
    body = answer.json()
    assert body["success"] is False
    assert body["requestId"] == answer.headers["X-Request-ID"]
    assert len(answer.content) < 2000, "what was sent is not sent back"


async def nothing_kept(front: Front, user: User) -> None:
    assert (await front.ask("GET", "memos", user)).json()["total"] == 0
    assert front.starter.started == []
    assert front.stored == []
