"""A stand-in for Azure's speech to text REST API, over real sockets: fast and batch transcription.

After Microsoft's pages "Use the fast transcription API" (form, definition, answer), "Create a batch
transcription" and "Get batch transcription results" (see `tests.fakes.azure_jobs`), and the
reference of the API 2025-10-15 (error bodies ``{"code", "message", "innerError"}``; the gateway
before it answers ``{"error": {"code", "message"}}``). It listens to nothing unless it is told to:
the words follow from the length of the audio.

    python -m tests.fakes.azure --port 8124 [--key K]... [--recognise] [--waiting N] [--running N]

prints ``{"event": "ready", "url": …}`` and serves until it is ended. Faults and counts: see
``tests/fakes/http_wire.py``; ``POST /__jobs`` says how batch jobs go.
"""

import argparse
import asyncio
import hashlib
import json
import re
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from tests.fakes.alone import serve
from tests.fakes.azure_jobs import BadJob, Job, Jobs, not_found
from tests.fakes.http_wire import Request, Response, Wire, json_response, multipart
from tests.fakes.listening import Heard, NotAudio, Said, listen

API_VERSIONS: Final = ("2024-11-15", "2025-10-15")
DEFINITION: Final = {
    *("locales", "audioUrl", "diarization", "channels", "profanityFilterMode", "phraseList"),
    *("models",),
}
CONTAINERS: Final = {"wav", "mp3", "ogg", "flac", "asf", "aac", "amr", "matroska"}
MAX_BYTES: Final = 250_000_000
MAX_SECONDS: Final = 7200
TRANSCRIBE: Final = "/speechtotext/transcriptions:transcribe"
SUBMIT: Final = "/speechtotext/transcriptions:submit"
LIST: Final = "/speechtotext/transcriptions"
_ONE: Final = re.compile(r"/speechtotext/transcriptions/([^/]+)(/files)?")
_RESULT: Final = re.compile(r"/results/([^/]+)/([^/]+)")


class Refusal(Exception):
    """An error answer of the service itself."""

    def __init__(self, status: int, code: str, message: str, inner: str | None = None) -> None:
        super().__init__(message)
        body: dict[str, Any] = {"code": code, "message": message}
        if inner:
            body["innerError"] = {"code": inner, "message": message}
        self.response = json_response(body, status)


class FakeAzure(Wire):
    """One speech resource.

    Args:
        keys: the only keys that are taken; none takes any.
        jobs: how batch jobs go.
        log: see `Wire`.
    """

    def __init__(
        self,
        keys: Collection[str] | None = None,
        jobs: Jobs | None = None,
        log: Path | None = None,
    ) -> None:
        super().__init__(self._vendor, log)
        self._keys = keys
        self.batch = jobs or Jobs()
        self.recognise = self.batch.recognise
        self.results_url: str | None = None
        """Where the results are said to be; here, when it is not set."""

    def _control(self, request: Request) -> Response:
        """``POST /__jobs``: how batch jobs go from now on; see `Jobs`."""
        if (request.method, request.path) != ("POST", "/__jobs"):
            return super()._control(request)
        for name, value in json.loads(request.body).items():
            if name not in {"waiting", "running", "retry_after", "fail", "fail_file", "page"}:
                return json_response({"error": "no such setting"}, 404)
            setattr(self.batch, name, value)
        return json_response({"jobs": len(self.batch.jobs)})

    async def _vendor(self, request: Request) -> tuple[Response, dict[str, Any]]:
        facts: dict[str, Any] = {"key": request.headers.get("ocp-apim-subscription-key")}
        try:
            if found := _RESULT.fullmatch(request.path):
                facts["operation"] = "content"
                return self._content(found[1], found[2], request), facts
            if refused := self._refused(request):
                return refused, facts
            return await self._answer_to(request, facts), facts
        except Refusal as refusal:
            return refusal.response, facts

    async def _answer_to(self, request: Request, facts: dict[str, Any]) -> Response:
        one = _ONE.fullmatch(request.path)
        match request.method, request.path:
            case "POST", path if path == TRANSCRIBE:
                facts["operation"] = "fast"
                return await self._transcribe(request, facts)
            case "POST", path if path == SUBMIT:
                facts["operation"] = "submit"
                return self._submit(request, facts)
            case "GET", path if path == LIST:
                facts["operation"] = "list"
                return self._list(request)
            case _ if one is not None:
                return await self._one(request, one[1], files=bool(one[2]), facts=facts)
        return not_found()

    def _refused(self, request: Request) -> Response | None:
        """What the gateway and the check of the version say."""
        key = request.headers.get("ocp-apim-subscription-key")
        if not key or (self._keys is not None and key not in self._keys):
            message = "Access denied due to invalid subscription key or wrong API endpoint."
            return json_response({"error": {"code": "401", "message": message}}, 401)
        if request.query.get("api-version", [""])[0] not in API_VERSIONS:
            body = {"code": "InvalidRequest", "message": "The API version is not supported."}
            return json_response(body, 400)
        return None

    async def _transcribe(self, request: Request, facts: dict[str, Any]) -> Response:
        form = multipart(request)
        if "audio" not in form or "definition" not in form:
            raise Refusal(400, "InvalidRequest", "The form needs audio and definition.")
        filename, audio = form["audio"][0]
        definition = _definition(form["definition"][0][1])
        facts |= {
            "definition": definition,
            "filename": filename,
            "bytes": len(audio),
            "sha256": hashlib.sha256(audio).hexdigest(),
        }
        heard = await asyncio.to_thread(self._hear, audio)
        facts["seconds"] = heard.seconds
        return json_response(_fast_answer(heard, definition))

    def _hear(self, audio: bytes) -> Heard:
        if not audio:
            raise _bad_audio("EmptyAudioFile")
        if len(audio) > MAX_BYTES:
            raise Refusal(413, "PayloadTooLarge", "The audio is too large.")
        try:
            heard = listen(audio, recognise=self.recognise)
        except NotAudio as error:
            raise _bad_audio("InvalidAudioFormat") from error
        if heard.container not in CONTAINERS:
            raise _bad_audio("InvalidAudioFormat")
        if heard.seconds > MAX_SECONDS:
            raise _bad_audio("AudioLengthLimitExceeded")
        return heard

    def _submit(self, request: Request, facts: dict[str, Any]) -> Response:
        try:
            made = json.loads(request.body)
            job = self.batch.submit(made)
        except (ValueError, BadJob) as error:
            raise Refusal(400, "InvalidRequest", str(error), "InvalidPayload") from error
        facts |= {"job": job.id, "made": made}
        shown = self.batch.shown(job, self.url)
        return Response(201, json.dumps(shown).encode(), {"location": shown["self"]})

    def _list(self, request: Request) -> Response:
        jobs = list(self.batch.jobs.values())
        address = f"{self.url}{LIST}?api-version=2025-10-15"
        if condition := request.query.get("filter", [""])[0]:
            found = re.fullmatch(r"displayName eq '((?:[^']|'')*)'", condition)
            if found is None:
                raise Refusal(400, "InvalidRequest", "The filter cannot be read.")
            name = found[1].replace("''", "'")
            jobs = [job for job in jobs if job.made["displayName"] == name]
        shown = [self.batch.shown(job, self.url) for job in jobs]
        return json_response(self.batch.paged(shown, _skip(request), address))

    async def _one(
        self, request: Request, job_id: str, *, files: bool, facts: dict[str, Any]
    ) -> Response:
        facts |= {"job": job_id}
        job = self.batch.jobs.get(job_id)
        if request.method == "DELETE" and not files:
            facts["operation"] = "delete"
            self.batch.jobs.pop(job_id, None)
            return Response(204, b"", {})
        facts["operation"] = "files" if files else "status"
        if job is None or request.method != "GET":
            return not_found()
        if files:
            return json_response(self._files(job, _skip(request)))
        await self.batch.look(job)
        answer = json_response(self.batch.shown(job, self.url))
        if not job.done and self.batch.retry_after is not None:
            answer.headers["retry-after"] = str(self.batch.retry_after)
        return answer

    def _files(self, job: Job, skip: int) -> Any:
        address = f"{self.url}{LIST}/{job.id}/files"
        shown = [
            {
                "self": f"{address}/{name}",
                "name": name,
                "kind": kind,
                "properties": {"size": len(json.dumps(content))},
                "links": {
                    "contentUrl": f"{self.results_url or self.url}/results/{job.id}/{name}?sig=x"
                },
            }
            for name, kind, content in job.files
        ]
        return self.batch.paged(shown, skip, f"{address}?api-version=2025-10-15")

    def _content(self, job_id: str, name: str, request: Request) -> Response:
        job = self.batch.jobs.get(job_id)
        if job is None or request.query.get("sig") != ["x"]:
            return Response(404, b"<Error><Code>BlobNotFound</Code></Error>", {})
        found = [content for each, _, content in job.files if each == name]
        return json_response(found[0]) if found else not_found()


def _skip(request: Request) -> int:
    return int(request.query.get("skip", ["0"])[0])


def _bad_audio(code: str) -> Refusal:
    return Refusal(400, "InvalidArgument", "The audio cannot be transcribed.", code)


def _definition(raw: bytes) -> dict[str, Any]:
    """The definition, checked as the vendor does."""
    try:
        definition: dict[str, Any] = json.loads(raw)
    except ValueError as error:
        raise Refusal(400, "InvalidRequest", "The definition is no JSON.") from error
    if unknown := set(definition) - DEFINITION:
        raise Refusal(400, "InvalidRequest", f"Unknown members: {sorted(unknown)}.")
    for locale in definition.get("locales", []):
        if not re.fullmatch(r"[a-z]{2,3}-[A-Z]{2}", locale):
            raise Refusal(400, "InvalidRequest", "The locale is not known.", "InvalidLocale")
    if not 2 <= definition.get("diarization", {}).get("maxSpeakers", 2) <= 35:
        raise Refusal(400, "InvalidRequest", "maxSpeakers must be between 2 and 35.")
    return definition


def _fast_answer(heard: Heard, definition: dict[str, Any]) -> dict[str, Any]:
    speakers = definition.get("diarization", {}).get("enabled", False)
    locale = (definition.get("locales") or ["en-US"])[0]
    phrases = [
        _phrase(said, locale, number % 2 + 1 if speakers else None)
        for number, said in enumerate(heard.said)
    ]
    return {
        "durationMilliseconds": round(heard.seconds * 1000),
        "combinedPhrases": [{"text": " ".join(said.text for said in heard.said)}],
        "phrases": phrases,
    }


def _phrase(said: Said, locale: str, speaker: int | None) -> dict[str, Any]:
    phrase: dict[str, Any] = {
        "offsetMilliseconds": said.offset,
        "durationMilliseconds": said.duration,
        "text": said.text,
        "words": [
            {
                "text": word.text,
                "offsetMilliseconds": word.offset,
                "durationMilliseconds": word.duration,
            }
            for word in said.words
        ],
        "locale": locale,
        "confidence": 0.93,
    }
    return phrase if speaker is None else {"speaker": speaker} | phrase


def main() -> int:
    parser = argparse.ArgumentParser(description="A stand-in for Azure's speech to text")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--key", action="append", help="a key that is taken; else any is")
    parser.add_argument("--calls", type=Path, help="file that gets a JSON line for each call")
    parser.add_argument("--recognise", action="store_true", help="listen with pocketsphinx")
    parser.add_argument("--waiting", type=int, default=1, help="asked so often before a job runs")
    parser.add_argument("--running", type=int, default=1, help="and so often before it is done")
    options = parser.parse_args()
    jobs = Jobs(waiting=options.waiting, running=options.running, recognise=options.recognise)
    try:
        asyncio.run(serve(FakeAzure(options.key, jobs, options.calls), options.host, options.port))
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
