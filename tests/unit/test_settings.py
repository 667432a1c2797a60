import os
from pathlib import Path

import pytest

from runtime.settings import Settings, environment, load
from runtime.settings_values import InvalidSetting
from tools import settings_documents

KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
NAMES = frozenset(
    str(field.validation_alias)
    for _, group in Settings.groups()
    for field in group.model_fields.values()
)


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name in NAMES or name.startswith("TEMPORAL_"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("ENV_FILE", raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_defaults_are_those_of_the_contract() -> None:
    settings = load()
    assert settings.limits.rate_limit_per_minute == 100
    assert (settings.limits.max_upload_mb, settings.limits.max_audio_hours) == (2048, 12)
    assert settings.limits.audio_wait_seconds == 60
    assert settings.credits.starting_credits == 150
    assert settings.transcription.tier_tries == 2
    assert settings.transcription.tier_backoff_seconds == 2
    assert settings.transcription.vendor_call_timeout_seconds == 1200
    assert settings.tokens.embedded_issuer is False
    assert settings.storage.storage == "disk"


def test_the_default_database_and_files_lie_in_the_data_folder(tmp_path: Path) -> None:
    settings = load(DATA_DIR=tmp_path / "data")
    assert settings.database_url.endswith(f"{tmp_path}/data/voicekeep.db")
    assert settings.files_dir == tmp_path / "data" / "files"


def test_the_environment_wins_over_the_file_and_an_option_over_both(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path(".env").write_text("PORT=1111\nHOST=10.0.0.1\nMAX_UPLOAD_MB=7\n")
    monkeypatch.setenv("PORT", "2222")
    monkeypatch.setenv("HOST", "10.0.0.2")
    settings = load(PORT=3333)
    assert (settings.server.port, settings.server.host) == (3333, "10.0.0.2")
    assert settings.limits.max_upload_mb == 7


def test_a_variable_that_is_called_like_a_field_is_no_setting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = load()
    for _, group in Settings.groups():
        for field in group.model_fields:
            if field.upper() not in NAMES:
                monkeypatch.setenv(field.upper(), "1")
    assert load() == before


def test_an_empty_value_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("PORT=1111\n")
    monkeypatch.setenv("PORT", "")
    monkeypatch.setenv("OPENAI_API_KEY", "")
    settings = load()
    assert settings.server.port == 1111
    assert settings.transcription.openai_api_key is None
    assert environment()["PORT"] == "1111"


def test_env_file_names_another_file_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("PORT=1111\n")
    Path("other.env").write_text("PORT=2222\n")
    monkeypatch.setenv("ENV_FILE", "other.env")
    assert load().server.port == 2222
    monkeypatch.setenv("ENV_FILE", "")
    assert load().server.port == 8000
    assert "PORT" not in environment()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("RATE_LIMIT_PER_MINUTE", "-1"),
        ("MAX_UPLOAD_MB", "0"),
        ("MAX_AUDIO_HOURS", "0"),
        ("STARTING_CREDITS", "-5"),
        ("STORAGE", "attic"),
        ("AUTH_ISSUERS", "{"),
        ("AUTH_ISSUERS", '[{"issuer": "x"}]'),
        ("AUTH_ISSUERS", '{"issuer": "x", "jwks_url": "y"}'),
        ("MANA_CORE_AUTH_URL", "auth.example"),
        ("EMBEDDED_ISSUER", "perhaps"),
        ("TEMPORAL_PAYLOAD_KEYS", "no-colon"),
        ("TEMPORAL_PAYLOAD_KEYS", "a:c2hvcnQ="),
        ("TEMPORAL_PAYLOAD_KEYS", "a:%%%"),
        ("TEMPORAL_PAYLOAD_KEYS", f"a:{KEY},a:{KEY}"),
        ("TEMPORAL_PAYLOAD_KEYS", f"a b:{KEY}"),
        ("TRANSCRIPTION_TIERS", "local,magic"),
        ("TRANSCRIPTION_TIERS", "local,local"),
        ("TIER_TRIES", "0"),
        ("WORKER_METRICS_ADDRESS", "9000"),
        ("WORKER_METRICS_ADDRESS", "host:99999"),
        ("WORKER_WORKFLOW_TASKS", "1"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_a_wrong_value_gives_one_sentence_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSetting) as raised:
        load()
    message = raised.value.message
    assert message.startswith(f"{name} is wrong: ")
    assert message.endswith(".")
    assert "\n" not in message
    assert message.count(" is wrong: ") == 1


def test_a_wrong_secret_is_never_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_PAYLOAD_KEYS", "id:aHVudGVyMg==")
    with pytest.raises(InvalidSetting) as raised:
        load()
    assert "aHVudGVyMg" not in raised.value.message
    assert "hunter2" not in raised.value.message


def test_every_wrong_value_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "x")
    monkeypatch.setenv("STARTING_CREDITS", "x")
    with pytest.raises(InvalidSetting, match=r"PORT is wrong: .* STARTING_CREDITS is wrong: "):
        load()


def test_secrets_stay_out_of_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-one")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:secret-two@h/db")
    monkeypatch.setenv("TEMPORAL_API_KEY", "secret-three")
    monkeypatch.setenv("TEMPORAL_PAYLOAD_KEYS", f"a:{KEY}")
    settings = load()
    printed = f"{settings!r} {settings}"
    for secret in ("secret-one", "secret-two", "secret-three", KEY, "0123456789abcdef"):
        assert secret not in printed
    assert settings.database_url == "postgresql://u:secret-two@h/db"


def test_payload_keys_are_read_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_PAYLOAD_KEYS", f"new:{KEY}, old:{KEY}")
    assert [key.id for key in load().temporal.payload_keys] == ["new", "old"]


def test_tiers_are_what_is_configured_unless_they_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert load().tiers == ("local",)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1/")
    assert load().tiers == ("openai", "local")
    assert load().transcription.openai_base_url == "http://127.0.0.1:9/v1"
    monkeypatch.setenv("TRANSCRIPTION_TIERS", "local, openai")
    assert load().tiers == ("local", "openai")


def test_each_identity_provider_adds_its_issuer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MANA_CORE_AUTH_URL", "https://auth.example/")
    monkeypatch.setenv("MEMORO_SUPABASE_URL", "https://p.supabase.example")
    monkeypatch.setenv(
        "AUTH_ISSUERS", '[{"issuer": "i", "jwks_url": "https://i/k", "audience": "a"}]'
    )
    found = {each.issuer: (each.jwks_url, each.audience) for each in load().tokens.issuers()}
    assert found == {
        "i": ("https://i/k", "a"),
        "https://auth.example": ("https://auth.example/api/auth/jwks", "mana"),
        "https://p.supabase.example/auth/v1": (
            "https://p.supabase.example/auth/v1/.well-known/jwks.json",
            "authenticated",
        ),
    }


def test_the_example_file_holds_every_setting_with_its_default() -> None:
    assert settings_documents.EXAMPLE.read_text() == settings_documents.example()


def test_the_example_file_used_as_it_is_changes_nothing() -> None:
    text = settings_documents.EXAMPLE.read_text()
    everything = [line[1:] for line in text.splitlines() if line[:1] == "#" and line[1:2] != " "]
    assert {line.partition("=")[0] for line in everything} == NAMES
    Path("example.env").write_text("\n".join(everything))
    assert load(Path("example.env")) == load(None)


def test_the_document_holds_every_setting_with_its_default_and_meaning() -> None:
    text = settings_documents.CONFIGURATION.read_text()
    assert text == settings_documents.configuration(text)


def test_every_setting_is_spelled_once() -> None:
    spelled = [
        str(field.validation_alias)
        for _, group in Settings.groups()
        for field in group.model_fields.values()
    ]
    assert len(spelled) == len(set(spelled))
    assert all(name == name.upper() for name in spelled)


@pytest.mark.parametrize(
    ("storage", "given", "lacking"),
    [
        ("supabase", {"MEMORO_SUPABASE_URL": "https://x.example"}, "MEMORO_SUPABASE_SERVICE_KEY"),
        ("supabase", {"MEMORO_SUPABASE_SERVICE_KEY": "secret-1"}, "MEMORO_SUPABASE_URL"),
        ("azure", {"AZURE_STORAGE_ACCOUNT_NAME": "acc"}, "AZURE_STORAGE_ACCOUNT_KEY"),
        ("azure", {"AZURE_STORAGE_ACCOUNT_KEY": "secret-1"}, "AZURE_STORAGE_ACCOUNT_NAME"),
    ],
)
def test_a_storage_without_what_it_needs_is_refused_by_name(
    storage: str, given: dict[str, str], lacking: str
) -> None:
    with pytest.raises(InvalidSetting) as refused:
        load(None, STORAGE=storage, **given)
    assert f"STORAGE is {storage}" in str(refused.value)
    assert lacking in str(refused.value)
    assert "secret-1" not in str(refused.value)


def test_a_storage_elsewhere_is_reached_by_its_settings(tmp_path: Path) -> None:
    supabase = load(
        None,
        STORAGE="supabase",
        DATA_DIR=tmp_path,
        MEMORO_SUPABASE_URL="https://x.example/",
        MEMORO_SUPABASE_SERVICE_KEY="k",
    ).storage_setup
    assert supabase.supabase is not None
    assert (supabase.supabase.url, supabase.supabase.bucket) == (
        "https://x.example",
        "user-uploads",
    )
    assert supabase.spool == tmp_path / "work" / "spool"
    azure = load(
        None, STORAGE="azure", AZURE_STORAGE_ACCOUNT_NAME="acc", AZURE_STORAGE_ACCOUNT_KEY="a2V5"
    ).storage_setup
    assert azure.azure is not None
    assert azure.azure.url == "https://acc.blob.core.windows.net"
    assert load(None).storage_setup.supabase is None
