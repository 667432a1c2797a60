"""What `voicekeep speak` prints of a text that went through."""

import json
from typing import Final

from runtime.send_report import row
from runtime.speak import Spoken

MB: Final = 1_000_000


def as_json(spoken: Spoken) -> str:
    """For programs: one line."""
    speech, target = spoken.speech, spoken.target
    return json.dumps(
        {
            "event": "spoken",
            "status": speech["status"],
            "speechId": speech["id"],
            "jobId": speech["jobId"],
            "file": None if spoken.out is None else str(spoken.out),
            "format": speech["format"],
            "size": speech["size"],
            "audioSeconds": speech["seconds"],
            "tier": speech["tier"],
            "timings": None if spoken.timings is None else str(spoken.timings),
            "credits": {"charged": spoken.charged},
            "seconds": round(spoken.seconds, 3),
            "error": speech["error"],
            "links": {
                "docs": target.docs,
                "speech": f"{target.api}/api/v1/speech/{speech['id']}",
                "workflow": target.workflow(speech["jobId"]),
            },
        }
    )


def as_text(spoken: Spoken, *, timings_wanted: bool) -> str:
    """For a person."""
    speech, target = spoken.speech, spoken.target
    facts = {
        "State": _state(spoken),
        "File": None if spoken.out is None else f"{_size(speech['size'])} in {spoken.out}",
        "Timings": _timings(spoken) if timings_wanted else None,
        "Credits": None if spoken.charged is None else f"{spoken.charged} charged",
        "Speech": f"{target.api}/api/v1/speech/{speech['id']}",
        "Workflow": target.workflow(speech["jobId"]),
    }
    if speech["error"]:
        facts["Error"] = f"{speech['error']['message']} ({speech['error']['code']})"
    return "\n".join(["", *(row(name, value) for name, value in facts.items() if value), ""])


def _state(spoken: Spoken) -> str:
    speech = spoken.speech
    if not spoken.ready:
        return f"{speech['status']} after {spoken.seconds:.1f} s"
    there = "" if spoken.events else "; it was there already"
    audio = f"{speech['seconds']:.1f} s of audio by `{speech['tier']}`"
    return f"ready after {spoken.seconds:.1f} s: {audio}{there}"


def _timings(spoken: Spoken) -> str | None:
    if not spoken.ready:
        return None
    if spoken.timings is None:
        return f"none: `{spoken.speech['tier']}` does not tell when what is said"
    return f"{spoken.timed} in {spoken.timings}"


def _size(count: int) -> str:
    """Bytes as a person reads them."""
    return f"{count / MB:.1f} MB" if count >= MB else f"{count / 1000:.1f} kB"
