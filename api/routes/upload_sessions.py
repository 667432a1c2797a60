"""Recordings that go up before their memo: to storage directly, or here in pieces (TUS 1.0)."""

from typing import Annotated, Any, Final, Literal

from fastapi import Header, Request
from starlette.responses import JSONResponse, Response

from api.admission import CurrentUser, user_router
from api.dependencies import Needs, Services
from api.idempotency import Claimed
from api.shapes.errors import error_responses
from api.shapes.uploads import NewUpload, UploadBegun
from api.tus import (
    PATH_HEADER,
    ChecksumHeader,
    LengthHeader,
    MetadataHeader,
    OffsetHeader,
    TusOptionsRoute,
    TusPieceRoute,
    TusRoute,
    UploadId,
    Version,
    check_place,
    find_upload,
    standing,
)
from api.tus_receiver import Receiver, held, terminate, wait_until_free
from api.upload_start import Asked, UploadStart
from contracts import tus
from contracts.api_keys import Scope
from contracts.errors import InvalidInput, NotFound, TooLarge, UnsupportedMedia
from contracts.upload_sessions import UploadSession

TAG: Final = "Uploads"

router = user_router(TAG, scope=Scope.MEMOS_WRITE)
tus_router = user_router(TAG, scope=Scope.MEMOS_WRITE, route_class=TusRoute)
piece_router = user_router(TAG, scope=Scope.MEMOS_WRITE, route_class=TusPieceRoute)
options_router = user_router(TAG, scope=Scope.MEMOS_WRITE, route_class=TusOptionsRoute)

ROUTERS: Final = (router, tus_router, options_router, piece_router)

BEGIN_ERRORS: Final = (400, 401, 404, 409, 413, 415, 422, 429, 503)
PIECE_ERRORS: Final = (400, 401, 404, 409, 412, 413, 415, 423, 460, 503)

_UNOFFERED: Final = ("Upload-Concat", "Upload-Defer-Length")
_BINARY: Final[dict[str, Any]] = {
    "content": {tus.PART_TYPE: {"schema": {"type": "string", "format": "binary"}}}
}
_STANDING: Final = {
    "Upload-Offset": {"description": "Bytes that are kept.", "schema": {"type": "integer"}},
    "Upload-Expires": {"description": "Until then it goes on.", "schema": {"type": "string"}},
    PATH_HEADER: {"description": "`filePath` of a memo.", "schema": {"type": "string"}},
}
_EMPTY: Final[dict[int | str, dict[str, Any]]] = {
    204: {"description": "No body; headers say how far the upload is.", "headers": _STANDING}
}
_SPOKEN: Final[dict[int | str, dict[str, Any]]] = {
    204: {"description": "No body; headers say what is spoken."}
}


def base_url_of(request: Request, services: Services) -> str:
    """Address of this service as the client knows it, without a slash at its end."""
    return services.settings.server.public_url or str(request.base_url).rstrip("/")


@router.post(
    "/uploads",
    status_code=201,
    summary="Begin to upload a recording",
    response_description="Where the bytes go, and the path a memo is begun with.",
    response_model=UploadBegun,
    responses=error_responses(*BEGIN_ERRORS),
)
async def begin_upload(
    request: Request,
    body: NewUpload,
    user: CurrentUser,
    needs: Needs,
    *,
    claim: Claimed,
) -> Response:
    """Get a place for a recording, for large files and bad lines.

    With `tus` in the answer the bytes come to this service by `PATCH` requests (TUS 1.0): after a
    break, `HEAD` on `url` says where to go on. Without it they go to storage in one request.
    `POST /memos` takes `filePath` at once: its job waits for the bytes while they come.
    """
    filename = tus.plain_text("filename", body.filename.encode())
    asked = Asked(
        user_id=user.id,
        filename=filename,
        media_type=body.media_type,
        length=body.bytes,
        metadata=tus.spell_metadata({"filename": filename, "filetype": body.media_type}),
    )
    fields = body.model_dump(mode="json")
    begun = await UploadStart(needs, base_url_of(request, needs)).start(asked, claim.over(fields))
    return JSONResponse(begun.answer.model_dump(mode="json", by_alias=True), 201)


@tus_router.post(
    "/uploads/tus",
    status_code=201,
    summary="Begin to upload a recording (TUS)",
    response_description="Created; `Location` is its address, the body the one of `POST /uploads`.",
    response_model=UploadBegun,
    responses=error_responses(*BEGIN_ERRORS, 412, 423, 460),
    openapi_extra={"requestBody": _BINARY},
)
async def create_tus_upload(
    request: Request,
    user: CurrentUser,
    needs: Needs,
    *,
    version: Version,  # noqa: ARG001 - told in the document, checked by the route
    upload_length: LengthHeader,
    upload_metadata: MetadataHeader = "",
    upload_checksum: ChecksumHeader = None,
    claim: Claimed,
) -> Response:
    """Create an upload as any TUS client does; the first bytes may come along.

    Names in `Upload-Metadata`: `filename`, and `filetype` with the media type.
    """
    for name in _UNOFFERED:
        if name in request.headers:
            raise InvalidInput(f"{name} is not offered")
    checksum = tus.parse_checksum(upload_checksum)
    length = tus.parse_number("Upload-Length", upload_length)
    said = tus.parse_metadata(upload_metadata)
    asked = Asked(
        user_id=user.id,
        filename=said.get("filename") or said.get("name", ""),
        media_type=said.get("filetype") or said.get("type") or "application/octet-stream",
        length=length,
        metadata=upload_metadata,
    )
    begun = await UploadStart(needs, base_url_of(request, needs)).start(
        asked, claim.over(length, upload_metadata)
    )
    if begun.upload is None:
        raise NotFound("The upload is over")
    upload = begun.upload
    if _has_bytes(request) and not begun.repeated:
        upload = await _receive(request, needs, upload, 0, checksum)
    body = begun.answer.model_dump(mode="json", by_alias=True)
    return JSONResponse(body, 201, {"Location": begun.answer.url, **standing(upload)})


@options_router.options(
    "/uploads/tus/{upload_id}",
    status_code=204,
    operation_id="tus_options_of_upload",
    summary="Which TUS is spoken (address of an upload)",
    response_class=Response,
    responses={**_SPOKEN, **error_responses(401, 429, 503)},
)
@options_router.options(
    "/uploads/tus",
    status_code=204,
    summary="Which TUS is spoken",
    response_class=Response,
    responses={**_SPOKEN, **error_responses(401, 429, 503)},
)
async def tus_options(needs: Needs) -> Response:
    """Version, extensions, checksums and the largest size, in headers."""
    return Response(
        status_code=204,
        headers={
            "Tus-Resumable": tus.VERSION,
            "Tus-Version": tus.VERSION,
            "Tus-Extension": ",".join(tus.EXTENSIONS),
            "Tus-Checksum-Algorithm": ",".join(tus.CHECKSUMS),
            "Tus-Max-Size": str(needs.settings.limits.max_upload_mb * 1024 * 1024),
        },
    )


@piece_router.head(
    "/uploads/tus/{upload_id}",
    summary="How far an upload is",
    response_class=Response,
    responses={
        200: {"description": "No body; `Upload-Offset` is where to go on.", "headers": _STANDING},
        **error_responses(401, 404, 412, 503),
    },
)
async def get_tus_offset(
    upload_id: UploadId,
    user: CurrentUser,
    needs: Needs,
    *,
    version: Version,  # noqa: ARG001 - as above
) -> Response:
    """Say how many bytes are kept for certain; a client goes on from there."""
    upload = await find_upload(needs, upload_id, user.id)
    if not upload.finished:
        await wait_until_free(needs, upload)
        upload = await find_upload(needs, upload_id, user.id)
    headers = {"Upload-Length": str(upload.length), **standing(upload)}
    if upload.metadata:
        headers["Upload-Metadata"] = upload.metadata
    return Response(headers=headers)


@piece_router.patch(
    "/uploads/tus/{upload_id}",
    status_code=204,
    summary="Send bytes of an upload",
    response_class=Response,
    responses={**_EMPTY, **error_responses(*PIECE_ERRORS)},
    openapi_extra={"requestBody": {"required": True, **_BINARY}},
)
async def send_tus_bytes(
    request: Request,
    upload_id: UploadId,
    user: CurrentUser,
    needs: Needs,
    *,
    version: Version,  # noqa: ARG001 - as above
    upload_offset: OffsetHeader,
    upload_checksum: ChecksumHeader = None,
) -> Response:
    """Send the bytes that follow those that are there, as many as one likes.

    What came before a break is kept, unless the body had an `Upload-Checksum`. With the last byte
    the file is in storage.
    """
    if not _has_bytes(request):
        raise UnsupportedMedia(f"Content-Type must be {tus.PART_TYPE}")
    checksum = tus.parse_checksum(upload_checksum)
    offset = tus.parse_number("Upload-Offset", upload_offset)
    upload = await find_upload(needs, upload_id, user.id)
    upload = await _receive(request, needs, upload, offset, checksum)
    return Response(status_code=204, headers=standing(upload))


@piece_router.delete(
    "/uploads/tus/{upload_id}",
    status_code=204,
    summary="End an upload",
    response_class=Response,
    responses={204: {"description": "It is gone."}, **error_responses(401, 404, 412, 423, 503)},
)
async def end_tus_upload(
    upload_id: UploadId,
    user: CurrentUser,
    needs: Needs,
    *,
    version: Version,  # noqa: ARG001 - as above
) -> Response:
    """Give an upload up: what came of it is removed. A file that is whole stays with its memo."""
    await terminate(needs, await find_upload(needs, upload_id, user.id))
    return Response(status_code=204)


@piece_router.post(
    "/uploads/tus/{upload_id}",
    status_code=204,
    summary="Send bytes of an upload, or end it, where only POST gets through",
    response_class=Response,
    responses={**_EMPTY, **error_responses(*PIECE_ERRORS)},
    openapi_extra={"requestBody": _BINARY},
)
async def override_method(
    request: Request,
    upload_id: UploadId,
    user: CurrentUser,
    needs: Needs,
    *,
    version: Version,
    method: Annotated[
        Literal["PATCH", "DELETE"],
        Header(alias="X-HTTP-Method-Override", description="What is meant."),
    ],
    upload_offset: OffsetHeader = "",
    upload_checksum: ChecksumHeader = None,
) -> Response:
    """Do what the header says, for clients behind a proxy that lets no other method through."""
    if method == "DELETE":
        return await end_tus_upload(upload_id, user, needs, version=version)
    return await send_tus_bytes(
        request,
        upload_id,
        user,
        needs,
        version=version,
        upload_offset=upload_offset,
        upload_checksum=upload_checksum,
    )


def _has_bytes(request: Request) -> bool:
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return kind == tus.PART_TYPE


async def _receive(
    request: Request,
    services: Services,
    upload: UploadSession,
    offset: int,
    checksum: tus.Checksum | None,
) -> UploadSession:
    length = request.headers.get("Content-Length", "0")
    coming = int(length) if length.isdecimal() and len(length) < len(str(2**63)) else 0
    check_place(upload, offset)
    if offset + coming > upload.length:
        raise TooLarge("More bytes are to come than the upload is long")
    if upload.finished:
        return upload
    async with held(services, upload) as (file, found):
        receiver = Receiver(services, file, found, checksum)
        return await receiver.receive(offset, request.stream())
