"""What a converting ffmpeg is kept away from, and by which tool.

The strictest way that works on this machine is found once, by running ffmpeg in it:

1. bubblewrap with nothing but the system's libraries, the recording and the job's directory: no
   network, no other file, a process namespace of its own;
2. bubblewrap over a read-only root, for an ffmpeg whose libraries stand elsewhere;
3. unshare: no network;
4. none: only the limits, the emptied environment and the whitelists remain.

Every way ends ffmpeg when the worker dies, and every way sets the limits just before ffmpeg starts.
"""

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

MEMORY_BYTES: Final = 2 << 30
OPEN_FILES: Final = 64
FATAL_GRACE_SECONDS: Final = 5
"""ffmpeg takes SIGXCPU for a polite request; so many CPU seconds later comes SIGKILL."""

_SYSTEM: Final = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_LINKER: Final = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives")
_APART: Final = ("--die-with-parent", "--unshare-all", "--cap-drop", "ALL", "--dev", "/dev")
_NO_NETWORK: Final = ("unshare", "--net")
_DIE_WITH_PARENT: Final = ("setpriv", "--pdeathsig", "KILL", "--")


class Limits(NamedTuple):
    """Bounds of one conversion.

    Attributes:
        cpu_seconds: CPU time.
        file_bytes: largest file it may write.
    """

    cpu_seconds: int
    file_bytes: int


class Isolation(NamedTuple):
    """One way to keep ffmpeg apart.

    Attributes:
        name: ``bubblewrap``, ``bubblewrap-root``, ``unshare``, ``unshare-user`` or ``none``.
        description: what holds, for ``doctor``.
        tools: programs it needs on PATH.
        minimal: whether only the system's libraries are seen.
    """

    name: str
    description: str
    tools: tuple[str, ...]
    minimal: bool = False

    def wrap(self, command: Sequence[str], source: Path, job: Path, limits: Limits) -> list[str]:
        """The command line that runs ``command`` this way.

        Args:
            command: absolute path of ffmpeg and its arguments.
            source: absolute path of the recording, seen read-only.
            job: absolute path of the job's directory, the only place that can be written to.
            limits: set right before ffmpeg starts.
        """
        confined = [*_limited(limits), *command]
        if self.name == "unshare":
            return [*_NO_NETWORK, "--", *_die_with_parent(), *confined]
        if self.name == "unshare-user":
            return [*_NO_NETWORK, "--map-root-user", "--", *_die_with_parent(), *confined]
        if self.name == "none":
            return [*_die_with_parent(), *confined]
        seen = _system(command[0]) if self.minimal else ["--ro-bind", "/", "/"]
        flags = [*_APART, "--bind", str(job), str(job), "--ro-bind", str(source), str(source)]
        flags += ["--remount-ro", "/", "--chdir", str(job), "--"]
        return ["bwrap", *seen, *flags, *confined]


WAYS: Final = (
    Isolation(
        "bubblewrap",
        "bubblewrap: no network, sees only system libraries and the recording",
        ("bwrap",),
        minimal=True,
    ),
    Isolation("bubblewrap-root", "bubblewrap: no network, read-only root", ("bwrap",)),
    Isolation("unshare", "unshare: no network; install bubblewrap to hide files too", ("unshare",)),
    Isolation(
        "unshare-user", "unshare: no network; install bubblewrap to hide files too", ("unshare",)
    ),
    Isolation("none", "limits only; install bubblewrap and allow user namespaces", ()),
)
"""Strictest first; the last one works everywhere."""


def available() -> Iterator[Isolation]:
    """The ways whose tools are installed."""
    return (way for way in WAYS if all(shutil.which(tool) for tool in way.tools))


def _limited(limits: Limits) -> list[str]:
    if not shutil.which("prlimit"):
        return []
    return [
        "prlimit",
        f"--as={MEMORY_BYTES}",
        f"--cpu={limits.cpu_seconds}:{limits.cpu_seconds + FATAL_GRACE_SECONDS}",
        f"--fsize={limits.file_bytes}",
        f"--nofile={OPEN_FILES}",
        "--core=0",
        "--",
    ]


def _die_with_parent() -> tuple[str, ...]:
    return _DIE_WITH_PARENT if shutil.which("setpriv") else ()


def _system(binary: str) -> list[str]:
    """What a dynamically linked program needs to start."""
    binds: list[str] = []
    for path in (*_SYSTEM, *_LINKER):
        if Path(path).is_symlink() and path in _SYSTEM:
            binds.extend(("--symlink", str(Path(path).readlink()), path))
        else:
            binds.extend(("--ro-bind-try", path, path))
    if not binary.startswith("/usr/"):
        binds.extend(("--ro-bind-try", binary, binary))
    return binds
