"""Who gets what answer: every operation, every caller, each cell reviewed and tried.

========  ==========================================================================================
none      no credential, garbage, an expired token, a token for another audience: one answer for all
other     a user who has nothing to do with it
former    one who has left a space that the memos are shared in
member    a member of such a space
key-      an API key of the owner's, of every scope but the one that is wanted
owner     whose it is
svc-      a wrong service key; ``svc``: the right one
cron-     a wrong key of the cron job; ``cron``: the right one
========  ==========================================================================================

The memos, and the job, are over. What belongs to somebody else is 404, like what is not there; a
member who may read it but not change it is told so with 403. Routes of vendors want a signature.
`/auth/*` is for whoever has what is in the body: a token of a vendor, a session.
Below `/v1` a job that was begun and not waited for is 409.
"""

from typing import Final

COLUMNS: Final = (
    *("none", "other", "former", "member", "key-", "owner"),
    *("svc-", "svc", "cron-", "cron"),
)

ROWS: Final = """
none    former  key-    svc-    cron-
    other   member  owner   svc     cron
401 201 201 201 403 201 401 401 401 401  POST /api/v1/memos/upload

401 201 201 201 403 201 401 401 401 401  POST /api/v1/uploads
401 201 201 201 403 201 401 401 401 401  POST /api/v1/uploads/tus
401 204 204 204 403 204 401 401 401 401  OPTIONS /api/v1/uploads/tus
401 204 204 204 403 204 401 401 401 401  OPTIONS /api/v1/uploads/tus/{upload_id}
401 404 404 404 403 200 401 401 401 401  HEAD /api/v1/uploads/tus/{upload_id}
401 404 404 404 403 204 401 401 401 401  PATCH /api/v1/uploads/tus/{upload_id}
401 404 404 404 403 204 401 401 401 401  DELETE /api/v1/uploads/tus/{upload_id}
401 404 404 404 403 204 401 401 401 401  POST /api/v1/uploads/tus/{upload_id}

401 404 404 404 403 200 401 401 401 401  GET /api/v1/memos/find-by-job/{job_id}
401 404 404 403 403 400 401 401 401 401  POST /api/v1/memos/{memo_id}/retry-transcription
401 404 404 201 403 201 401 401 401 401  POST /api/v1/memos/{memo_id}/reprocess
401 400 400 400 403 201 401 401 401 401  POST /api/v1/memos
401 200 200 200 403 200 401 401 401 401  GET /api/v1/memos
401 400 400 400 403 201 401 401 401 401  POST /api/v1/memos/process
401 404 404 200 403 200 401 401 401 401  GET /api/v1/memos/{memo_id}
401 404 404 403 403 200 401 401 401 401  PATCH /api/v1/memos/{memo_id}
401 404 404 403 403 202 401 401 401 401  DELETE /api/v1/memos/{memo_id}
401 404 404 200 403 200 401 401 401 401  GET /api/v1/memos/{memo_id}/transcript
401 404 404 202 403 202 401 401 401 401  POST /api/v1/memos/combine
401 404 404 202 403 202 401 401 401 401  POST /api/v1/memos/{memo_id}/question
401 404 404 403 403 202 401 401 401 401  POST /api/v1/memos/{memo_id}/retry-headline
401 404 404 202 403 202 401 401 401 401  POST /api/v1/memos/{memo_id}/memories
401 404 404 200 403 200 401 401 401 401  GET /api/v1/memos/{memo_id}/memories

401 404 404 200 403 200 401 401 401 401  GET /api/v1/memories/{memory_id}
401 404 404 403 403 200 401 401 401 401  PATCH /api/v1/memories/{memory_id}
401 404 404 403 403 200 401 401 401 401  DELETE /api/v1/memories/{memory_id}

401 200 200 200 403 200 401 401 401 401  GET /api/v1/blueprints
401 201 201 201 403 201 401 401 401 401  POST /api/v1/blueprints
401 404 404 404 403 200 401 401 401 401  GET /api/v1/blueprints/{blueprint_id}
401 404 404 404 403 200 401 401 401 401  PATCH /api/v1/blueprints/{blueprint_id}
401 404 404 404 403 200 401 401 401 401  DELETE /api/v1/blueprints/{blueprint_id}

401 201 201 201 403 201 401 401 401 401  POST /api/v1/speech
401 200 200 200 403 200 401 401 401 401  GET /api/v1/speech
401 404 404 404 403 200 401 401 401 401  GET /api/v1/speech/{speech_id}
401 404 404 404 403 200 401 401 401 401  DELETE /api/v1/speech/{speech_id}
401 404 404 404 403 200 401 401 401 401  GET /api/v1/speech/{speech_id}/audio
401 404 404 404 403 200 401 401 401 401  HEAD /api/v1/speech/{speech_id}/audio
401 404 404 404 403 200 401 401 401 401  GET /api/v1/speech/{speech_id}/timings
401 404 404 404 403 204 401 401 401 401  GET /api/v1/speech/{speech_id}/events

200 200 200 200 200 200 200 200 200 200  POST /auth/verify
200 200 200 200 200 200 200 200 200 200  POST /auth/refresh
401 200 200 200 403 200 401 401 401 401  POST /tts/generate
401 404 404 404 403 200 401 401 401 401  GET /tts/{content_hash}/status
401 404 404 404 403 200 401 401 401 401  GET /tts/status/{content_hash}
401 404 404 404 403 200 401 401 401 401  DELETE /tts/{file_id}
401 404 404 404 403 200 401 401 401 401  DELETE /tts/delete/{file_id}
401 404 404 404 403 200 401 401 401 401  GET /files/{file_id}
401 404 404 404 403 200 401 401 401 401  HEAD /files/{file_id}
401 200 200 200 403 200 401 401 401 401  GET /user/usage

401 409 409 409 403 409 401 401 401 401  POST /v1/audio/speech
401 409 409 409 403 409 401 401 401 401  POST /v1/audio/transcriptions
401 400 400 400 403 400 401 401 401 401  POST /v1/audio/translations
401 200 200 200 403 200 401 401 401 401  GET /v1/models
401 200 200 200 403 200 401 401 401 401  GET /v1/models/{model}

401 404 404 404 403 200 401 401 401 401  GET /api/v1/jobs/{job_id}
401 404 404 404 403 409 401 401 401 401  POST /api/v1/jobs/{job_id}/cancel
401 404 404 404 403 204 401 401 401 401  GET /api/v1/jobs/{job_id}/events
401 200 200 200 403 200 401 401 401 401  GET /api/v1/events

401 404 404 204 403 204 401 401 401 401  GET /api/v1/memos/{memo_id}/events

200 200 200 200 200 200 200 200 200 200  GET /api/v1/credits/pricing
401 200 200 200 403 200 401 401 401 401  GET /api/v1/credits/balance
401 200 200 200 403 200 401 401 401 401  POST /api/v1/credits/check
401 200 200 200 403 200 401 401 401 401  POST /api/v1/credits/consume
401 200 200 200 403 200 401 401 401 401  GET /api/v1/credits/transactions
401 200 200 200 403 200 401 401 401 401  GET /api/v1/usage

401 403 403 200 403 200 401 401 401 401  GET /api/v1/spaces/{space_id}/credits
401 403 403 403 403 200 401 401 401 401  PATCH /api/v1/spaces/{space_id}/credits
401 403 403 200 403 200 401 401 401 401  GET /api/v1/spaces/{space_id}/credits/transactions

401 401 401 401 401 401 401 200 401 401  GET /api/v1/internal/usage

401 401 401 401 401 401 401 200 401 401  POST /api/v1/internal/credits/grant
401 401 401 401 401 401 401 409 401 401  POST /api/v1/internal/credits/refund

401 200 200 200 403 200 401 401 401 401  GET /api/v1/api-keys
401 201 201 201 403 201 401 401 401 401  POST /api/v1/api-keys
401 404 404 404 403 200 401 401 401 401  DELETE /api/v1/api-keys/{api_key_id}

401 200 200 200 403 200 401 401 401 401  GET /api/v1/webhook-endpoints
401 201 201 201 403 201 401 401 401 401  POST /api/v1/webhook-endpoints
401 404 404 404 403 200 401 401 401 401  GET /api/v1/webhook-endpoints/{endpoint_id}
401 404 404 404 403 200 401 401 401 401  PATCH /api/v1/webhook-endpoints/{endpoint_id}
401 404 404 404 403 200 401 401 401 401  DELETE /api/v1/webhook-endpoints/{endpoint_id}
401 404 404 404 403 200 401 401 401 401  POST /api/v1/webhook-endpoints/{endpoint_id}/rotate-secret
401 404 404 404 403 202 401 401 401 401  POST /api/v1/webhook-endpoints/{endpoint_id}/test

401 200 200 200 403 200 401 401 401 401  GET /api/v1/webhook-secret
401 200 200 200 403 200 401 401 401 401  POST /api/v1/webhook-secret/rotate

401 200 200 200 403 200 401 401 401 401  GET /api/v1/webhook-messages
401 404 404 404 403 200 401 401 401 401  GET /api/v1/webhook-messages/{message_id}
401 404 404 404 403 202 401 401 401 401  POST /api/v1/webhook-messages/replay
401 404 404 404 403 202 401 401 401 401  POST /api/v1/webhook-messages/{message_id}/replay

401 401 401 401 401 401 401 200 401 401  POST /api/v1/internal/transcription-completed
401 401 401 401 401 401 401 200 401 401  POST /api/v1/internal/batch-metadata

401 404 404 404 403 200 401 401 401 401  POST /api/v1/batch-metadata

401 401 401 401 401 401 401 401 401 401  POST /api/v1/webhooks/azure-speech
401 401 401 401 401 401 401 401 401 401  POST /api/v1/webhooks/azure-events

200 200 200 200 200 200 200 200 200 200  GET /health
200 200 200 200 200 200 200 200 200 200  GET /health/ready
200 200 200 200 200 200 200 200 200 200  GET /health/live
200 200 200 200 200 200 200 200 200 200  GET /metrics
200 200 200 200 200 200 200 200 200 200  GET /.well-known/jwks.json
"""


def table() -> dict[str, dict[str, int]]:
    """Status by operation and caller."""
    lines = [line for line in ROWS.splitlines() if line[:1].isdigit()]
    return {
        operation: dict(zip(COLUMNS, map(int, cells), strict=True))
        for *cells, operation in (line.split(None, len(COLUMNS)) for line in lines)
    }
