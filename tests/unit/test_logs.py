import json
import logging
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from pydantic import TypeAdapter

from runtime import logs
from runtime.settings import load

SECRET = "hunter2hunter2"
JWT = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def configured(**changes: Any) -> None:
    logs.configure(load(None, **({"LOG_FORMAT": "json"} | changes)).logs)


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    out, err = capsys.readouterr()
    assert out == ""
    return [json.loads(line) for line in err.splitlines()]


def test_an_event_is_one_line_of_json_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    configured()
    with structlog.contextvars.bound_contextvars(job_id="memo-1"):
        structlog.get_logger("store").info("memo.saved", words=7)
    [line] = lines(capsys)
    assert (line["event"], line["words"], line["job_id"]) == ("memo.saved", 7, "memo-1")
    assert (line["level"], line["timestamp"][-1]) == ("info", "Z")


@pytest.mark.parametrize("name", ["uvicorn.error", "temporalio.worker", "anything.else"])
def test_other_libraries_go_through_the_same_chain(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    configured()
    logging.getLogger(name).warning("with %s and Bearer %s", "words", SECRET)
    [line] = lines(capsys)
    assert line["event"] == "with words and Bearer [hidden]"
    assert line["logger"] == name


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "Authorization",
        "token",
        "access_token",
        "api_key",
        "x-api-key",
        "password",
        "client_secret",
        "webhook_secret",
        "signature",
        "cookie",
        "database_url",
    ],
)
def test_a_value_whose_name_says_secret_is_hidden(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    configured()
    structlog.get_logger().info("thing.happened", **{name: SECRET}, nested={name: [SECRET]})
    [line] = lines(capsys)
    assert line[name] == "[hidden]"
    assert SECRET not in json.dumps(line)


@pytest.mark.parametrize(
    "text",
    [
        f"header Bearer {SECRET}",
        f"it said {JWT} and more",
        f"key sk-{SECRET}",
        f"key vk_live_{SECRET}",
        f"postgresql://user:{SECRET}@host/db",
        f"https://bucket.example/a.m4a?sv=1&sig={SECRET}&se=2",
        f"https://bucket.example/a.m4a?X-Amz-Signature={SECRET}",
        f"https://x.example/f?temp_url_sig={SECRET}&temp_url_expires=1",
        f"http://x.example/f?token={SECRET}",
    ],
)
def test_secrets_inside_texts_are_taken_out_wherever_they_stand(
    capsys: pytest.CaptureFixture[str], text: str
) -> None:
    configured()
    structlog.get_logger().info("thing.happened", where=text, deep={"list": [{"a": text}]})
    logging.getLogger("library").error(text)
    for line in lines(capsys):
        assert SECRET not in json.dumps(line)
        assert JWT not in json.dumps(line)
        assert "[hidden]" in json.dumps(line)


@pytest.mark.parametrize(
    "text",
    [
        "https://x.example/memos?limit=50&offset=0",
        "user 5f0f7a86-8a5f-4b0a-9a53-0d3f3a1f2c11 in memo-1",
        "127.0.0.1:7233",
        "postgresql://host/db",
    ],
)
def test_what_is_no_secret_stays_readable(capsys: pytest.CaptureFixture[str], text: str) -> None:
    configured()
    structlog.get_logger().info("thing.happened", where=text)
    assert lines(capsys)[0]["where"] == text


def fail(message: str) -> None:
    raise ValueError(message)


def test_an_exception_is_logged_as_type_and_place_never_with_what_it_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configured()
    try:
        fail("a sentence somebody spoke")
    except ValueError as error:
        structlog.get_logger().exception("thing.broke")
        structlog.get_logger().error("thing.broke", exc_info=error)
        logging.getLogger("library").exception("it broke")
    found = lines(capsys)
    assert len(found) == 3
    for line in found:
        assert line["error"] == "ValueError"
        assert line["frames"][-1].endswith("fail")
        assert "spoke" not in json.dumps(line)


def test_an_exception_whose_kind_speaks_of_code_alone_is_told_in_its_own_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configured()
    with sqlite3.connect(":memory:") as connection:
        try:
            connection.execute("select missing from sqlite_master")
        except sqlite3.OperationalError:
            structlog.get_logger().exception("thing.broke")
    connection.close()
    [line] = lines(capsys)
    assert line["said"] == "no such column: missing"


def test_frames_of_libraries_are_left_out_but_for_the_innermost(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configured()
    try:
        TypeAdapter(int).validate_json("{")
    except ValueError:
        structlog.get_logger().exception("thing.broke")
    [line] = lines(capsys)
    assert ["site-packages" in frame for frame in line["frames"]] == [False, True]


def test_the_level_is_the_settings(capsys: pytest.CaptureFixture[str]) -> None:
    configured(LOG_LEVEL="warning")
    structlog.get_logger().info("not.this")
    structlog.get_logger().warning("but.this")
    logging.getLogger("library").info("nor this")
    assert [line["event"] for line in lines(capsys)] == ["but.this"]


def test_requests_are_logged_by_the_api_alone(capsys: pytest.CaptureFixture[str]) -> None:
    configured()
    logging.getLogger("uvicorn.access").info("GET /memos?token=x")
    logging.getLogger("httpx").info("GET https://vendor")
    assert lines(capsys) == []


def test_a_short_command_tells_warnings_only_unless_everything_is_asked_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for level, expected in (("info", ["two"]), ("debug", ["zero", "one", "two"])):
        logs.configure(load(None, LOG_FORMAT="json", LOG_LEVEL=level).logs, quiet=True)
        log = structlog.get_logger()
        log.debug("zero")
        log.info("one")
        log.warning("two")
        assert [line["event"] for line in lines(capsys)] == expected


def test_configuring_again_does_not_say_everything_twice(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configured()
    configured()
    structlog.get_logger().info("thing.happened")
    assert len(lines(capsys)) == 1


def test_on_a_console_lines_are_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configured(LOG_FORMAT="console")
    structlog.get_logger().info("memo.saved", token=SECRET)
    err = capsys.readouterr().err
    assert "memo.saved" in err
    assert not err.startswith("{")
    assert SECRET not in err
