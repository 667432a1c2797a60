"""Parts that serve everybody, as a setting says: bought once, and each user has a file apart."""

from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from tests.e2e.test_speech_equal import TEXT, stage

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(150)]


async def test_shared_parts_are_bought_once_and_each_user_has_a_file_of_ones_own(
    environment: WorkflowEnvironment, tmp_path: Path
) -> None:
    async with stage(environment, tmp_path, SPEECH_SHARE_PARTS=True) as shared:
        anna, ben, cleo = (shared.front.user() for _ in range(3))
        annas, _ = await shared.spoken(anna, TEXT)
        bens, _ = await shared.spoken(ben, TEXT)
        assert (shared.bought, annas == bens) == (1, False)
        assert (await shared.audio(ben, annas)).status_code == 404
        heard = (await shared.audio(ben, bens)).content
        assert heard == (await shared.audio(anna, annas)).content
        await shared.ask("DELETE", f"/api/v1/speech/{annas}", anna)
        assert (await shared.audio(anna, annas)).status_code == 404
        assert (await shared.audio(ben, bens)).content == heard
        # The part was hers, and still serves: it goes by its own last use.
        cleos, _ = await shared.spoken(cleo, TEXT, format="pcm")
        assert shared.bought == 1
        assert (await shared.audio(cleo, cleos)).content == heard[44:]
