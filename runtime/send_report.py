"""What `voicekeep send` prints of a recording that went through."""

import json
from typing import Any, Final

from runtime.send import FINAL, Sent

WIDTH: Final = 12
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
            "credits": {"held": sent.held, "charged": sent.job["credits"]["charged"]},
            "steps": dict(steps(sent.job)),
            "seconds": round(sent.seconds, 3),
            "error": sent.job["error"],
            "links": links(sent),
        }
    )


def as_text(sent: Sent) -> str:
    """For a person."""
    said = (sent.transcript or {}).get("utterances", [])
    words = [f"  {clock(each['offset'])}  {each['text']}" for each in said]
    return "\n".join(["", *words, "", *_facts(sent), ""])


def _facts(sent: Sent) -> list[str]:
    job = sent.job
    audio = job["cost"]["seconds"]
    of_audio = f" for {audio:.1f} s of audio" if audio else ""
    facts = {
        "State": f"{job['state']} after {sent.seconds:.1f} s{of_audio}",
        "Headline": sent.memo.get("title"),
        "Intro": sent.memo.get("intro"),
        "Credits": f"{sent.held} held, {job['credits']['charged']} charged",
        "Steps": ", ".join(f"{name} {seconds:.2f} s" for name, seconds in steps(job)),
    }
    if job["error"]:
        facts["Error"] = f"{job['error']['message']} ({job['error']['code']})"
    named = {"API docs": "docs", "Memo": "memo", "Workflow": "workflow"}
    found = links(sent)
    facts |= {name: found[key] for name, key in named.items()}
    return [f"  {name:<{WIDTH}} {value}" for name, value in facts.items() if value]


def links(sent: Sent) -> dict[str, str | None]:
    """Where to look further; the workflow's is none when no web UI is known."""
    target = sent.target
    place = f"{target.ui}/namespaces/{target.namespace}/workflows/{sent.job['id']}"
    return {
        "docs": f"{target.api}/docs",
        "memo": f"{target.api}/api/v1/memos/{sent.job['subjectId']}",
        "workflow": place if target.ui else None,
    }


def steps(job: dict[str, Any]) -> list[tuple[str, float]]:
    """Seconds spent in each step, in the order they came."""
    spent: dict[str, float] = {}
    for moment in job["timeline"]:
        if moment["step"] and moment["seconds"] is not None:
            spent[moment["step"]] = spent.get(moment["step"], 0.0) + moment["seconds"]
    return [(name, round(seconds, 3)) for name, seconds in spent.items() if name not in FINAL]


def clock(milliseconds: int) -> str:
    """``1:02:03.4``, the hours only when there are some."""
    minutes, seconds = divmod(milliseconds / 1000, 60)
    hours, minutes = divmod(int(minutes), 60)
    head = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{head}:{seconds:04.1f}"
