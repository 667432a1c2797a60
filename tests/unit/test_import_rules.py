"""Who may import whom: every rule of import-linter is seen to fail on a planted violation."""

import ast
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LINTER: dict[str, Any] = PYPROJECT["tool"]["importlinter"]
RULES: dict[str, dict[str, Any]] = {rule["id"]: rule for rule in LINTER["contracts"]}

MAY_IMPORT: dict[str, set[str]] = {
    "contracts": set(),
    "activities": {"contracts"},
    "workflows": {"activities", "contracts"},
    "providers": {"contracts"},
    "store": {"contracts"},
    "runtime": {"contracts"},
    "api": {"workflows", "store", "runtime", "contracts"},
    "commands": {
        *("activities", "workflows", "providers", "store", "runtime", "api", "contracts"),
        "engines",
    },
}
"""The table of the architecture, as data."""
ROOT_MODULES = {"worker", "engines", "cli"}
"""They wire, so they may import everything; no package imports them, but commands the engines."""
OURS = set(MAY_IMPORT) | ROOT_MODULES


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_the_rules_forbid_exactly_what_the_table_does_not_allow(package: str) -> None:
    rules = [rule for rule in RULES.values() if package in rule["source_modules"]]
    forbidden = {name for rule in rules for name in rule["forbidden_modules"]}
    assert forbidden & OURS == OURS - MAY_IMPORT[package] - {package}


def test_there_is_no_package_beside_those_of_the_table() -> None:
    beside_the_product = {"benchmarks", "tests", "tools"}
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - beside_the_product
    modules = {path.stem for path in ROOT.glob("*.py")}
    assert packages == set(LINTER["root_packages"]) == set(MAY_IMPORT)
    assert modules == ROOT_MODULES


def test_the_root_modules_speak_no_sql_and_the_worker_does_not_import_the_commands() -> None:
    for name in ROOT_MODULES:
        others = ROOT_MODULES - {"worker", "engines", name}
        others |= set() if name == "cli" else {"commands"}
        forbidden = set(RULES["sql"]["forbidden_modules"]) | others
        assert not imports_of(ROOT / f"{name}.py") & forbidden


def imports_of(module: Path) -> set[str]:
    """First names of everything a module imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages and their rules, in which nothing is planted yet."""
    folder = tmp_path_factory.mktemp("planted")
    for name in MAY_IMPORT:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def lint(folder: Path, rule: str) -> subprocess.CompletedProcess[str]:
    """Runs the real linter on a folder, one rule only."""
    command = "from importlinter.cli import lint_imports_command as run; run()"
    return subprocess.run(
        [sys.executable, "-c", command, "--contract", rule, "--no-cache", "--no-logo"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_holds_and_fails_once_every_import_it_forbids_is_planted(
    copy: Path, rule: str
) -> None:
    held = lint(copy, rule)
    assert held.returncode == 0, held.stdout + held.stderr
    sources, forbidden = RULES[rule]["source_modules"], RULES[rule]["forbidden_modules"]
    planted = [copy / source / "planted.py" for source in sources]
    for place in planted:
        place.write_text("".join(f"import {name}\n" for name in forbidden))
    failed = lint(copy, rule)
    for place in planted:
        place.unlink()
    assert failed.returncode == 1, failed.stdout + failed.stderr
    for source in sources:
        for name in forbidden:
            assert f"{source}.planted -> {name}" in failed.stdout
