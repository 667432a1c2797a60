"""What stands in ``deploy/`` says the same as the code it is for."""

import json
import re
from pathlib import Path

import yaml

from runtime.settings import Settings
from runtime.temporal_jobs import JOB_KIND, SUBJECT_ID, USER_ID
from runtime.temporal_server import DYNAMIC_CONFIG, SEARCH_ATTRIBUTES

ROOT = Path(__file__).resolve().parents[2]
TEMPORAL = ROOT / "deploy" / "temporal"


def test_production_gets_the_dynamic_settings_of_the_embedded_server() -> None:
    found = yaml.safe_load((TEMPORAL / "dynamicconfig.yaml").read_text())
    values = {name: [entry["value"] for entry in entries] for name, entries in found.items()}
    assert values == {name: [json.loads(value)] for name, value in DYNAMIC_CONFIG.items()}


def test_production_registers_the_search_attributes_of_the_embedded_server() -> None:
    script = (TEMPORAL / "register.sh").read_text()
    assert dict(re.findall(r"--name (\w+) --type (\w+)", script)) == SEARCH_ATTRIBUTES


def test_what_jobs_are_marked_with_is_what_servers_are_told_to_index() -> None:
    assert {key.name for key in (JOB_KIND, USER_ID, SUBJECT_ID)} == set(SEARCH_ATTRIBUTES)


def test_compose_names_only_settings_that_exist() -> None:
    text = (ROOT / "docker-compose.temporal.yml").read_text()
    known = {
        str(field.validation_alias)
        for _, group in Settings.groups()
        for field in group.model_fields.values()
    }
    anchors = yaml.safe_load(re.sub(r"\$\{[^}]*\}", "x", text))
    named = set(anchors["x-settings"]) | set(anchors["services"]["worker"]["environment"])
    assert named - known == {"TMPDIR"}


def test_the_image_holds_every_package_and_nothing_else_of_the_checkout() -> None:
    allowed = [
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"
    ]
    beside_the_product = {"benchmarks", "tests", "tools"}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - beside_the_product
    locks = {"deploy/requirements.lock", "deploy/build.lock"}
    assert set(allowed) == packages | locks | {
        "pyproject.toml",
        "LICENSE",
        "worker.py",
        "engines.py",
        "cli.py",
    }
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert {match[0] for match in re.findall(r"(?m)^COPY ((\w+) \2)$", dockerfile)} == {
        f"{name} {name}" for name in packages
    }
