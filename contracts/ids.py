"""The only spelling of workflow names, workflow ids, idempotency keys and storage keys."""

import re
from datetime import datetime
from typing import Final
from uuid import NAMESPACE_URL, UUID, uuid5

MEMO: Final = "memo"
ERASE: Final = "erase"
RECONCILE: Final = "reconcile"
WEBHOOK_DELIVERY: Final = "webhook_delivery"
LANGUAGE: Final = "language"
"""Name of the workflow of every language job; the job's kind is what it is used for."""

BLUEPRINT: Final = "blueprint"
SPEECH: Final = "speech"
SPEECH_EXPIRY: Final = "speech_expiry"
JOB_KIND: Final = "JobKind"
USER_ID: Final = "UserId"
SUBJECT_ID: Final = "SubjectId"
"""Names of the search attributes of jobs."""

MEDIA_EXTENSION: Final = re.compile(r"[a-z0-9]{1,8}")


def memo_job(memo_id: str) -> str:
    """Workflow id, and job id, of a memo's transcription."""
    return f"{MEMO}-{memo_id}"


def erase_job(subject_id: str) -> str:
    """Workflow id of the erasure of one memo or one user."""
    return f"{ERASE}-{subject_id}"


def language_job(use: str, request_id: str) -> str:
    """Workflow id of something to be written: ``question-<request id>``."""
    return f"{use}-{request_id}"


def memo_blueprint_job(memo_id: str) -> str:
    """Workflow id of the memories a new memo's blueprint asks for."""
    return language_job(BLUEPRINT, memo_id)


def speech_job(file_id: str) -> str:
    """Workflow id of a text that is read aloud."""
    return f"{SPEECH}-{file_id}"


def speech_key(user_id: str, file_id: str, extension: str) -> str:
    """Storage key of the audio of a text that is read aloud."""
    return f"{user_id}/{file_id}/speech.{extension}"


def part_key(user_id: str, file_id: str, part_hash: str) -> str:
    """Storage key of the samples of one part of it."""
    return f"{user_id}/{file_id}/part_{part_hash}.pcm"


def written_id(job_id: str, number: int = 0) -> str:
    """Id of what a job writes: its first memory, its second, …; the same however often it tries."""
    return str(uuid5(NAMESPACE_URL, f"{job_id}#{number}"))


def webhook_job(message_id: str) -> str:
    """Workflow id of the further attempts of a message: ``webhook-<event id>-<endpoint id>``."""
    return f"webhook-{message_id}"


def kind_of(job_id: str) -> str:
    """Kind of a job by its id: what stands before the first hyphen."""
    return job_id.partition("-")[0]


def step_key(job_id: str, step: str, attempt_round: int = 1) -> str:
    """Idempotency key of one side effect: ``<workflow id>:<step>``.

    A job that is run again after a failure (``attempt_round`` 2, 3, …) has keys of its own for what
    may happen once per round. What may happen once in a job's life leaves the round away.
    """
    return f"{job_id}:{step}" if attempt_round == 1 else f"{job_id}:{step}.{attempt_round}"


def audio_key(user_id: str, memo_id: str, at: datetime, extension: str) -> str:
    """Storage key of an uploaded recording: ``{userId}/{memoId}/audio_{iso}.{ext}``."""
    if not MEDIA_EXTENSION.fullmatch(extension):
        extension = "bin"
    stamp = at.strftime("%Y-%m-%dT%H-%M-%S-%fZ")
    return f"{user_id}/{memo_id}/audio_{stamp}.{extension}"


def work_prefix(user_id: str, subject_id: str) -> str:
    """Prefix of what one activity leaves for the next; emptied when the job ends."""
    return f"{user_id}/{subject_id}/work/"


def is_uuid(text: str) -> bool:
    """Whether a path id can name a row at all (any other is simply not found)."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def owner_id(issuer: str, subject: str) -> str:
    """Id under which the bearer of a token owns rows: the subject, when it is a UUID.

    Any other subject is given one that is its own for ever, and differs between issuers.
    """
    return subject.lower() if is_uuid(subject) else str(uuid5(NAMESPACE_URL, f"{issuer}#{subject}"))
