"""The anchor of speech that is there already: FastAPI finds a row by its key, and sends a file.

Nothing of ours is in it: no token, no validation beyond the body's, no ranges but Starlette's.

    python -m benchmarks.bare_reader PORT DATABASE FILE
"""

import sqlite3
import sys

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from starlette.responses import FileResponse


class Asked(BaseModel):
    """A text, by whom and by what it is found."""

    user_id: str
    content_hash: str
    text: str
    voice: str


def create_app(database: str, file: str) -> FastAPI:
    """The app over one database and one file."""
    app = FastAPI()
    rows = sqlite3.connect(f"file:{database}?mode=ro", uri=True, check_same_thread=False)
    rows.row_factory = sqlite3.Row
    query = "SELECT id, state, size FROM speech_files WHERE user_id = ? AND content_hash = ?"

    @app.post("/speech")
    async def find(asked: Asked) -> dict[str, object]:
        found = rows.execute(query, (asked.user_id, asked.content_hash)).fetchone()
        return dict(found)

    @app.get("/audio")
    async def send() -> FileResponse:
        return FileResponse(file, media_type="audio/mpeg")

    return app


if __name__ == "__main__":
    port, *paths = sys.argv[1:]
    uvicorn.run(create_app(*paths), port=int(port), log_level="error", access_log=False)
