"""What is taken out of a source distribution, and what is not."""

import io
import tarfile
from pathlib import Path

import pytest

from tools.source_distribution import NotFetched, unpack


def archive(path: Path, *names: str, link: str | None = None) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            tar.addfile(member, io.BytesIO(name.encode()))
        if link is not None:
            member = tarfile.TarInfo(link)
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(member)
    return path


def below(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())


def test_members_are_written_under_the_names_they_are_given(tmp_path: Path) -> None:
    packed = archive(tmp_path / "a.tar.gz", "a-1/tests/x.py", "a-1/src/y.py", link="a-1/tests/z.py")

    def name(member: str) -> str | None:
        return member.removeprefix("a-1/") if "tests" in member else None

    unpack(packed, tmp_path / "made", name)
    assert below(tmp_path / "made") == ["tests/x.py"]
    assert (tmp_path / "made" / "tests" / "x.py").read_text() == "a-1/tests/x.py"


@pytest.mark.parametrize("name", ["/x.py", "../x.py", "tests/../../x.py"])
def test_nothing_is_written_elsewhere(tmp_path: Path, name: str) -> None:
    packed = archive(tmp_path / "a.tar.gz", name)
    with pytest.raises(NotFetched, match="elsewhere"):
        unpack(packed, tmp_path / "made", lambda member: member)
    assert below(tmp_path) == ["a.tar.gz"]
