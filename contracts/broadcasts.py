"""What clients that listen to Supabase Realtime are told of a memo: states, never words."""

from typing import Any, Final

from contracts import ids
from contracts.jobs import ToldEvent
from contracts.language import Use
from contracts.values import Value

EVENT: Final = "memo-updated"
SOURCE: Final = "voicekeep"

ABOUT_MEMOS: Final = frozenset({ids.MEMO, *Use})
"""Kinds of jobs whose subject is a memo that is there."""

_TOLD: Final = ("state", "previous", "step", "tier", "percent", "error")


class Broadcast(Value):
    """One message on a channel.

    Attributes:
        changes: what is new; a later message about the same job holds the earlier one's.
    """

    memo_id: str
    job_id: str
    changes: dict[str, Any]

    @property
    def topic(self) -> str:
        """The channel: one for each memo."""
        return f"memo-updates-{self.memo_id}"

    @property
    def payload(self) -> dict[str, Any]:
        """As clients of the memo app read it."""
        return {
            "type": EVENT,
            "memoId": self.memo_id,
            "changes": self.changes,
            "source": SOURCE,
        }

    def followed_by(self, later: "Broadcast") -> "Broadcast":
        """One message for two that were not sent yet."""
        return later.model_copy(update={"changes": {**self.changes, **later.changes}})


def broadcast_of(told: ToldEvent) -> Broadcast | None:
    """What is told of an event; nothing of jobs that are about no memo."""
    about, event = told.about, told.event
    if about.kind not in ABOUT_MEMOS:
        return None
    facts: dict[str, Any] = {name: event.data[name] for name in _TOLD if name in event.data}
    changes = {"jobId": about.id, "kind": about.kind, **facts, "updated_at": event.at}
    return Broadcast(memo_id=about.subject_id, job_id=about.id, changes=changes)
