"""One attempt of a webhook, over real sockets, verified by libraries of others."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from contracts.egress import parse_rules
from contracts.webhooks import AttemptResult, Delivery, Outgoing, new_secret
from providers.egress import Outside
from providers.webhook_sender import WebhookSender, signed
from runtime.names import Names
from tests.fakes.webhook_receiver import WebhookReceiver

BODY = '{"type":"memo.completed","timestamp":"2026-01-01T00:00:00+00:00","data":{}}'


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    receiver = WebhookReceiver(new_secret())
    await receiver.start()
    yield receiver
    await receiver.aclose()


def outgoing(url: str, *secrets: str, body: str = BODY) -> Outgoing:
    delivery = Delivery(event_id="msg_1", endpoint_id=str(uuid4()), user_id=str(uuid4()))
    return Outgoing(delivery=delivery, url=url, body=body, secrets=secrets)


async def sent(
    message: Outgoing, *, allowed: str = "127.0.0.1/32", seconds: float = 5.0
) -> AttemptResult:
    names = Names()
    try:
        outside = Outside(parse_rules([allowed]), names)
        return await WebhookSender(outside, seconds=seconds).send(message)
    finally:
        names.close()


def test_the_published_vector_is_signed_as_published() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    delivery = Delivery(event_id="msg_p5jXN8AQM9LWM0D4loKWxJek", endpoint_id="e", user_id="u")
    message = Outgoing(delivery=delivery, url="", body='{"test": 2432232314}', secrets=(secret,))
    headers = signed(message, datetime.fromtimestamp(1614265330, UTC))
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert headers["webhook-timestamp"] == "1614265330"


async def test_two_libraries_of_others_take_the_signature(receiver: WebhookReceiver) -> None:
    result = await sent(outgoing(receiver.wire.url, receiver.secret or ""))
    assert (result.delivered, result.status) == (True, 204)
    assert receiver.ids == ["msg_1"]


async def test_while_a_secret_rotates_either_of_the_two_verifies(
    receiver: WebhookReceiver,
) -> None:
    result = await sent(outgoing(receiver.wire.url, new_secret(), receiver.secret or ""))
    assert result.delivered


async def test_a_wrong_secret_is_refused_by_the_receiver(receiver: WebhookReceiver) -> None:
    result = await sent(outgoing(receiver.wire.url, new_secret()))
    assert (result.delivered, result.status, result.code) == (False, 401, "refused")


@pytest.mark.parametrize(
    ("status", "headers", "expected"),
    [
        (200, {}, AttemptResult(delivered=True, status=200)),
        (202, {}, AttemptResult(delivered=True, status=202)),
        (301, {"location": "/"}, AttemptResult(delivered=False, status=301, code="redirected")),
        (307, {"location": "/"}, AttemptResult(delivered=False, status=307, code="redirected")),
        (400, {"retry-after": "9"}, AttemptResult(delivered=False, status=400, code="refused")),
        (410, {}, AttemptResult(delivered=False, status=410, code="gone", gone=True)),
        (
            429,
            {"retry-after": "77"},
            AttemptResult(delivered=False, status=429, code="refused", retry_after=77),
        ),
        (500, {"retry-after": "9"}, AttemptResult(delivered=False, status=500, code="refused")),
        (
            503,
            {"retry-after": "9"},
            AttemptResult(delivered=False, status=503, code="refused", retry_after=9),
        ),
    ],
)
async def test_only_success_is_delivery_and_nothing_is_followed(
    receiver: WebhookReceiver, status: int, headers: dict[str, str], expected: AttemptResult
) -> None:
    receiver.answers = [(status, headers)]
    result = await sent(outgoing(receiver.wire.url, receiver.secret or ""))
    assert result.model_copy(update={"seconds": 0.0}) == expected
    assert len(receiver.received) == 1


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"hang": True}, "timed_out"),
        ({"cut": "answer"}, "answer_cut_off"),
    ],
)
async def test_an_endpoint_that_does_not_answer_is_a_failed_attempt(
    receiver: WebhookReceiver, fault: dict[str, object], code: str
) -> None:
    receiver.wire.fault(**fault)
    result = await sent(outgoing(receiver.wire.url, receiver.secret or ""), seconds=0.5)
    assert (result.delivered, result.status, result.code) == (False, None, code)


async def test_an_address_inside_is_a_failed_attempt_and_is_not_connected_to(
    receiver: WebhookReceiver,
) -> None:
    message = outgoing(receiver.wire.url, receiver.secret or "")
    result = await sent(message, allowed="127.0.0.99/32")
    assert (result.delivered, result.code) == (False, "url_not_allowed")
    assert receiver.received == []
