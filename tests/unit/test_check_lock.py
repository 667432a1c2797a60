"""What the lock file check notices."""

import pytest

from tools.check_lock import main, problems, read_pins

HASH = f"--hash=sha256:{'a' * 64}"
PROJECT = {
    "project": {"dependencies": ["First_Package[extra]>=1.2"]},
    "dependency-groups": {"build": ["builder"], "dev": ["a-tool", {"include-group": "build"}]},
}
RUNTIME = f"first-package[extra]==1.3 \\\n    {HASH} \\\n    {HASH}\n"
BUILD = f"builder==2 \\\n    {HASH}\n"
WHOLE = f"{RUNTIME}{BUILD}a-tool==5 ; python_version < '4' \\\n    {HASH}\n"
LOCKS = {
    "requirements.lock": WHOLE,
    "deploy/requirements.lock": RUNTIME,
    "deploy/build.lock": BUILD,
}


def test_the_locks_of_the_project_fit_it() -> None:
    assert main() == 0


def test_locks_that_fit_have_no_problem() -> None:
    assert list(problems(PROJECT, LOCKS)) == []
    assert read_pins(WHOLE) == {
        "first-package": ("1.3", 2),
        "builder": ("2", 1),
        "a-tool": ("5", 1),
    }


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"requirements.lock": RUNTIME + BUILD}, "requirements.lock does not hold a-tool."),
        ({"requirements.lock": RUNTIME + "a-tool==5"}, "requirements.lock does not hold builder."),
        (
            {"requirements.lock": WHOLE.replace("1.3", "1.1")},
            "requirements.lock holds First_Package 1.1",
        ),
        ({"deploy/requirements.lock": RUNTIME.replace("1.3", "1.4")}, "differ over first-package."),
        ({"deploy/build.lock": BUILD.replace("==2", "==3")}, "differ over builder."),
        ({"requirements.lock": WHOLE + "extra==1\n"}, "requirements.lock has no hash for extra."),
        (
            {"requirements.lock": "--find-links here\n" + WHOLE},
            "names an address or an option that does",
        ),
        (
            {"deploy/requirements.lock": "# from http://x\n" + RUNTIME},
            "deploy/requirements.lock names an address",
        ),
    ],
)
def test_what_does_not_fit_is_named(changed: dict[str, str], problem: str) -> None:
    found = list(problems(PROJECT, LOCKS | changed))
    assert any(problem in line for line in found), found
