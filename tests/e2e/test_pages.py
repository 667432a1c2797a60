"""The pages people see, rendered by a real browser without a network."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.embedded import running

CHROMIUM = shutil.which("chromium")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    "--virtual-time-budget=20000",
)

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(240),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium: `.ci/run` installs it"),
]


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    with running(tmp_path_factory.mktemp("pages") / "data") as (_, ready):
        yield ready


def rendered(url: str, profile: Path, width: int = 1300) -> str:
    """The page's document once its scripts have run."""
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", f"--window-size={width},900"]
    done = subprocess.run(
        [*command, "--dump-dom", url], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout


@pytest.mark.parametrize("width", [1300, 420])
def test_the_api_documentation_shows_every_operation(
    ready: dict[str, Any], tmp_path: Path, width: int
) -> None:
    page = rendered(f"{ready['api']}/docs", tmp_path, width)
    assert "Voicekeep" in page
    shown = set(re.findall(r'data-path="([^"]+)"', page))
    assert {"/api/v1/memos/upload", "/api/v1/jobs/{job_id}", "/health"} <= shown


def test_the_temporal_ui_lists_the_schedule_that_heals(
    ready: dict[str, Any], tmp_path: Path
) -> None:
    assert "reconcile" in rendered(f"{ready['ui']}/namespaces/default/schedules", tmp_path)
