"""Languages as Azure wants them: always with a region."""

import re
from collections.abc import Sequence
from typing import Final

_REGIONS: Final = """
    ar-EG bg-BG ca-ES cs-CZ da-DK de-DE el-GR en-US es-ES et-EE fi-FI fr-FR ga-IE he-IL hi-IN hr-HR
    hu-HU id-ID is-IS it-IT ja-JP ko-KR lt-LT lv-LV ms-MY nb-NO nl-NL pl-PL pt-PT ro-RO ru-RU sk-SK
    sl-SI sq-AL sr-RS sv-SE th-TH tr-TR uk-UA vi-VN zh-CN
"""
_USUAL: Final = {locale[:2]: locale for locale in re.findall(r"\S+", _REGIONS)} | {"no": "nb-NO"}
_REGION: Final = re.compile(r"[A-Za-z]{2}|\d{3}")


def locales(languages: Sequence[str], defaults: Sequence[str]) -> tuple[str, ...]:
    """The locales of languages, each once; the defaults when there is none.

    A language without a region gets that of the defaults, or else its usual one.

    Args:
        languages: BCP 47, as a user gave them.
        defaults: of the settings; BCP 47 with a region.
    """
    ours = {locale.split("-")[0].lower(): locale for locale in reversed(defaults)}
    found = []
    for language in languages:
        primary, *rest = language.replace("_", "-").split("-")
        primary = primary.lower()
        region = next((part.upper() for part in rest if _REGION.fullmatch(part)), None)
        usual = ours.get(primary) or _USUAL.get(primary) or primary
        found.append(f"{primary}-{region}" if region else usual)
    return tuple(dict.fromkeys(found)) or tuple(defaults)
