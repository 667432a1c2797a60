"""The OpenAPI document: complete, as committed, and shown without anybody else's server."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema_rs import Draft202012Validator

from api.errors import STATUS, status_of
from api.main import create_app
from contracts import errors
from contracts.jobs import JobState
from tests.api.front import Front, User, settings_for

IN_THE_BODY: Final = {"POST /auth/verify", "POST /auth/refresh"}
"""Operations whose credential is no header."""

KEPT: Final = Path(__file__).parents[2] / "docs" / "openapi.json"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(settings_for(Path("/nonexistent"))).openapi()


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, found in document["paths"].items():
        for method, operation in found.items():
            yield f"{method.upper()} {path}", operation


def test_the_document_that_is_kept_is_the_one_that_is_served(document: dict[str, Any]) -> None:
    assert json.loads(KEPT.read_text()) == document, "run `python tools/openapi.py`"


async def test_the_document_is_served(front: Front, document: dict[str, Any]) -> None:
    answer = await front.ask("GET", "/openapi.json")
    assert answer.json() == document
    assert document["openapi"] == "3.1.0"


def test_every_operation_says_what_it_does_and_what_it_answers(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, operation in operations(document)]
    assert len(names) == len(set(names))
    for name, operation in operations(document):
        assert operation["summary"], name
        assert len(operation["description"]) > 30, name
        assert operation["tags"], name
        for status, response in operation["responses"].items():
            assert response.get("description") != "Successful Response", name
            if status in {"200", "201", "202"} and not name.startswith("HEAD "):
                assert response["content"], name
        for parameter in operation.get("parameters", []):
            assert parameter["description"], f"{name} {parameter['name']}"
            assert "anyOf" not in parameter["schema"]


def test_every_group_of_operations_is_described_once(document: dict[str, Any]) -> None:
    described = [tag["name"] for tag in document["tags"] if tag["description"]]
    used = {tag for _, operation in operations(document) for tag in operation["tags"]}
    assert sorted(described) == sorted(used)


def test_every_operation_behind_a_token_tells_401_and_no_other_does(
    document: dict[str, Any],
) -> None:
    for name, operation in operations(document):
        wanted = bool(operation.get("security")) or name in IN_THE_BODY
        assert ("401" in operation["responses"]) == wanted, name


def test_every_field_of_a_body_and_every_error_is_described(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    for field, schema in schemas["NewMemo"]["properties"].items():
        assert schema["description"], field
        assert "null" not in json.dumps(schema), field
    for name, response in document["components"]["responses"].items():
        house = {"success", "error", "code", "requestId"}
        others = {"KeptError": {"error", "message"}, "OpenAIError": {"error"}}
        fields = others.get(name.rstrip("0123456789"), house)
        for example in response["content"]["application/json"]["examples"].values():
            assert set(example["value"]) >= fields


def test_examples_are_of_the_shape_they_are_examples_of(document: dict[str, Any]) -> None:
    checked = 0
    for name, schema in document["components"]["schemas"].items():
        for example in schema.get("examples", []):
            validator(document, name).validate(example)
            checked += 1
    assert checked >= 4


def validator(document: Mapping[str, Any], name: str) -> Draft202012Validator:
    # References are looked up from the root of what is given.
    return Draft202012Validator(
        {"components": document["components"], "$ref": f"#/components/schemas/{name}"}
    )


async def test_real_answers_are_of_the_shape_the_document_says(
    front: Front, anna: User, document: dict[str, Any]
) -> None:
    memo = await front.new_memo(anna, recordingLanguages=["de"], location={"a": 1})
    validator(document, "MemoStarted").validate(memo)
    await front.move(memo, JobState.RUNNING)
    await front.say(memo)
    await front.move(memo, JobState.FAILED)
    for path, name in (
        ("memos", "MemoList"),
        (f"memos/{memo['memoId']}", "OneMemo"),
        (f"memos/{memo['memoId']}/transcript", "TranscriptAnswer"),
        (f"jobs/{memo['jobId']}", "JobView"),
        ("memories/x", "ErrorAnswer"),
        (f"memos/{memo['memoId']}/memories", "MemoryList"),
        ("blueprints", "BlueprintList"),
        ("credits/balance", "BalanceAnswer"),
        ("credits/transactions", "Transactions"),
        ("usage?by=kind", "UsageAnswer"),
        ("credits/pricing", "Pricing"),
        ("/health", "Health"),
        ("/health/live", "Alive"),
        ("memos/x", "ErrorAnswer"),
    ):
        answer = await front.ask("GET", path, anna)
        validator(document, name).validate(answer.json())


def test_every_failure_has_a_status() -> None:
    """A failure nobody thought of would be answered 500."""
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    failures = [kind for kind in kinds if issubclass(kind, errors.Failure)]
    untold = {errors.Failure, errors.Rejected}
    for kind in failures:
        failure = kind.__new__(kind)
        assert (status_of(failure) == 500) == (kind in untold), kind
    assert set(STATUS) <= set(failures)


async def test_the_page_is_served_whole_and_may_load_nothing_from_elsewhere(front: Front) -> None:
    page = await front.ask("GET", "/docs")
    assert page.status_code == 200
    assert page.headers["Content-Type"].startswith("text/html")
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    for address in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        if not address.startswith("data:"):
            asset = await front.ask("GET", f"/{address}")
            assert asset.status_code == 200, address
            assert len(asset.content) > 10_000
    assert (await front.ask("GET", "/docs/..%2f..%2fcli.py")).status_code == 404
