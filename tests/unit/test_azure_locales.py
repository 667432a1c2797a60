import pytest

from providers.azure_locales import locales

DEFAULTS = ("de-DE", "en-GB", "fr-FR")


@pytest.mark.parametrize(
    ("languages", "expected"),
    [
        ([], DEFAULTS),
        (["de"], ("de-DE",)),
        (["en"], ("en-GB",)),
        (["en-US"], ("en-US",)),
        (["en_us"], ("en-US",)),
        (["EN-us", "en-US"], ("en-US",)),
        (["ja", "pt"], ("ja-JP", "pt-PT")),
        (["no"], ("nb-NO",)),
        (["zh-Hans-CN"], ("zh-CN",)),
        (["zh-Hans"], ("zh-CN",)),
        (["es-419"], ("es-419",)),
        (["tlh"], ("tlh",)),
        (["de-CH", "de-AT"], ("de-CH", "de-AT")),
    ],
)
def test_a_language_becomes_a_locale_of_azure(
    languages: list[str], expected: tuple[str, ...]
) -> None:
    assert locales(languages, DEFAULTS) == expected


def test_the_first_of_two_defaults_of_a_language_counts() -> None:
    assert locales(["en"], ("en-AU", "en-GB")) == ("en-AU",)
