"""The OpenAPI document and the page that shows it; every byte of it is served from here."""

import base64
import hashlib
import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, HTMLResponse, Response

from contracts.errors import NotFound

router = APIRouter(include_in_schema=False)

_ASSETS: Final = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
}
_START: Final = """
window.ui = SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
  validatorUrl: null,
});
"""
_STYLE: Final = """
.swagger-ui .response-col_links { display: none }
@media (max-width: 700px) {
  .swagger-ui .opblock-tag { flex-wrap: wrap }
  .swagger-ui .opblock-tag small { order: 1; flex: 1 0 100%; padding: 0 }
}
"""
_PAGE: Final = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Voicekeep API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="docs/swagger-ui.css">
<style>{_STYLE}</style>
</head>
<body>
<div id="docs"></div>
<script src="docs/swagger-ui-bundle.js"></script>
<script>{_START}</script>
</body>
</html>
"""


def _policy() -> str:
    """Only our own files and the one script above; what the document holds cannot run."""
    digest = hashlib.sha256(_START.encode()).digest()
    script = base64.b64encode(digest).decode()
    return (
        f"default-src 'none'; script-src 'self' 'sha256-{script}'; style-src 'self' "
        "'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    )


@cache
def _assets_folder() -> Path:
    """Where the package keeps its files; it is not imported, it would make apps of its own."""
    spec = find_spec("fastapi_offline")
    if spec is None or spec.origin is None:
        raise RuntimeError("The package fastapi-offline is not installed")
    return Path(spec.origin).parent / "static"


@router.get("/openapi.json")
async def document(request: Request) -> Response:
    """The OpenAPI 3.1 document."""
    text = json.dumps(request.app.openapi(), ensure_ascii=False)
    return Response(text, media_type="application/json", headers={"Cache-Control": "no-cache"})


@router.get("/docs")
async def page() -> Response:
    """The page people read the document on."""
    return HTMLResponse(_PAGE, headers={"Content-Security-Policy": _policy()})


@router.get("/docs/{name}")
async def asset(name: str) -> Response:
    """One of the page's two files."""
    if name not in _ASSETS:
        raise NotFound
    return FileResponse(
        _assets_folder() / name,
        media_type=_ASSETS[name],
        headers={"Cache-Control": "public, max-age=86400"},
    )
