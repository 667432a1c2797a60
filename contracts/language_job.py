"""The values of the language workflow: a question, several memos combined, a memory, a blueprint.

What is asked and what is answered stays in the database (``LanguageOrder``); ids, counts and names
travel through Temporal (the others).
"""

from typing import Any

from contracts.jobs import JobFailure, JobState
from contracts.language import MemoryPrompt, Use
from contracts.values import Value
from contracts.webhooks import Delivery


class LanguageJob(Value):
    """What the language workflow is started with; kept as ``jobs.request`` to start it again.

    Attributes:
        job_id: the workflow's id, ``<use>-<request id>``.
        user_id: who asks and pays.
        subject_id: the memo it is about; for combine the id of the memo that is to be made.
            A translation is of that memo's own recording, none that was added to it.
        memo_ids: the memos to read, in the order they are to be read.
        price: credits, held before a model is called and settled when it has answered.
        round: 1 for the first run, 2 for the first retry, …
        heartbeat_seconds: after so long without a sign of life a worker counts as lost.
    """

    job_id: str
    use: Use
    user_id: str
    subject_id: str
    memo_ids: tuple[str, ...]
    price: int = 0
    round: int = 1
    heartbeat_seconds: float = 60.0


class LanguageOrder(Value):
    """What is asked for; a row of its own, because it holds words.

    Attributes:
        instruction: the question, or the prompt of the memory; for combine what the user adds.
        prompts: of a blueprint, one memory each, in their order.
        role: the blueprint's own system prompt, or the user's.
        language: BCP 47 tag of the answer; none means the language of the recordings.
        title: what the memory is to be called; empty leaves that to the model.
        metadata: kept on what is written (``blueprintId``, ``promptId``).
    """

    instruction: str = ""
    prompts: tuple[MemoryPrompt, ...] = ()
    role: str = ""
    language: str | None = None
    title: str = ""
    metadata: dict[str, Any] = {}


class LanguageReserved(Value):
    """Answer of the first step.

    Attributes:
        present: false when the row was withdrawn before the workflow began: nothing is to be done.
        held: credits held.
    """

    present: bool
    held: int = 0


class WrittenRef(Value):
    """That something was written, and how; the words stay in the database.

    Attributes:
        memory_ids: memories that hold it, in their order.
        memo_id: the memo that was made, for combine; else the one it was written about.
        engine: model or version.
        prompt: name and version of our prompt file; the local engine has none.
        characters_read: of the recordings; never fewer than ``characters_total`` silently.
        parts: texts the model was given one by one.
        charged: credits.
        announced: webhook messages that tell of the charge; kept in no row.
    """

    memory_ids: tuple[str, ...] = ()
    memo_id: str | None = None
    tier: str
    provider: str
    engine: str
    prompt: str | None = None
    characters_read: int
    characters_total: int
    parts: int = 1
    charged: int = 0
    announced: tuple[Delivery, ...] = ()


class KeptOrder(Value):
    """What was asked for, as it is kept; ``written`` once it has been written."""

    order: LanguageOrder
    written: WrittenRef | None = None


class OrderedBlueprint(Value):
    """That the memories of a blueprint were ordered for a memo; none: there is nothing to do."""

    job: LanguageJob | None = None


class EndLanguage(Value):
    """The last word on a language job that has no result."""

    job: LanguageJob
    state: JobState
    failure: JobFailure | None = None


class LanguageResult(Value):
    """What the workflow returns: enough for an operator, nothing written."""

    state: JobState
    charged: int = 0
    written: WrittenRef | None = None
    failure: JobFailure | None = None
