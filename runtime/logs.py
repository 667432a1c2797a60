"""Log lines: ``noun.verb`` events on stderr, as JSON or for a console, without secrets.

Everything that logs (ours by structlog; uvicorn, Temporal and other libraries by the standard
module) goes through one chain, whose last step takes out what must not be in a log.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from traceback import extract_tb
from typing import Any, Final

import structlog

from runtime.settings_groups import LogSettings

HIDDEN: Final = "[hidden]"

_SECRET_NAME: Final = re.compile(
    r"(?i)(^|[_-])(authorization|cookie|password|passwd|secret|token|jwt|api[_-]?key|signature|"
    r"credential|payload_keys|service_key|internal_key|database_url)s?($|[_-])"
)
_TOKEN: Final = re.compile(r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*")
_BEARER: Final = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}")
_API_KEY: Final = re.compile(r"\b(sk|vk_live|vk_test|whsec)[-_][\w-]{8,}")
_USER_INFO: Final = re.compile(r"(?P<scheme>\b[a-z][a-z0-9+.-]*://)[^/\s:@]*:[^/\s@]+@")
_SIGNED_QUERY: Final = re.compile(
    r"(?i)(?P<url>\bhttps?://[^\s?\"']+)\?[^\s\"']*"
    r"(sig|signature|token|x-amz-[a-z]+|temp_url_sig|expires|key)=[^\s\"']*"
)

MOST_SAID: Final = 300
_SPEAK_OF_CODE: Final = frozenset(
    {
        "AttributeError",
        "ImportError",
        "ModuleNotFoundError",
        "NameError",
        "OperationalError",
        "ProgrammingError",
        "TypeError",
    }
)
"""Their messages name functions, types, tables and columns, never what is in them."""

_QUIET: Final = (
    *("httpx", "httpcore", "asyncio", "uvicorn.access", "aiosqlite", "alembic"),
    *("httpx2", "httpcore2", "openai", "google_genai", "azure"),
)
"""Talkative libraries: warnings and worse only, also at ``debug``: those that speak to vendors name
whole addresses. Requests are logged by the API itself."""


def configure(settings: LogSettings, *, quiet: bool = False) -> None:
    """Set up logging for this process; calling it again replaces the set-up.

    Args:
        quiet: warnings and worse only, whatever the setting says, unless it says ``debug``.
    """
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    if quiet and level > logging.DEBUG:
        level = max(level, logging.WARNING)
    on_terminal = sys.stderr.isatty()
    as_json = settings.format == "json" or (settings.format == "auto" and not on_terminal)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _describe_exception,
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=on_terminal)
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    # Failed activities are logged by the interceptor, with their code.
    logging.getLogger("temporalio.activity").setLevel(logging.ERROR)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take secrets, tokens, passwords in addresses and signatures in URLs out of a log line."""
    for name, value in event.items():
        event[name] = HIDDEN if _SECRET_NAME.search(name) else _clean(value)
    return event


def redact_text(text: str) -> str:
    """A text without tokens, keys, passwords in addresses and signed query strings."""
    text = _TOKEN.sub(HIDDEN, text)
    text = _BEARER.sub(rf"\1 {HIDDEN}", text)
    text = _API_KEY.sub(HIDDEN, text)
    text = _USER_INFO.sub(rf"\g<scheme>{HIDDEN}@", text)
    return _SIGNED_QUERY.sub(rf"\g<url>?{HIDDEN}", text)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, dict):
        return {
            key: HIDDEN if _SECRET_NAME.search(str(key)) else _clean(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_clean(inner) for inner in value]
    return value


def _describe_exception(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """An exception as its type and its frames.

    Its message, and the values in a full trace, may quote speech or tokens: they stay out, unless
    messages of its kind only ever speak of code.
    """
    error = _error_of(event.pop("exc_info", None))
    if error is not None:
        event["error"] = type(error).__name__
        event["frames"] = frames_of(error)
        if event["error"] in _SPEAK_OF_CODE:
            event["said"] = str(error).partition("\n")[0][:MOST_SAID]
    return event


def _error_of(info: Any) -> BaseException | None:
    """The exception behind what loggers take as ``exc_info``."""
    if isinstance(info, BaseException):
        return info
    if info is True:
        return sys.exc_info()[1]
    return info[1] if info else None


def frames_of(error: BaseException) -> list[str]:
    """Where an exception came from, innermost last: ``file:line function``.

    Frames of libraries are left out, but for the innermost.
    """
    found = [
        (frame.filename, frame.lineno, frame.name) for frame in extract_tb(error.__traceback__)
    ]
    kept = [frame for frame in found if "site-packages" not in frame[0]] + found[-1:]
    return [f"{name}:{line} {function}" for name, line, function in dict.fromkeys(kept)]
