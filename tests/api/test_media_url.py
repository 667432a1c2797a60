"""POST of a memo by `mediaUrl`: what is taken, refused, kept and answered."""

from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest

from contracts.errors import Unavailable
from contracts.jobs import JobState
from tests.api.front import Front, User, opened
from tests.spellings import SPELLINGS

URL: Final = "https://93.184.216.34/memo.MP3?signature=planted"
SECRET: Final = "planted"


async def post(front: Front, user: User, **fields: Any) -> Any:
    return await front.ask("POST", "memos", user, json={"mediaUrl": URL} | fields)


async def kept(front: Front, body: dict[str, Any]) -> str | None:
    async with front.database.read() as tx:
        return await tx.addresses.find(body["jobId"], body["memo"]["user_id"])


async def test_a_memo_by_url_is_accepted_and_its_address_kept_apart(
    front: Front, anna: User
) -> None:
    answer = await post(front, anna)
    assert answer.status_code == 201, answer.text
    body = answer.json()
    path = body["audioPath"]
    assert path.startswith(f"{anna.id}/{body['memoId']}/audio_")
    assert path.endswith(".mp3")
    assert body["memo"]["source"]["audio_path"] == path
    [(_, job_id, _, request)] = front.starter.started
    assert (request["audio_path"], request["fetch"]) == (path, True)
    assert request["claimed_seconds"] == 0
    assert await kept(front, body) == f"plain:{URL}"
    job = await front.ask("GET", f"jobs/{job_id}", anna)
    assert SECRET not in answer.text + job.text + repr(request)


async def test_an_address_is_sealed_when_there_is_a_key(data_dir: Path) -> None:
    keys = "one:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
    async with opened(data_dir, TEMPORAL_PAYLOAD_KEYS=keys) as front:
        body = (await post(front, front.user())).json()
        sealed = await kept(front, body)
        assert sealed is not None
        assert sealed.startswith("aesgcm:one:")
        assert SECRET not in sealed


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mediaUrl": None}, "mediaUrl should not be null"),
        ({"mediaUrl": ""}, "mediaUrl should have at least 1 character"),
        ({"mediaUrl": 7}, "mediaUrl should be a valid string"),
        ({"filePath": "u/a/b.m4a"}, "filePath and mediaUrl exclude each other"),
        ({"filePath": ""}, "filePath and mediaUrl exclude each other"),
        ({"duration": -1}, "duration should be greater than or equal to 0"),
        ({"duration": None}, "duration should be a valid number"),
    ],
)
async def test_exactly_one_of_path_and_address_is_given(
    front: Front, anna: User, fields: dict[str, Any], message: str
) -> None:
    answer = await post(front, anna, **fields)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")
    assert answer.json()["error"] == message
    assert front.starter.started == []


async def test_without_path_and_address_the_path_is_asked_for(front: Front, anna: User) -> None:
    answer = await front.ask("POST", "memos", anna, json={})
    assert answer.json()["error"] == "filePath is required, duration is required"


async def test_every_spelling_of_a_place_inside_is_refused_at_once(
    front: Front, anna: User
) -> None:
    sent = [each.replace("{port}", "9") for each in SPELLINGS if "\ud800" not in each]
    for url in (each for each in sent if 0 < len(each) <= 2048):
        answer = await post(front, anna, mediaUrl=url)
        code = "invalid_text" if "\0" in url else "url_not_allowed"
        assert (answer.status_code, answer.json()["code"]) == (400, code), url
        assert "secret" not in answer.json()["error"]
    assert front.starter.started == []


async def test_a_name_that_nobody_can_look_up_now_is_taken(front: Front, anna: User) -> None:
    assert (await post(front, anna, mediaUrl="https://nobody.invalid/a")).status_code == 201


async def test_an_operator_can_allow_a_host_inside(data_dir: Path) -> None:
    async with opened(data_dir, EGRESS_ALLOW="localhost:9000, 10.0.0.0/8") as front:
        user = front.user()
        for url, status in (
            ("http://localhost:9000/a.wav", 201),
            ("http://10.1.2.3/a.wav", 201),
            ("http://localhost:9001/a.wav", 400),
            ("http://192.168.1.1/a.wav", 400),
        ):
            assert (await post(front, user, mediaUrl=url)).status_code == status, url


async def test_the_same_key_and_address_get_the_first_answer_and_another_address_is_refused(
    front: Front, anna: User
) -> None:
    key = {"Idempotency-Key": "k"}
    ask = [
        await front.ask("POST", "memos", anna, json={"mediaUrl": url}, headers=key)
        for url in (URL, URL, f"{URL}2")
    ]
    assert [each.status_code for each in ask] == [201, 201, 422]
    assert ask[0].json() == ask[1].json()
    assert len(front.starter.started) == 1


async def test_the_same_memo_and_address_again_joins_and_another_address_does_not(
    front: Front, anna: User
) -> None:
    memo_id = str(uuid4())
    first = await post(front, anna, memoId=memo_id)
    again = await post(front, anna, memoId=memo_id)
    assert (again.status_code, again.json()) == (201, first.json())
    other = await post(front, anna, memoId=memo_id, mediaUrl=f"{URL}2")
    assert (other.status_code, other.json()["code"]) == (409, "already_running")
    assert await kept(front, first.json()) == f"plain:{URL}"


async def test_a_new_round_fetches_what_was_not_fetched_before(front: Front, anna: User) -> None:
    memo_id = str(uuid4())
    first = (await post(front, anna, memoId=memo_id)).json()
    await front.move(first, JobState.RUNNING, JobState.FAILED)
    async with front.database.write() as tx:
        await tx.addresses.forget(first["jobId"], anna.id)
    again = await post(front, anna, memoId=memo_id)
    assert again.json()["audioPath"] == first["audioPath"]
    request = front.starter.started[-1][3]
    assert (request["round"], request["fetch"]) == (2, True)
    assert await kept(front, first) == f"plain:{URL}"


async def test_a_new_round_at_another_address_fetches_from_there(front: Front, anna: User) -> None:
    memo_id = str(uuid4())
    first = (await post(front, anna, memoId=memo_id)).json()
    await front.move(first, JobState.RUNNING, JobState.FAILED)
    other = URL.replace(".MP3", ".wav")
    again = (await post(front, anna, memoId=memo_id, mediaUrl=other)).json()
    assert again["audioPath"].endswith(".wav")
    assert front.starter.started[-1][3]["audio_path"] == again["audioPath"]
    assert await kept(front, first) == f"plain:{other}"


async def test_a_start_that_is_taken_back_takes_the_address_along(front: Front, anna: User) -> None:
    front.starter.failure = Unavailable("Temporal is away")
    memo_id = str(uuid4())
    answer = await post(front, anna, memoId=memo_id)
    assert answer.status_code == 503
    async with front.database.read() as tx:
        assert await tx.addresses.find(f"memo-{memo_id}", anna.id) is None


@pytest.mark.parametrize(
    ("path", "extension"),
    [
        ("/a.wav", "wav"),
        ("/a.OPUS?x=y.mp3", "ogg"),
        ("/a.mkv", "webm"),
        ("/a.exe", "m4a"),
        ("/a", "m4a"),
        ("/a.wav/", "wav"),
        ("/..%2f..%2fx.flac", "flac"),
        ("?x=.wav", "m4a"),
    ],
)
async def test_the_path_is_what_the_address_says_of_itself(
    front: Front, anna: User, path: str, extension: str
) -> None:
    answer = await post(front, anna, mediaUrl=f"https://93.184.216.34{path}")
    assert answer.json()["audioPath"].endswith(f".{extension}")
