"""What `voicekeep send` prints of a recording that went through."""

import json
import textwrap
from datetime import datetime
from typing import Any, Final

from runtime.send import Sent

WIDTH: Final = 10
LINE: Final = 100
GOOD: Final = frozenset({"completed", "completed_no_transcript"})


def succeeded(sent: Sent) -> bool:
    """Whether the job ended well; no speech is an answer too."""
    return sent.job["state"] in GOOD


def as_json(sent: Sent) -> str:
    """For programs: one line."""
    return json.dumps(
        {
            "event": "sent",
            "state": sent.job["state"],
            "memoId": sent.job["subjectId"],
            "jobId": sent.job["id"],
            "headline": sent.memo.get("title"),
            "intro": sent.memo.get("intro"),
            "transcript": (sent.transcript or {}).get("transcript"),
            "utterances": (sent.transcript or {}).get("utterances", []),
            "credits": {"held": held(sent), "charged": sent.job["credits"]["charged"]},
            "steps": dict(steps(sent)),
            "seconds": round(sent.seconds, 3),
            "error": sent.job["error"],
            "links": links(sent),
        }
    )


def as_text(sent: Sent) -> str:
    """For a person."""
    said = (sent.transcript or {}).get("utterances", [])
    words = [row(clock(each["offset"]), each["text"]) for each in said]
    return "\n".join(["", *words, "", *_facts(sent), ""])


def _facts(sent: Sent) -> list[str]:
    job = sent.job
    audio = job["cost"]["seconds"]
    of_audio = f" for {audio:.1f} s of audio" if audio else ""
    facts = {
        "State": f"{job['state']} after {sent.seconds:.1f} s{of_audio}",
        "Headline": sent.memo.get("title"),
        "Intro": sent.memo.get("intro"),
        "Credits": f"{held(sent)} held, {job['credits']['charged']} charged",
        "Steps": ", ".join(f"{name} {seconds:.2f} s" for name, seconds in steps(sent)),
    }
    if job["error"]:
        facts["Error"] = f"{job['error']['message']} ({job['error']['code']})"
    named = {"API docs": "docs", "Memo": "memo", "Workflow": "workflow"}
    found = links(sent)
    facts |= {name: found[key] for name, key in named.items()}
    return [row(name, str(value)) for name, value in facts.items() if value]


def row(name: str, value: str) -> str:
    """A line of a name and a value, broken where a terminal would; addresses stay whole."""
    return textwrap.fill(
        value,
        LINE,
        initial_indent=f"  {name:<{WIDTH}} ",
        subsequent_indent=" " * (WIDTH + 3),
        break_long_words=False,
        break_on_hyphens=False,
    )


def links(sent: Sent) -> dict[str, str | None]:
    """Where to look further; the workflow's is none when no web UI is known."""
    target = sent.target
    return {
        "docs": target.docs,
        "memo": f"{target.api}/api/v1/memos/{sent.job['subjectId']}",
        "workflow": target.workflow(sent.job["id"]),
    }


def held(sent: Sent) -> int:
    """The most credits held for it at any time."""
    return max((int(event.get("held") or 0) for event in sent.events), default=0)


def steps(sent: Sent) -> list[tuple[str, float]]:
    """Seconds of each step in the order they came.

    A step that did not say what it took is given the time since the event before.
    """
    spent: dict[str, float] = {}
    before: datetime | None = None
    for event in sent.events:
        at = datetime.fromisoformat(event["at"])
        name = _step(event)
        since = (at - before).total_seconds() if before else 0.0
        if name is not None:
            spent[name] = spent.get(name, 0.0) + event.get("seconds", since)
        before = at
    return [(name, round(seconds, 3)) for name, seconds in spent.items()]


def _step(event: dict[str, Any]) -> str | None:
    """The step an event is the end of; none when it tells of a beginning or of progress."""
    if event["type"] == "done":
        return "end"
    if event["type"] == "state":
        return "reserve" if event.get("state") == "running" else None
    ended = "seconds" in event or "charged" in event
    return str(event["step"]) if ended and event.get("step") else None


def clock(milliseconds: int) -> str:
    """``1:02:03.4``, the hours only when there are some."""
    minutes, seconds = divmod(milliseconds / 1000, 60)
    hours, minutes = divmod(int(minutes), 60)
    head = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{head}:{seconds:04.1f}"
