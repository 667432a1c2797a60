"""Two tenants who know each other's every id get nothing by it."""

from typing import Any
from uuid import uuid4

import pytest

from contracts.jobs import JobState
from contracts.memory import NewMemory
from tests.api.front import Front, User, wav
from tests.fakes.ports import part

SECRET = "pomegranate"


async def rich_memo(front: Front, user: User) -> dict[str, Any]:
    """A memo with a file, words, a job, credits: each of them with a secret in it."""
    memo: dict[str, Any] = (await front.upload(user, wav(), title=SECRET)).json()
    await front.move(memo, JobState.RUNNING)
    async with front.database.write() as tx:
        await tx.credits.hold(user.id, memo["jobId"], f"{memo['jobId']}:hold", 77)
        await tx.credits.grant(user.id, SECRET, 1000, SECRET)
    await front.say(memo, part(0, 1, SECRET))
    return memo


async def written(front: Front, user: User, memo: dict[str, Any]) -> dict[str, str]:
    """Ids of a memory of the memo and of a private blueprint, with the secret in them."""
    memory = NewMemory(id=str(uuid4()), title=SECRET, content=SECRET)
    async with front.database.write() as tx:
        await tx.memories.add(memo["memoId"], user.id, [memory])
    made = await front.ask("POST", "blueprints", user, json={"name": {"en": SECRET}})
    return {"memory": memory.id, "blueprint": made.json()["blueprint"]["id"]}


REACHED = [
    ("GET", "memos/{memo}"),
    ("PATCH", "memos/{memo}"),
    ("DELETE", "memos/{memo}"),
    ("GET", "memos/{memo}/transcript?format=txt"),
    ("GET", "memos/{memo}/transcript?format=json"),
    ("GET", "memos/{memo}/events"),
    ("GET", "jobs/{job}"),
    ("GET", "jobs/{job}/events"),
    ("POST", "jobs/{job}/cancel"),
    ("POST", "memos/{memo}/question"),
    ("POST", "memos/{memo}/retry-transcription"),
    ("POST", "memos/{memo}/reprocess"),
    ("GET", "memos/find-by-job/{job}"),
    ("GET", "memos/{memo}/memories"),
    ("POST", "memos/{memo}/memories"),
    ("POST", "memos/{memo}/retry-headline"),
    ("GET", "memories/{memory}"),
    ("PATCH", "memories/{memory}"),
    ("DELETE", "memories/{memory}"),
    ("GET", "blueprints/{blueprint}"),
    ("PATCH", "blueprints/{blueprint}"),
    ("DELETE", "blueprints/{blueprint}"),
]
BODIES = {"PATCH": {"title": "Mine", "isPublic": True}, "POST": {"question": "?", "prompt": "?"}}


@pytest.mark.parametrize(("method", "path"), REACHED)
async def test_what_belongs_to_another_answers_exactly_like_what_is_not_there(
    front: Front, anna: User, ben: User, method: str, path: str
) -> None:
    memo = await rich_memo(front, anna)
    about = {"memo": memo["memoId"], "job": memo["jobId"]} | await written(front, anna, memo)
    nobody = str(uuid4())
    none = dict.fromkeys(about, nobody) | {"job": f"memo-{nobody}"}
    kwargs: dict[str, Any] = {"json": BODIES[method]} if method in BODIES else {}
    theirs = await front.ask(method, path.format(**about), ben, **kwargs)
    absent = await front.ask(method, path.format(**none), ben, **kwargs)
    ignored = {"requestId": None}
    assert theirs.status_code == absent.status_code == 404
    assert theirs.json() | ignored == absent.json() | ignored
    assert set(theirs.headers) == set(absent.headers)
    assert await untouched(front, anna, memo)


async def test_lists_and_accounts_are_ones_own(front: Front, anna: User, ben: User) -> None:
    memo = await rich_memo(front, anna)
    await written(front, anna, memo)
    for path in ("memos", "blueprints", "credits/balance", "credits/transactions"):
        answer = await front.ask("GET", path, ben)
        assert answer.status_code == 200
        for secret in (SECRET, anna.id, memo["memoId"], "77"):
            assert secret not in answer.text, path
    page = await front.ask("GET", "memos?limit=1", anna)
    await front.new_memo(ben)
    cursor = page.json()["nextCursor"] or "x"
    stolen = await front.ask("GET", f"memos?cursor={cursor}", ben)
    assert SECRET not in stolen.text


async def test_a_memo_cannot_be_begun_over_anothers_file_id_or_key(
    front: Front, anna: User, ben: User
) -> None:
    memo = await rich_memo(front, anna)
    key = {"Idempotency-Key": "k"}
    await front.post_memo(anna, headers=key)
    over_file = await front.post_memo(ben, filePath=memo["audioPath"])
    assert (over_file.status_code, over_file.json()["code"]) == (400, "invalid_path")
    over_id = await front.post_memo(ben, memoId=memo["memoId"])
    assert over_id.status_code == 404
    uploaded = await front.upload(ben, memoId=memo["memoId"])
    assert uploaded.status_code == 404
    own = await front.post_memo(ben, headers=key)
    assert own.status_code == 201
    assert anna.id not in own.text
    assert await untouched(front, anna, memo)


async def test_a_former_member_of_a_space_reads_nothing_more(
    front: Front, anna: User, ben: User
) -> None:
    memo = await rich_memo(front, anna)
    space_id = await front.share(memo, ben)
    path = f"memos/{memo['memoId']}"
    assert (await front.ask("GET", path, ben)).status_code == 200
    async with front.database.write() as tx:
        await tx.spaces.unlink(memo["memoId"], space_id, anna.id)
    assert (await front.ask("GET", path, ben)).status_code == 404
    assert (await front.ask("GET", f"{path}/events", ben)).status_code == 404


async def test_a_member_of_a_space_reads_the_memo_and_not_its_account(
    front: Front, anna: User, ben: User
) -> None:
    memo = await rich_memo(front, anna)
    await front.share(memo, ben)
    assert (await front.ask("GET", f"memos/{memo['memoId']}", ben)).status_code == 200
    assert (await front.ask("GET", f"jobs/{memo['jobId']}", ben)).status_code == 404
    assert (await front.ask("POST", f"jobs/{memo['jobId']}/cancel", ben)).status_code == 404
    assert await untouched(front, anna, memo)


async def untouched(front: Front, owner: User, memo: dict[str, Any]) -> bool:
    """Whether the memo, its file and its job are as they were."""
    read = (await front.ask("GET", f"memos/{memo['memoId']}", owner)).json()["memo"]
    job = (await front.ask("GET", f"jobs/{memo['jobId']}", owner)).json()
    return (
        read["title"] == SECRET
        and read["source"]["transcript"] == SECRET
        and job["state"] == "running"
        and len(front.stored) == 1
        and front.starter.cancelled == []
    )
