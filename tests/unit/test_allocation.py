"""What the allocator gives back."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

LARGE_BLOCKS_MAPPED = """
import ctypes, sys
from runtime.allocation import return_large_blocks

class Info(ctypes.Structure):
    names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

def mapped():
    libc = ctypes.CDLL(None)
    libc.mallinfo2.restype = Info
    return libc.mallinfo2().hblkhd

if sys.argv[1] == "returned":
    return_large_blocks()
block = bytearray(1 << 20)
del block
before = mapped()
again = bytearray(1 << 20)
print(mapped() - before >= 1 << 20)
"""


def second_block_is_mapped(how: str) -> str:
    command = [sys.executable, "-c", LARGE_BLOCKS_MAPPED, how]
    return subprocess.run(
        command, cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.strip()


def test_a_large_block_goes_back_to_the_system_however_many_there_were_before() -> None:
    assert second_block_is_mapped("returned") == "True"


def test_glibc_by_itself_keeps_them() -> None:
    assert second_block_is_mapped("kept") == "False"
