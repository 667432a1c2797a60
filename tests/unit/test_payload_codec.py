from dataclasses import dataclass
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretBytes
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError

from contracts.memo import MemoJob
from runtime.payload_codec import AesGcmCodec, PayloadNotReadable, codec_for
from runtime.settings_values import PayloadKey
from runtime.temporal import converter

OLD = PayloadKey(id="2025", key=SecretBytes(b"o" * 32))
NEW = PayloadKey(id="2026", key=SecretBytes(b"n" * 32))
PLANTED = "heart of darkness"
JOB = MemoJob(job_id="memo-1", memo_id="1", user_id="u", audio_path=PLANTED)


def payload(data: bytes = b"words", **metadata: bytes) -> Payload:
    return Payload(metadata={"encoding": b"json/plain"} | metadata, data=data)


@given(data=st.binary(max_size=2000), note=st.binary(max_size=50))
async def test_what_is_sealed_opens_to_the_same_with_its_metadata(data: bytes, note: bytes) -> None:
    codec = AesGcmCodec([NEW])
    original = payload(data, note=note)
    sealed = await codec.encode([original])
    assert sealed[0].metadata["encoding"] == b"binary/encrypted"
    assert await codec.decode(sealed) == [original]


async def test_nothing_of_the_content_or_its_type_stays_readable() -> None:
    [sealed] = await AesGcmCodec([NEW]).encode([payload(PLANTED.encode(), messageType=b"MemoJob")])
    stored = sealed.SerializeToString()
    assert PLANTED.encode() not in stored
    assert b"MemoJob" not in stored
    assert b"json/plain" not in stored


async def test_equal_payloads_look_different() -> None:
    sealed = await AesGcmCodec([NEW]).encode([payload()] * 100)
    assert len({each.data for each in sealed}) == 100


async def test_after_a_rotation_the_new_key_seals_and_both_open() -> None:
    before = await AesGcmCodec([OLD]).encode([payload(b"before")])
    rotated = AesGcmCodec([NEW, OLD])
    after = await rotated.encode([payload(b"after")])
    assert after[0].metadata["encryption-key-id"] == b"2026"
    assert [each.data for each in await rotated.decode([*before, *after])] == [b"before", b"after"]


async def test_a_retired_key_is_named_when_something_sealed_with_it_turns_up() -> None:
    sealed = await AesGcmCodec([OLD]).encode([payload()])
    with pytest.raises(PayloadNotReadable, match="2025"):
        await AesGcmCodec([NEW]).decode(sealed)


async def test_histories_from_before_sealing_stay_readable() -> None:
    plain = payload(b"old times")
    assert await AesGcmCodec([NEW]).decode([plain]) == [plain]


@pytest.mark.parametrize("at", [0, 11, 12, -1])
async def test_a_changed_payload_is_not_opened(at: int) -> None:
    codec = AesGcmCodec([NEW])
    [sealed] = await codec.encode([payload()])
    data = bytearray(sealed.data)
    data[at] ^= 1
    sealed.data = bytes(data)
    with pytest.raises(PayloadNotReadable):
        await codec.decode([sealed])


@pytest.mark.parametrize("data", [b"", b"short", bytes(range(11)), bytes(range(27))])
async def test_a_payload_that_was_cut_off_is_not_opened(data: bytes) -> None:
    [sealed] = await AesGcmCodec([NEW]).encode([payload()])
    sealed.data = data
    with pytest.raises(PayloadNotReadable):
        await AesGcmCodec([NEW]).decode([sealed])


async def test_a_payload_cannot_be_passed_off_as_sealed_with_another_key() -> None:
    same_bytes = PayloadKey(id="alias", key=NEW.key)
    [sealed] = await AesGcmCodec([NEW]).encode([payload()])
    sealed.metadata["encryption-key-id"] = b"alias"
    with pytest.raises(PayloadNotReadable):
        await AesGcmCodec([NEW, same_bytes]).decode([sealed])


def test_without_keys_nothing_is_sealed() -> None:
    assert codec_for([]) is None
    assert converter().payload_codec is None


@dataclass(frozen=True)
class Carried:
    """What the converter made of a value and of a failure, as the server stores it."""

    value: bytes
    failure: bytes


def fail() -> NoReturn:
    raise ApplicationError(PLANTED, {"detail": PLANTED}, type="failed")


async def carried(data_converter: DataConverter) -> Carried:
    value = await data_converter.encode([JOB])
    failure = Failure()
    try:
        fail()
    except ApplicationError as error:
        await data_converter.encode_failure(error, failure)
    return Carried(value[0].SerializeToString(), failure.SerializeToString())


async def test_values_failure_messages_and_stack_traces_are_all_sealed() -> None:
    plain = await carried(converter())
    assert PLANTED.encode() in plain.value
    assert PLANTED.encode() in plain.failure
    assert b"test_payload_codec" in plain.failure
    sealed = await carried(converter([NEW]))
    for stored in (sealed.value, sealed.failure):
        assert PLANTED.encode() not in stored
        assert b"test_payload_codec" not in stored


async def test_a_sealed_value_comes_back_as_the_same_value() -> None:
    data_converter = converter([NEW, OLD])
    stored = await data_converter.encode([JOB])
    assert await data_converter.decode(stored, [MemoJob]) == [JOB]


async def test_a_sealed_failure_comes_back_with_type_and_details() -> None:
    data_converter = converter([NEW])
    stored = Failure()
    await data_converter.encode_failure(ApplicationError(PLANTED, {"a": 1}, type="failed"), stored)
    found = await data_converter.decode_failure(stored)
    assert isinstance(found, ApplicationError)
    assert (found.message, found.type, list(found.details)) == (PLANTED, "failed", [{"a": 1}])
