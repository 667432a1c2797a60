"""The transcript as JSON."""

from api.shapes.fields import Answer
from contracts.transcript import Gap, Transcript, Utterance, Word


class TranscriptAnswer(Answer):
    """Everything that was said; ``offset`` and ``duration`` of words in milliseconds."""

    memo_id: str
    transcript: str
    duration: float
    utterances: list[Utterance]
    words: list[Word]
    speakers: dict[str, str]
    languages: list[str]
    primary_language: str | None
    gaps: list[Gap]

    @classmethod
    def of(cls, memo_id: str, transcript: Transcript) -> "TranscriptAnswer":
        """The view of a saved transcript."""
        return cls(
            memo_id=memo_id,
            transcript=transcript.text,
            duration=transcript.seconds,
            utterances=list(transcript.utterances),
            words=list(transcript.words),
            speakers=transcript.speakers,
            languages=list(transcript.languages),
            primary_language=transcript.primary_language,
            gaps=list(transcript.gaps),
        )
