"""Which language models the settings lead to."""

import os
from pathlib import Path

import pytest

from contracts.language_setup import LanguageSetup
from runtime.settings import Settings, load
from runtime.settings_values import InvalidSetting

NAMES = frozenset(
    str(field.validation_alias)
    for _, group in Settings.groups()
    for field in group.model_fields.values()
)


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name in NAMES:
            monkeypatch.delenv(name)
    monkeypatch.delenv("ENV_FILE", raising=False)
    monkeypatch.chdir(tmp_path)


def setup(monkeypatch: pytest.MonkeyPatch, **values: str) -> LanguageSetup:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return load().language_setup


AZURE = {
    "AZURE_OPENAI_ENDPOINT": "https://one.example/",
    "AZURE_OPENAI_KEY": "azure-key",
    "AZURE_OPENAI_DEPLOYMENT": "writer",
}


def test_without_a_key_there_is_the_local_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    found = setup(monkeypatch)
    assert found.tiers == ("local",)
    assert not found.access


def test_each_key_adds_its_tier_in_the_order_of_the_contract(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = setup(monkeypatch, OPENAI_API_KEY="o", GEMINI_API_KEY="g", **AZURE)
    assert found.tiers == ("gemini", "azure-openai", "openai", "local")
    gemini, azure, openai = (found.access[name] for name in found.tiers[:3])
    assert gemini.url == "https://generativelanguage.googleapis.com"
    assert gemini.model == "gemini-3.8-flash"
    assert (azure.url, azure.model, azure.api_version) == (
        "https://one.example",
        "writer",
        "2024-10-21",
    )
    assert openai.url is None
    assert [each.key.get_secret_value() for each in (gemini, azure, openai)] == [
        "g",
        "azure-key",
        "o",
    ]


@pytest.mark.parametrize("missing", AZURE)
def test_azure_needs_endpoint_key_and_deployment(
    monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    given = {name: value for name, value in AZURE.items() if name != missing}
    assert setup(monkeypatch, **given).tiers == ("local",)


def test_exactly_the_named_order_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    found = setup(
        monkeypatch, LANGUAGE_MODEL_TIERS="local, gemini", GEMINI_API_KEY="g", OPENAI_API_KEY="o"
    )
    assert found.tiers == ("local", "gemini")
    assert set(found.access) == {"gemini"}


@pytest.mark.parametrize(
    ("tiers", "sentence"),
    [
        ("gemini", "it names gemini, and GEMINI_API_KEY is not set."),
        ("azure-openai", "it names azure-openai, and AZURE_OPENAI_ENDPOINT is not set."),
        ("magic", "it names magic, and there are gemini and azure-openai and openai and local."),
        ("local,local", "a tier stands in it twice."),
    ],
)
def test_a_tier_that_cannot_work_is_refused_at_start(
    monkeypatch: pytest.MonkeyPatch, tiers: str, sentence: str
) -> None:
    with pytest.raises(InvalidSetting) as raised:
        setup(monkeypatch, LANGUAGE_MODEL_TIERS=tiers)
    assert raised.value.message == f"LANGUAGE_MODEL_TIERS is wrong: {sentence}"


def test_language_can_have_a_server_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    found = setup(
        monkeypatch,
        OPENAI_BASE_URL="http://127.0.0.1:1/v1",
        OPENAI_API_KEY="speech",
        OPENAI_LANGUAGE_BASE_URL="http://127.0.0.1:2/v1/",
        OPENAI_LANGUAGE_MODE="chat-json",
    )
    access = found.access["openai"]
    assert (access.url, access.mode) == ("http://127.0.0.1:2/v1", "chat-json")
    assert access.key.get_secret_value() == ""
    found = setup(monkeypatch, OPENAI_LANGUAGE_API_KEY="language")
    assert found.access["openai"].key.get_secret_value() == "language"


def test_a_server_without_a_key_is_a_tier(monkeypatch: pytest.MonkeyPatch) -> None:
    found = setup(monkeypatch, OPENAI_BASE_URL="http://127.0.0.1:1/v1")
    assert found.tiers == ("openai", "local")
    assert found.access["openai"].key.get_secret_value() == ""


def test_keys_stay_out_of_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = setup(monkeypatch, GEMINI_API_KEY="planted-one", OPENAI_LANGUAGE_API_KEY="planted-two")
    printed = f"{found!r} {load().language!r}"
    assert "planted" not in printed
    assert set(found.tiers) == {"gemini", "openai", "local"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GEMINI_CONTEXT_CHARACTERS", "3999"),
        ("LANGUAGE_CALL_TIMEOUT_SECONDS", "0"),
        ("LANGUAGE_PARALLEL_CALLS", "0"),
        ("OPENAI_LANGUAGE_MODE", "shout"),
        ("AZURE_OPENAI_API_VERSION", "latest"),
        ("AZURE_OPENAI_ENDPOINT", "one.example"),
    ],
)
def test_a_wrong_value_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(InvalidSetting, match=f"^{name} is wrong: "):
        setup(monkeypatch, **{name: value})
