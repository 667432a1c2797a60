"""The compose file, read by the real compose tool; no engine is needed for that."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docker-compose.temporal.yml"
SECRETS = {
    "POSTGRES_PASSWORD": "p",
    "TEMPORAL_POSTGRES_PASSWORD": "t",
    "TEMPORAL_PAYLOAD_KEYS": "id:key",
}
JOBS = {"migrate", "schedules", "temporal-schema", "temporal-register"}
OURS = {"api", "migrate", "schedules", "worker", "worker-media"}

# Building the tool takes a minute where it has never been built.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def compose() -> Path:
    """The real compose tool, built from its published module unless it is there."""
    installed = shutil.which("docker-compose")
    if installed:
        return Path(installed)
    if shutil.which("go") is None:
        pytest.skip("neither docker-compose nor Go to build it is installed")
    build = [sys.executable, str(ROOT / "tools" / "build_tools.py"), "docker-compose"]
    subprocess.run(build, check=True)
    return ROOT / ".tools" / "docker-compose"


def config(compose: Path, settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """What the tool makes of the file with these settings and no others."""
    return subprocess.run(
        [str(compose), "--env-file", os.devnull, "-f", str(FILE), "config", "--format", "json"],
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **settings},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def services(compose: Path) -> dict[str, Any]:
    """Every service as the tool understands it."""
    answer = config(compose, SECRETS)
    assert answer.returncode == 0, answer.stderr
    found: dict[str, Any] = json.loads(answer.stdout)["services"]
    return found


@pytest.mark.parametrize("secret", SECRETS)
def test_without_a_secret_nothing_starts_and_its_name_is_said(compose: Path, secret: str) -> None:
    settings = {name: value for name, value in SECRETS.items() if name != secret}
    answer = config(compose, settings)
    assert answer.returncode != 0
    assert f"set {secret}" in answer.stderr


def test_every_image_is_pinned_to_a_version(services: dict[str, Any]) -> None:
    for service in services.values():
        tag = service["image"].rpartition(":")[2]
        assert tag[0].isdigit(), service["image"]
        assert tag.count(".") >= 1, service["image"]


def test_no_process_can_write_to_its_root_or_gain_a_privilege(services: dict[str, Any]) -> None:
    for name, service in services.items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert any(mount.startswith("/tmp") for mount in service["tmpfs"]), name


def test_every_process_that_stays_says_whether_it_is_well(services: dict[str, Any]) -> None:
    # The API's check stands in the image itself.
    stays = {name: service for name, service in services.items() if name not in {*JOBS, "api"}}
    assert all(service["healthcheck"]["test"] for service in stays.values())
    assert all(services[name]["restart"] == "on-failure:5" for name in JOBS)


def test_nothing_is_reachable_from_outside_this_host_unless_it_is_asked_for(
    services: dict[str, Any],
) -> None:
    published = {
        name: [(port["host_ip"], port["published"]) for port in service["ports"]]
        for name, service in services.items()
        if "ports" in service
    }
    assert published == {
        "api": [("127.0.0.1", "8000")],
        "temporal-ui": [("127.0.0.1", "8080")],
    }


def test_what_temporal_stores_is_sealed_by_every_process_of_ours(services: dict[str, Any]) -> None:
    for name in OURS:
        assert services[name]["environment"]["TEMPORAL_PAYLOAD_KEYS"] == "id:key", name


def test_work_waits_for_the_tables_the_namespace_and_the_schedules(
    services: dict[str, Any],
) -> None:
    def awaited(name: str) -> set[str]:
        found = set(services[name].get("depends_on", {}))
        return found.union(*(awaited(other) for other in found))

    assert awaited("worker") >= {"migrate", "schedules", "temporal-register", "temporal-schema"}
    assert awaited("api") >= {"migrate", "temporal-register"}


def test_the_workers_share_out_every_queue(services: dict[str, Any]) -> None:
    queues = [services[name]["environment"]["WORKER_QUEUES"] for name in ("worker", "worker-media")]
    assert queues == ["voicekeep", "voicekeep-media"]
