"""What is said of a step that failed."""

from contracts.speech import PlannedVoice, SpeechFormat
from contracts.speech_job import SpeakPart, SpeechJob
from runtime.temporal_failures import user_of

USER = "5f0f7a86-8a5f-4b0a-9a53-0d3f3a1f2c11"
JOB = SpeechJob(job_id="speech-1", user_id=USER, file_id="1", form=SpeechFormat.WAV)
VOICE = PlannedVoice(name="local", provider="espeak", voice="+f2", max_characters=100)


def test_the_log_of_a_step_names_its_user_even_where_temporal_does_not() -> None:
    assert user_of([JOB]) == USER
    assert user_of([SpeakPart(job=JOB, voice=VOICE, index=0)]) == USER
    assert user_of([]) is None
    assert user_of(["memo-1"]) is None
