"""The settings as a whole, read from the environment.

Built only in the roots (``worker.py``, ``cli.py``) with ``load()``; everything else is given the
values it needs. The environment wins over a ``.env`` file in the working folder (ENV_FILE names
another one; empty: none). An empty value counts as unset.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Self

from dotenv import dotenv_values
from pydantic import BaseModel, ConfigDict, SecretStr, ValidationError

from contracts.costs import Metered, Prices
from contracts.language_setup import GEMINI, OPENAI, LanguageSetup
from contracts.models import ModelServer, by_server
from contracts.speech_setup import SpeechSetup
from contracts.storage_setup import StorageSetup
from runtime.settings_azure import AzureSettings
from runtime.settings_bounds import BudgetSettings, ConnectionSettings
from runtime.settings_costs import CostSettings
from runtime.settings_egress import EgressSettings
from runtime.settings_events import EventSettings, MailSettings
from runtime.settings_groups import (
    CreditSettings,
    DatabaseSettings,
    Group,
    LimitSettings,
    LogSettings,
    MediaSettings,
    ServerSettings,
    TemporalSettings,
    TokenSettings,
    TranscriptionSettings,
    WorkerSettings,
)
from runtime.settings_language import LanguageSettings, SpeechEngineSettings
from runtime.settings_services import ServiceSettings
from runtime.settings_sign_in import SignInSettings
from runtime.settings_speech import SpeechSettings
from runtime.settings_storage import StorageSettings
from runtime.settings_values import TIERS, InvalidSetting

ENV_FILE: Final = Path(".env")


class Settings(BaseModel):
    """All groups together."""

    model_config = ConfigDict(frozen=True)

    server: ServerSettings
    connections: ConnectionSettings
    limits: LimitSettings
    budgets: BudgetSettings
    credits: CreditSettings
    tokens: TokenSettings
    sign_in: SignInSettings
    services: ServiceSettings
    database: DatabaseSettings
    storage: StorageSettings
    media: MediaSettings
    egress: EgressSettings
    temporal: TemporalSettings
    worker: WorkerSettings
    transcription: TranscriptionSettings
    azure: AzureSettings
    engines: SpeechEngineSettings
    language: LanguageSettings
    speech: SpeechSettings
    costs: CostSettings
    events: EventSettings
    mail: MailSettings
    logs: LogSettings

    @property
    def data_dir(self) -> Path:
        """Absolute folder of the embedded set-up's state."""
        return self.storage.data_dir.absolute()

    @property
    def files_dir(self) -> Path:
        """Absolute folder of the recordings when STORAGE is ``disk``."""
        return self.data_dir / "files"

    @property
    def storage_setup(self) -> StorageSetup:
        """Where the recordings are, and how that is reached."""
        return self.storage.setup(self.tokens, self.azure)

    @property
    def database_url(self) -> str:
        """Address of the database, with its password in it: never logged."""
        if self.database.database_url is not None:
            return self.database.database_url.get_secret_value()
        return f"sqlite+aiosqlite:///{self.data_dir / 'voicekeep.db'}"

    @property
    def token_sign_in(self) -> bool:
        """Whether a token of OpenAI's gives a session."""
        said = self.sign_in.token_sign_in
        return self.tokens.embedded_issuer if said is None else said

    @property
    def own_tokens_closed(self) -> str | None:
        """Why no user's own token of OpenAI's speaks here, in one sentence; none: it does.

        API and worker read the same settings, and have to come to the same key.
        """
        if not self.token_sign_in:
            return "TOKEN_SIGN_IN is not set"
        if self.sign_in.session_key is None and not self.database_url.startswith("sqlite"):
            return "SESSION_KEY is not set, which API and workers of several machines seal it with"
        return self.speech.not_for_tokens_of(self.transcription.openai_base_url)

    @property
    def starting_credits(self) -> int:
        """Of a user the ledger sees for the first time; a service elsewhere gives its own."""
        return 0 if self.services.mana_credits_url else self.credits.starting_credits

    @property
    def credits_low_below(self) -> int:
        """A charge that takes a balance of the ledger below it is told; 0 for never."""
        return 0 if self.services.mana_credits_url else self.credits.credits_low_below

    @property
    def tiers(self) -> tuple[str, ...]:
        """Names of the transcription tiers in the order they are tried."""
        if self.transcription.transcription_tiers:
            return self.transcription.transcription_tiers
        regions = {key.region for key in self.azure.speech_keys()}
        wanted = self.transcription
        configured = {
            "azure-fast": bool(regions),
            "azure-fast-other-region": len(regions) > 1,
            "azure-fast-converted": bool(regions),
            "azure-batch": bool(regions) and self.azure.blob_url() is not None,
            "openai": wanted.openai_api_key is not None or wanted.openai_base_url is not None,
            "gemini": self.language.gemini_api_key is not None,
            "whisper": self.engines.whisper_model is not None,
            "local": True,
            "external": False,
        }
        return tuple(name for name in TIERS if configured[name])

    @property
    def language_setup(self) -> LanguageSetup:
        """The language models that are configured."""
        openai = self.transcription
        return self.language.setup(openai.openai_api_key, openai.openai_base_url)

    @property
    def speech_setup(self) -> SpeechSetup:
        """The engines that speak."""
        openai, gemini = self.transcription, self.language
        return self.speech.setup(
            openai=(openai.openai_api_key, openai.openai_base_url),
            gemini=(gemini.gemini_api_key, gemini.gemini_base_url),
            azure=bool(self.azure.speech_keys()),
            own_tokens=self.own_tokens_closed is None,
        )

    @property
    def prices(self) -> Prices:
        """What the configured tiers cost us, as far as it is known."""
        written, spoken = self.language_setup, self.speech_setup
        models: dict[Metered, dict[str, str]] = {
            Metered.TRANSCRIPTION: {
                OPENAI: self.transcription.openai_transcription_model,
                GEMINI: self.engines.gemini_model,
            },
            Metered.LANGUAGE: {name: access.model for name, access in written.access.items()},
            # A request may name another model of OpenAI's: no price of one model fits them.
            Metered.SPEECH: {GEMINI: spoken.gemini_model},
        }
        tiers = {
            Metered.TRANSCRIPTION: self.tiers,
            Metered.LANGUAGE: written.tiers,
            Metered.SPEECH: spoken.tiers,
        }
        found = {
            metered.value: {
                name: rates
                for name in names
                if (rates := self.costs.rates(metered, name, models[metered].get(name))) is not None
            }
            for metered, names in tiers.items()
        }
        return Prices(**found)

    @property
    def model_servers(self) -> tuple[ModelServer, ...]:
        """The servers of OpenAI's API that the configured tiers ask, each with its models."""
        wanted, found = self.transcription, []
        if "openai" in self.tiers:
            model = wanted.openai_transcription_model
            key = wanted.openai_api_key or SecretStr("")
            found.append(ModelServer(key=key, url=wanted.openai_base_url, models=(model,)))
        language = self.language_setup.access.get(OPENAI)
        if language is not None:
            found.append(ModelServer(key=language.key, url=language.url, models=(language.model,)))
        speech = self.speech_setup
        if OPENAI in speech.tiers:
            models = (speech.openai_model, *speech.openai_models)
            found.append(ModelServer(key=speech.openai_key, url=speech.openai_url, models=models))
        return by_server(found)

    @classmethod
    def groups(cls) -> Iterator[tuple[str, type[Group]]]:
        """Name and class of every group, in the order of the documents."""
        for name, field in cls.model_fields.items():
            kind = field.annotation
            if isinstance(kind, type) and issubclass(kind, Group):
                yield name, kind

    @classmethod
    def read(cls, env_file: Path | None, overrides: Mapping[str, Any]) -> Self:
        """Build every group from the environment; see ``load``."""
        built: dict[str, Group] = {}
        wrong: list[str] = []
        for name, kind in cls.groups():
            aliases = {str(f.validation_alias) for f in kind.model_fields.values()}
            given = {key: value for key, value in overrides.items() if key in aliases}
            try:
                built[name] = kind(_env_file=env_file, **given)
            except ValidationError as error:
                wrong += [_sentence(problem) for problem in error.errors()]
        if wrong:
            raise InvalidSetting(" ".join(wrong))
        settings = cls.model_validate(built)
        try:
            settings.storage.setup(settings.tokens, settings.azure)
        except ValueError as error:
            raise InvalidSetting(str(error)) from None
        return settings


def load(env_file: Path | None = ENV_FILE, **overrides: Any) -> Settings:
    """Read the settings from the environment and a ``.env`` file.

    Args:
        env_file: the file, or None for none. A file that is not there is no error.
        overrides: values by their name in the environment (``PORT=0``) that win over both.

    Raises:
        InvalidSetting: a value is wrong; one sentence each, naming the variable, never the value.
    """
    return Settings.read(_named(env_file), overrides)


def environment(env_file: Path | None = ENV_FILE) -> dict[str, str]:
    """The process's environment over the ``.env`` file: for child processes and Temporal's own."""
    path = _named(env_file)
    filed = dotenv_values(path) if path is not None and path.is_file() else {}
    set_in_file = {name: value for name, value in filed.items() if value}
    # As in the settings: an empty value in the environment is none, and does not hide the file's.
    return set_in_file | {n: value for n, value in os.environ.items() if value or n not in filed}


def _named(env_file: Path | None) -> Path | None:
    """The file itself, or the one ENV_FILE names instead of ``.env``; empty: none."""
    if env_file != ENV_FILE:
        return env_file
    name = os.environ.get("ENV_FILE", str(ENV_FILE))
    return Path(name) if name else None


def _sentence(problem: Mapping[str, Any]) -> str:
    name = problem["loc"][0] if problem["loc"] else "A setting"
    message = str(problem["msg"]).removeprefix("Value error, ").rstrip(".")
    return f"{name} is wrong: {message[:1].lower()}{message[1:]}."
