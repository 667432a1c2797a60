"""A stand-in for Supabase Storage, over real sockets, for what this product asks of it.

After Supabase's own server (github.com/supabase/storage) and storage3 2.34, in plain words:

- The key comes in ``Authorization: Bearer`` and in ``apikey``; one that is no key is refused.
- A refusal is an HTTP 400 (500 for a failure of its own) with ``{"statusCode": "404", "error",
  "message"}``; ``error`` is an old name (``not_found``, ``Duplicate``, ``Unauthorized``).
- Names are letters, digits and ``_/!.*'() &$=@;:+,?-``; any other is ``InvalidKey``.
- A listing has one level: a folder is an entry without ``id``. It takes no notice of case, has at
  most 1500 entries, 100 when nobody says, and of a bucket that is missing it is empty.
- A file is what was there when its last byte arrived, over another one only with ``x-upsert``.
- A signed address carries a JWT with ``url``, ``scope`` and ``exp``, which are checked; ranges
  beyond the end are ``InvalidRange``.
- TUS 1.0.0 at ``/upload/resumable``: ``bucketName``, ``objectName`` and ``contentType`` as
  metadata, the name of an upload is its place in base64; ``x-upsert`` counts in every request.

    python -m tests.fakes.supabase_storage --port 8123 --key KEY [--calls FILE]

Faults and counts: see ``tests/fakes/http_wire.py``.
"""

import base64
import hashlib
import json
import re
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote
from uuid import uuid4

import jwt

from tests.fakes.alone import main
from tests.fakes.http_wire import Request, Response, Wire, json_response

BUCKET: Final = "user-uploads"
KEY: Final = "sb_secret_of_the_stand_in"
CHUNK_BYTES: Final = 6 * 1024 * 1024
LARGEST_PAGE: Final = 1500
UPLOAD_SECONDS: Final = 7200
SECRET: Final = "what the stand-in signs its addresses with"
TUS: Final = {"tus-resumable": "1.0.0"}

_PATH: Final = re.compile(r"/storage/v1/(?P<what>object|bucket|upload)(/(?P<rest>.*))?")
_NAME: Final = re.compile(r"[A-Za-z0-9_/!.*'() &$=@;:+,?-]+")
_RANGE: Final = re.compile(r"bytes=(\d+)-(\d*)")


class Stored(NamedTuple):
    """A file."""

    content: bytes
    media_type: str
    id: str
    written: float

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.content, usedforsecurity=False).hexdigest()}"'


class Sent:
    """A resumable upload that is not finished."""

    def __init__(self, name: str, media_type: str, size: int) -> None:
        self.name = name
        self.media_type = media_type
        self.size = size
        self.content = bytearray()


class Refusal(Exception):
    """An error answer."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(message)
        body = {"statusCode": str(status), "error": error, "message": message}
        self.response = json_response(body, 500 if status == 500 else 400)


def no_such_file() -> Refusal:
    return Refusal(404, "not_found", "Object not found")


class FakeSupabaseStorage:
    """The server; what it keeps is in ``files``, by name."""

    def __init__(self, key: str | None = None, log: Path | None = None) -> None:
        self.key = key or KEY
        self.wire = Wire(self._answer, log)
        self.files: dict[str, Stored] = {}
        self.sent: dict[str, Sent] = {}
        self.public = False
        self.bucket = BUCKET
        self.largest = 1 << 40
        self.upload_seconds: float = UPLOAD_SECONDS

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        return await self.wire.start(host, port)

    async def aclose(self) -> None:
        await self.wire.aclose()

    @property
    def url(self) -> str:
        return self.wire.url

    async def _answer(self, request: Request) -> tuple[Response, dict[str, Any]]:
        try:
            return self._route(request), {"bytes": len(request.body)}
        except Refusal as refusal:
            return refusal.response, {}

    def _route(self, request: Request) -> Response:
        found = _PATH.fullmatch(request.path)
        if found is None:
            return json_response({"message": "no Route matched with those values"}, 404)
        rest = unquote(found["rest"] or "")
        if request.query.get("token"):
            return self._by_token(request, rest)
        self._check_key(request)
        if found["what"] == "upload":
            return self._resumable(request, rest)
        if found["what"] == "bucket":
            return self._bucket(rest)
        return self._object(request, rest)

    def _check_key(self, request: Request) -> None:
        given = request.headers.get("authorization", "")
        if given != f"Bearer {self.key}" or request.headers.get("apikey") != self.key:
            raise Refusal(403, "Unauthorized", "invalid signature")

    def _bucket(self, name: str) -> Response:
        if name != self.bucket:
            raise Refusal(404, "Bucket not found", "Bucket not found")
        now = _iso(time.time())
        facts = {"id": name, "name": name, "owner": "", "public": self.public}
        more = {"created_at": now, "updated_at": now, "file_size_limit": None}
        return json_response(facts | more | {"allowed_mime_types": None})

    def _object(self, request: Request, rest: str) -> Response:
        routes: dict[tuple[str, str], Callable[[Request, str], Response]] = {
            ("POST", "list"): self._list,
            ("POST", "sign"): self._sign,
            ("POST", "upload"): self._sign_upload,
        }
        first, _, more = rest.partition("/")
        if route := routes.get((request.method, first)):
            return route(request, more)
        if request.method == "DELETE":
            return self._remove(json.loads(request.body)["prefixes"])
        if request.method in {"POST", "PUT"}:
            return self._take(request, self._name(rest), upsert=_upserts(request))
        raise Refusal(404, "not_found", "no such route")

    def _name(self, path: str) -> str:
        bucket, _, name = path.partition("/")
        if bucket != self.bucket:
            raise Refusal(404, "Bucket not found", "Bucket not found")
        if not _NAME.fullmatch(name):
            raise Refusal(400, "InvalidKey", f"Invalid key: {name}")
        return name

    def _list(self, request: Request, bucket: str) -> Response:
        asked = json.loads(request.body)
        folder = asked["prefix"]
        folder = f"{folder}/" if folder and not folder.endswith("/") else folder
        start = (folder + (asked.get("search") or "")).lower()
        entries: dict[str, dict[str, Any]] = {}
        for name in sorted(self.files, key=str.lower) if bucket == self.bucket else ():
            if name.lower().startswith(start):
                level, deeper, _ = name[len(folder) :].partition("/")
                entries.setdefault(level, _entry(level, None if deeper else self.files[name]))
        offset = asked.get("offset", 0)
        limit = min(asked.get("limit", 100), LARGEST_PAGE)
        return json_response(list(entries.values())[offset : offset + limit])

    def _sign(self, request: Request, path: str) -> Response:
        if self._name(path) not in self.files:
            raise no_such_file()
        token = _token(path, "download", float(json.loads(request.body)["expiresIn"]))
        return json_response({"signedURL": f"/object/sign/{path}?token={token}"})

    def _sign_upload(self, request: Request, rest: str) -> Response:
        path = rest.removeprefix("sign/")
        if self._name(path) in self.files and not _upserts(request):
            raise Refusal(409, "Duplicate", "The resource already exists")
        token = _token(path, "upload", self.upload_seconds)
        return json_response({"url": f"/object/upload/sign/{path}?token={token}", "token": token})

    def _by_token(self, request: Request, rest: str) -> Response:
        scope = "upload" if rest.startswith("upload/") else "download"
        path = rest.removeprefix("upload/").removeprefix("sign/")
        try:
            claims = jwt.decode(request.query["token"][0], SECRET, algorithms=["HS256"])
        except jwt.InvalidTokenError as error:
            raise Refusal(400, "InvalidJWT", str(error)) from error
        if claims["url"] != path or claims["scope"] != scope:
            raise Refusal(400, "InvalidSignature", "Invalid signature")
        name = self._name(path)
        return self._take(request, name) if scope == "upload" else self._give(request, name)

    def _give(self, request: Request, name: str) -> Response:
        file = self.files.get(name)
        if file is None:
            raise no_such_file()
        headers = {"content-type": file.media_type, "etag": file.etag, "accept-ranges": "bytes"}
        wanted = request.headers.get("range")
        if wanted is None:
            return Response(200, file.content, headers)
        found = _RANGE.fullmatch(wanted)
        assert found is not None, wanted
        first, last = int(found[1]), int(found[2]) if found[2] else len(file.content) - 1
        last = min(last, len(file.content) - 1)
        if first > last:
            raise Refusal(416, "The requested range is not satisfiable", "InvalidRange")
        headers["content-range"] = f"bytes {first}-{last}/{len(file.content)}"
        return Response(206, file.content[first : last + 1], headers)

    def _take(self, request: Request, name: str, *, upsert: bool = False) -> Response:
        media_type, content = request.headers.get("content-type", ""), request.body
        if media_type.startswith("multipart/form-data"):
            mark = b"\r\n--" + media_type.partition("boundary=")[2].encode()
            form = request.body.rpartition(b'name="file"; ')[2]
            found = re.search(rb"(?i)content-type: ([^\r\n]+)\r\n\r\n", form)
            assert found is not None
            media_type, content = found[1].decode(), form[found.end() :].partition(mark)[0]
        self._keep(name, content, media_type, upsert=upsert)
        return json_response({"Id": self.files[name].id, "Key": f"{self.bucket}/{name}"})

    def _keep(self, name: str, content: bytes, media_type: str, *, upsert: bool) -> None:
        if name in self.files and not upsert:
            raise Refusal(409, "Duplicate", "The resource already exists")
        if len(content) > self.largest:
            raise Refusal(413, "Payload too large", "The object exceeded the maximum allowed size")
        self.files[name] = Stored(content, media_type, str(uuid4()), time.time())

    def _remove(self, names: list[str]) -> Response:
        removed = [name for name in names if self.files.pop(name, None)]
        return json_response([{"name": name, "bucket_id": self.bucket} for name in removed])

    def _resumable(self, request: Request, rest: str) -> Response:
        if request.headers.get("tus-resumable") != "1.0.0":
            return Response(412, b"Tus-Resumable Required", TUS)
        _, _, upload_id = rest.partition("/")
        if request.method == "POST":
            return self._begin(request)
        sent = self.sent.get(upload_id)
        if sent is None:
            return Response(404, b"The file for this url was not found", TUS)
        if request.method == "HEAD":
            place = {"upload-offset": str(len(sent.content)), "upload-length": str(sent.size)}
            return Response(200, b"", TUS | place)
        if request.method == "DELETE":
            del self.sent[upload_id]
            return Response(204, b"", TUS)
        return self._go_on(request, upload_id, sent)

    def _begin(self, request: Request) -> Response:
        pairs = (pair.split(" ") for pair in request.headers["upload-metadata"].split(","))
        said = {name: base64.b64decode(value).decode() for name, value in pairs}
        name = self._name(f"{said['bucketName']}/{said['objectName']}")
        if name in self.files and not _upserts(request):
            return Response(409, b"The resource already exists", TUS)
        size = int(request.headers["upload-length"])
        if size > self.largest:
            return Response(413, b"Maximum size exceeded", TUS)
        place = f"{self.bucket}/{name}/{uuid4()}".encode()
        upload_id = base64.urlsafe_b64encode(place).decode().rstrip("=")
        self.sent[upload_id] = Sent(name, said["contentType"], size)
        # As behind a gateway that ends TLS: the scheme and host are the server's own idea.
        location = f"https://storage.internal/upload/resumable/{upload_id}"
        return Response(201, b"", TUS | {"location": location})

    def _go_on(self, request: Request, upload_id: str, sent: Sent) -> Response:
        if request.headers.get("content-type") != "application/offset+octet-stream":
            return Response(415, b"Content-Type must be application/offset+octet-stream", TUS)
        if request.headers.get("upload-offset") != str(len(sent.content)):
            return Response(409, b"Upload-Offset conflict", TUS)
        if len(request.body) > min(CHUNK_BYTES, sent.size - len(sent.content)):
            return Response(413, b"Upload-Length exceeded", TUS)
        sent.content += request.body
        if len(sent.content) == sent.size:
            if sent.name in self.files and not _upserts(request):
                return Response(409, b"The resource already exists", TUS)
            self._keep(sent.name, bytes(sent.content), sent.media_type, upsert=True)
            del self.sent[upload_id]
        return Response(204, b"", TUS | {"upload-offset": str(len(sent.content))})


def _upserts(request: Request) -> bool:
    return request.headers.get("x-upsert") == "true"


def _token(path: str, scope: str, seconds: float) -> str:
    claims = {"url": path, "scope": scope, "exp": time.time() + seconds}
    return jwt.encode(claims, SECRET, algorithm="HS256")


def _entry(name: str, file: Stored | None) -> dict[str, Any]:
    if file is None:
        return dict.fromkeys(("id", "updated_at", "created_at", "metadata")) | {"name": name}
    written = _iso(file.written)
    metadata = {"size": len(file.content), "mimetype": file.media_type, "eTag": file.etag}
    times = {"updated_at": written, "created_at": written, "last_accessed_at": written}
    return {"name": name, "id": file.id, "metadata": metadata} | times


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat()


def _make(key: str | None, log: Path | None) -> Wire:
    return FakeSupabaseStorage(key, log).wire


if __name__ == "__main__":
    sys.exit(main("Stand-in for Supabase Storage", _make))
