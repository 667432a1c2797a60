import os
from pathlib import Path

import pytest

from runtime.settings import Settings, load
from runtime.settings_azure import AzureSettings
from runtime.settings_values import InvalidSetting


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith("AZURE_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def azure(monkeypatch: pytest.MonkeyPatch, **values: str) -> AzureSettings:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return load(None).azure


def keys(settings: AzureSettings) -> list[tuple[str, str, str, str]]:
    return [
        (each.name, each.region, each.endpoint, each.key.get_secret_value())
        for each in settings.speech_keys()
    ]


def test_nothing_is_configured_by_default() -> None:
    settings = load(None).azure
    assert settings.speech_keys() == ()
    assert settings.blob_url() is None
    assert " ".join(settings.speech_locales) == (
        "de-DE en-GB fr-FR it-IT es-ES sv-SE ru-RU nl-NL tr-TR pt-PT"
    )
    assert (settings.fast_max_mb, settings.fast_max_seconds) == (250, 6900)


def test_one_key_is_in_its_region(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = azure(monkeypatch, AZURE_SPEECH_KEY="k")
    address = "https://swedencentral.api.cognitive.microsoft.com"
    assert keys(settings) == [("swedencentral", "swedencentral", address, "k")]


def test_numbered_keys_win_and_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = azure(
        monkeypatch,
        AZURE_SPEECH_KEY="unused",
        AZURE_SPEECH_KEY_3="three",
        AZURE_SPEECH_KEY_1="one",
        AZURE_SPEECH_REGION_1="westeurope",
        AZURE_SPEECH_ENDPOINT_3="https://own.cognitiveservices.azure.com/",
    )
    assert keys(settings) == [
        (
            "westeurope-1",
            "westeurope",
            "https://westeurope.api.cognitive.microsoft.com",
            "one",
        ),
        ("swedencentral-3", "swedencentral", "https://own.cognitiveservices.azure.com", "three"),
    ]


def test_one_address_serves_every_key_without_an_own_one(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = azure(
        monkeypatch,
        AZURE_SPEECH_ENDPOINT="http://127.0.0.1:8124",
        AZURE_SPEECH_KEY_1="one",
        AZURE_SPEECH_KEY_2="two",
        AZURE_SPEECH_REGION_2="norwayeast",
    )
    assert [(region, endpoint) for _, region, endpoint, _ in keys(settings)] == [
        ("swedencentral", "http://127.0.0.1:8124"),
        ("norwayeast", "http://127.0.0.1:8124"),
    ]


def test_the_storage_account_needs_its_name_and_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    assert azure(monkeypatch, AZURE_STORAGE_ACCOUNT_NAME="acc").blob_url() is None
    settings = azure(monkeypatch, AZURE_STORAGE_ACCOUNT_KEY="a2V5")
    assert settings.blob_url() == "https://acc.blob.core.windows.net"
    own = azure(monkeypatch, AZURE_BLOB_ENDPOINT="http://127.0.0.1:10000/acc/")
    assert own.blob_url() == "http://127.0.0.1:10000/acc"


def test_keys_stay_out_of_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "secret-one"
    settings = azure(
        monkeypatch,
        AZURE_SPEECH_KEY=secret,
        AZURE_SPEECH_KEY_1=secret,
        AZURE_STORAGE_ACCOUNT_KEY=secret,
    )
    assert secret not in f"{settings!r} {settings} {settings.speech_keys()}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AZURE_SPEECH_SPEAKERS", "1"),
        ("AZURE_SPEECH_SPEAKERS", "36"),
        ("AZURE_SPEECH_API_VERSION", "v3.2"),
        ("AZURE_SPEECH_LOCALES", ","),
        ("AZURE_SPEECH_ENDPOINT_2", "own.cognitiveservices.azure.com"),
        ("AZURE_STAGING_CONTAINER", "No"),
        ("AZURE_STAGING_CONTAINER", "a--b"),
        ("AZURE_FAST_MAX_MB", "0"),
    ],
)
def test_a_wrong_value_gives_one_sentence_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSetting) as raised:
        load(None)
    assert raised.value.message.startswith(f"{name} is wrong: ")
    assert raised.value.message.count(" is wrong: ") == 1


def test_azure_stands_among_the_documented_groups() -> None:
    assert ("azure", AzureSettings) in Settings.groups()
