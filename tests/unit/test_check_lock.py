"""What the lock file check notices."""

import pytest

from tools.check_lock import main, problems, read_pins

HASH = f"--hash=sha256:{'a' * 64}"
PROJECT = {
    "project": {"dependencies": ["First_Package[extra]>=1.2"]},
    "dependency-groups": {"dev": ["a-tool"]},
}
RUNTIME = f"first-package[extra]==1.3 \\\n    {HASH} \\\n    {HASH}\n"
WHOLE = f"{RUNTIME}a-tool==5 ; python_version < '4' \\\n    {HASH}\n"


def test_the_locks_of_the_project_fit_it() -> None:
    assert main() == 0


def test_locks_that_fit_have_no_problem() -> None:
    assert list(problems(PROJECT, WHOLE, RUNTIME)) == []
    assert read_pins(WHOLE) == {"first-package": ("1.3", 2), "a-tool": ("5", 1)}


@pytest.mark.parametrize(
    ("whole", "runtime", "problem"),
    [
        (RUNTIME, RUNTIME, "requirements.lock does not hold a-tool."),
        (WHOLE.replace("1.3", "1.1"), RUNTIME, "requirements.lock holds First_Package 1.1"),
        (WHOLE, RUNTIME.replace("1.3", "1.4"), "differ over first-package."),
        (WHOLE + "extra-one==1\n", RUNTIME, "requirements.lock has no hash for extra-one."),
        ("--find-links here\n" + WHOLE, RUNTIME, "names an address or an option that does"),
        (WHOLE, "# from http://x\n" + RUNTIME, "deploy/requirements.lock names an address"),
    ],
)
def test_what_does_not_fit_is_named(whole: str, runtime: str, problem: str) -> None:
    found = list(problems(PROJECT, whole, runtime))
    assert any(problem in line for line in found), found
