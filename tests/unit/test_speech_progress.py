"""What a listener knows of a job by its events, over rounds and tiers."""

from typing import Any

from api.speech_stream import Progress, Turn
from contracts.jobs import EventType, JobEvent, JobState
from contracts.speech import PlannedVoice
from contracts.speech_division import told

VOICES = tuple(
    PlannedVoice(name=name, provider=name, voice="nova", max_characters=200)
    for name in ("first", "second", "third")
)


def after(*events: dict[str, Any]) -> Progress:
    """A listener who has seen these events."""
    progress = Progress()
    for seq, data in enumerate(events, 1):
        ended = JobState(data.get("state", "running")).final
        kind = EventType.DONE if ended else EventType.STATE
        progress.take(JobEvent(job_id="j", seq=seq, type=kind, at="", data=data))
    return progress


PLANNED = {"state": "running", "voices": told(VOICES)}


def test_voices_are_known_as_they_were_planned() -> None:
    assert after({"state": "queued"}).voices == ()
    progress = after({"state": "queued"}, PLANNED)
    assert (progress.voices, progress.turn, progress.state) == (VOICES, Turn(1, 0), None)


def test_a_plan_of_an_older_worker_tells_no_voices() -> None:
    progress = after({"state": "queued"}, {"state": "running"}, {"tier": "second"})
    assert (progress.voices, progress.turn) == ((), Turn(1, 0))


def test_a_part_that_was_late_does_not_bring_back_the_tier_that_failed() -> None:
    progress = after(PLANNED, {"tier": "first"}, {"tier": "third"}, {"tier": "first"})
    assert progress.turn == Turn(1, 2)
    progress.reached({"second", "elsewhere"})
    assert progress.turn == Turn(1, 2)


def test_a_next_round_begins_with_the_first_tier() -> None:
    failed = ({"tier": "second"}, {"state": "failed"})
    assert after(PLANNED, *failed).state is JobState.FAILED
    progress = after(PLANNED, *failed, {"state": "queued", "round": 2}, PLANNED)
    assert (progress.turn, progress.state) == (Turn(2, 0), None)


def test_what_is_told_of_a_voice_finds_the_same_parts() -> None:
    for voice, data in zip(VOICES, told(VOICES), strict=True):
        assert PlannedVoice.model_validate(data).part_hash("Hello.") == voice.part_hash("Hello.")
