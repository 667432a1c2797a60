"""How a child tells the process that started it that it can do its work.

The parent hands down the writing end of a pipe and its number in the environment. Without that
nothing is said: a worker started by systemd or Kubernetes needs none of it.
"""

import os
from typing import Final

READY_FD: Final = "VOICEKEEP_READY_FD"
_WORD: Final = b"ready\n"


def announce_ready() -> None:
    """Say once that this process is ready; a parent that is gone by now is no error."""
    number = os.environ.pop(READY_FD, "")
    if not number.isdigit():
        return
    descriptor = int(number)
    try:
        os.write(descriptor, _WORD)
    except BrokenPipeError:
        return
    finally:
        os.close(descriptor)
