"""The environment the image is made of: its locks, the project's wheel, and nothing of a checkout.

The steps are those of the Dockerfile; only the base image and ffmpeg are this machine's.
"""

import os
import subprocess
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Installs every package of the product from the index.
pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the programs of an environment made as the image makes it."""
    folder = tmp_path_factory.mktemp("image")
    venv.create(folder / "build", with_pip=True)
    venv.create(folder / "voicekeep")
    pip = [str(folder / "build" / "bin" / "python"), "-m", "pip", "--quiet"]
    into = [*pip, "--python", str(folder / "voicekeep" / "bin" / "python"), "install"]
    locked = ["--require-hashes", "--requirement"]
    wheel = ["wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", str(folder / "wheels")]
    for command in (
        [*into, *locked, "deploy/requirements.lock"],
        [*pip, "install", *locked, "deploy/build.lock"],
        [*pip, *wheel, "."],
    ):
        subprocess.run(command, cwd=ROOT, check=True)
    (made,) = (folder / "wheels").iterdir()
    subprocess.run([*into, "--no-deps", "--no-index", str(made)], check=True)
    return folder / "voicekeep" / "bin"


def run(program: Path, *arguments: str, data: Path) -> subprocess.CompletedProcess[str]:
    """Runs the installed product far from the checkout, with no setting but its folder."""
    return subprocess.run(
        [str(program), *arguments],
        cwd=data,
        env={"PATH": os.environ["PATH"], "HOME": str(data), "DATA_DIR": str(data)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_command_of_the_compose_file_is_there(installed: Path, tmp_path: Path) -> None:
    for command in (["api"], ["worker"], ["migrate"], ["schedules", "apply"]):
        answer = run(installed / "voicekeep", *command, "--help", data=tmp_path)
        assert answer.returncode == 0, answer.stderr
        assert "Usage:" in answer.stdout


def test_the_migrations_travel_with_the_wheel(installed: Path, tmp_path: Path) -> None:
    answer = run(installed / "voicekeep", "migrate", data=tmp_path)
    assert answer.returncode == 0, answer.stderr
    assert (tmp_path / "voicekeep.db").stat().st_size > 0


def test_every_module_of_a_process_can_be_imported_without_the_tools_of_development(
    installed: Path, tmp_path: Path
) -> None:
    names = "import api.main, worker, cli, providers, store, workflows, activities; print('all')"
    answer = run(installed / "python", "-c", names, data=tmp_path)
    assert answer.stdout == "all\n", answer.stderr
