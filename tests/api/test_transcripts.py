"""The transcript in each of its formats."""

import pytest

from contracts.transcript import Utterance
from tests.api.front import SAID, Front, User


@pytest.mark.parametrize(
    ("kind", "media_type", "begins"),
    [
        ("txt", "text/plain; charset=utf-8", SAID),
        ("srt", "application/x-subrip; charset=utf-8", "1\n00:00:00,000 --> 00:00:06,000\nhello"),
        ("vtt", "text/vtt; charset=utf-8", "WEBVTT\n\n1\n00:00:00.000 --> 00:00:06.000\nhello"),
        ("md", "text/markdown; charset=utf-8", "# A \\*list\\*\n\n`00:00:00` hello"),
    ],
)
async def test_a_transcript_is_given_in_the_format_asked_for(
    front: Front, anna: User, kind: str, media_type: str, begins: str
) -> None:
    memo = await front.new_memo(anna, title="A *list*")
    await front.say(memo)
    answer = await front.ask("GET", f"memos/{memo['memoId']}/transcript?format={kind}", anna)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, media_type)
    assert answer.text.startswith(begins)


async def test_json_holds_words_and_utterances_with_their_times(front: Front, anna: User) -> None:
    memo = await front.new_memo(anna)
    said = await front.say(memo)
    answer = await front.ask("GET", f"memos/{memo['memoId']}/transcript", anna)
    body = answer.json()
    assert answer.headers["Content-Type"] == "application/json"
    assert (body["success"], body["memoId"], body["transcript"]) == (True, memo["memoId"], SAID)
    assert body["duration"] == 6.0
    assert body["primaryLanguage"] == "en-US"
    assert [Utterance(**utterance) for utterance in body["utterances"]] == list(said.utterances)
    assert body["words"][1] == {"text": "world", "offset": 1000, "duration": 1000}


async def test_there_is_no_transcript_before_there_is_one(front: Front, anna: User) -> None:
    memo = await front.new_memo(anna)
    answer = await front.ask("GET", f"memos/{memo['memoId']}/transcript", anna)
    assert answer.status_code == 404


async def test_a_member_of_its_space_reads_a_shared_transcript(
    front: Front, anna: User, ben: User
) -> None:
    memo = await front.new_memo(anna)
    await front.say(memo)
    path = f"memos/{memo['memoId']}/transcript?format=txt"
    assert (await front.ask("GET", path, ben)).status_code == 404
    await front.share(memo, ben)
    assert (await front.ask("GET", path, ben)).text == SAID + "\n"


async def test_an_unknown_format_is_refused(front: Front, anna: User) -> None:
    answer = await front.ask("GET", "memos/x/transcript?format=docx", anna)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")
    assert answer.json()["error"] == "format should be 'json', 'txt', 'srt', 'vtt' or 'md'"
