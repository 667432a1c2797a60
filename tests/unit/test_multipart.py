"""Multipart bodies as streams of parts, however the bytes arrive."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from api.multipart import PartEvent, PartHead, boundary_of, part_events
from contracts.errors import InvalidInput

BOUNDARY = b"edge"


def body(parts: list[tuple[str, bytes]]) -> bytes:
    """The body of these parts."""
    text = b""
    for name, content in parts:
        head = f'Content-Disposition: form-data; name="{name}"'.encode()
        text += b"--edge\r\n" + head + b"\r\n\r\n" + content + b"\r\n"
    return text + b"--edge--\r\n"


async def read(content: bytes, size: int) -> list[PartEvent]:
    """Every event of a body that arrives in pieces of one size."""

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(content), size):
            yield content[start : start + size]

    return [event async for event in part_events(BOUNDARY, chunks())]


def joined(events: list[PartEvent]) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for event in events:
        if isinstance(event, PartHead):
            found.append((event.name, b""))
        elif isinstance(event, bytes):
            name, content = found.pop()
            found.append((name, content + event))
    return found


near_boundaries = st.lists(
    st.sampled_from([b"\r", b"\n", b"-", b"--", b"\r\n", b"\r\n--", b"--edg", b"\r\n--edg", b"x"]),
    max_size=12,
).map(b"".join)


@given(
    parts=st.lists(
        st.tuples(st.sampled_from(["file", "title", "x"]), near_boundaries | st.binary()),
        max_size=4,
    ),
    size=st.integers(1, 40),
)
@settings(max_examples=200)
async def test_parts_come_out_as_they_went_in_however_they_are_cut(
    parts: list[tuple[str, bytes]], size: int
) -> None:
    assume(not any(b"\r\n--edge" in b"\r\n" + content for _, content in parts))
    assert joined(await read(body(parts), size)) == parts


@given(cut=st.integers(1, 200))
async def test_a_body_that_ends_too_early_is_refused(cut: int) -> None:
    whole = body([("title", b"x" * 50), ("file", b"y" * 100)])
    # The line break behind the last boundary is nobody's.
    with pytest.raises(InvalidInput):
        await read(whole[: -2 - cut], 16)


@given(st.binary(max_size=300))
async def test_bytes_that_are_no_body_are_refused_and_never_crash(content: bytes) -> None:
    with pytest.raises(InvalidInput):
        await read(content, 7)


@pytest.mark.parametrize(
    ("header", "boundary"),
    [
        ("multipart/form-data; boundary=edge", b"edge"),
        ('Multipart/Form-Data; charset=utf-8; boundary="two words"', b"two words"),
    ],
)
def test_the_boundary_is_found_in_the_header(header: str, boundary: bytes) -> None:
    assert boundary_of(header) == boundary


@pytest.mark.parametrize(
    "header", ["", "application/json", "multipart/form-data", "multipart/mixed; boundary=x", "Ā"]
)
def test_another_kind_of_body_is_refused(header: str) -> None:
    with pytest.raises(InvalidInput):
        boundary_of(header)
