"""The names that OpenAI's clients may ask for; who really works is decided by the tiers."""

from api.dependencies import Services
from api.shapes.openai import TRANSCRIBERS


def models(needs: Services) -> tuple[str, ...]:
    """Every name that a request may have for a model, each once."""
    spoken = needs.settings.speech_setup
    own = needs.settings.transcription.openai_transcription_model
    return tuple(dict.fromkeys((*spoken.openai_models, spoken.openai_model, *TRANSCRIBERS, own)))
