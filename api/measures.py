"""The numbers of ``/metrics``."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Measures:
    """What one API process counts; a registry of its own, so that two apps do not share numbers."""

    content_type: Final = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "voicekeep_http_requests_total",
            "Requests by route and status.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "voicekeep_http_request_seconds",
            "Seconds from the request's head to the answer's end.",
            ["method", "route"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self.uploaded_bytes = Counter(
            "voicekeep_uploaded_bytes_total",
            "Bytes of recordings received.",
            registry=self._registry,
        )
        self.jobs_started = Counter(
            "voicekeep_jobs_started_total",
            "Jobs accepted and handed to Temporal.",
            ["kind"],
            registry=self._registry,
        )
        self.watchers = Gauge(
            "voicekeep_event_watchers",
            "Open event streams.",
            registry=self._registry,
        )

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request; ``status`` 0 is one whose client went away."""
        method = method if method in METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def text(self) -> bytes:
        """All numbers in the Prometheus text format."""
        return generate_latest(self._registry)
