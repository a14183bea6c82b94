"""Metrics: what the HTTP API and its hub have done, in the text format of Prometheus (0.0.4)."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

import attrs
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from durio.entities import Runtime
from durio.hosting.access import Access
from durio.hosting.http_client import DurableOrchestrationClient
from durio.hosting.problems import BadRequest, problem

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
METHODS: Final = frozenset(("GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"))
NO_ROUTE: Final = ""
"""The label of what no route is there for: a path that somebody made up is never a label."""


@attrs.define
class Spans:
    """How long the requests of one route took."""

    counts: list[int] = attrs.field(factory=lambda: [0] * (len(BUCKETS_S) + 1))
    sum_s: float = 0.0

    def add(self, span_s: float) -> None:
        self.counts[bisect_left(BUCKETS_S, span_s)] += 1
        self.sum_s += span_s


class Metrics:
    """Counts requests. There are as many counters as routes and status codes, however many ids are asked for."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._spans: dict[tuple[str, str], Spans] = {}
        self._in_flight = 0

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """A request is being answered."""
        self._in_flight += 1
        try:
            yield
        finally:
            self._in_flight -= 1

    def note(self, route: str, method: str, status: int, span_s: float) -> None:
        """A request has its answer."""
        method = method if method in METHODS else "other"
        self._requests[route, method, status] += 1
        self._spans.setdefault((route, method), Spans()).add(span_s)

    def lines(self) -> Iterator[str]:
        """What was counted."""
        yield from _head("durio_http_requests_total", "counter", "Requests that were answered.")
        for (route, method, status), count in sorted(self._requests.items()):
            labels = _labels(route=route, method=method, status=str(status))
            yield f"durio_http_requests_total{labels} {count}"
        name = "durio_http_request_duration_seconds"
        yield from _head(name, "histogram", "Time until the answer began; that of waiting for an end included.")
        for (route, method), spans in sorted(self._spans.items()):
            below = 0
            for bucket_s, count in zip((*BUCKETS_S, None), spans.counts, strict=True):
                below += count
                le = "+Inf" if bucket_s is None else f"{bucket_s:g}"
                yield f"{name}_bucket{_labels(route=route, method=method, le=le)} {below}"
            yield f"{name}_sum{_labels(route=route, method=method)} {spans.sum_s:.6f}"
            yield f"{name}_count{_labels(route=route, method=method)} {below}"
        yield from _head("durio_http_requests_in_flight", "gauge", "Requests that are being answered.")
        yield f"durio_http_requests_in_flight {self._in_flight}"


def hub_lines(runtime: Runtime) -> Iterator[str]:
    """What an open hub knows of itself, without looking into its data."""
    kernel, store = runtime.kernel, runtime.store
    figures: tuple[tuple[str, str, str, float], ...] = (
        ("durio_hub_commits_total", "counter", "Commits, since the hub was made.", store.last_commit),
        ("durio_hub_epoch", "gauge", "How many owners the hub has had.", store.epoch),
        ("durio_hub_activations", "gauge", "Entities and instances in memory.", len(kernel.catalog)),
        (
            "durio_hub_actors_ready",
            "gauge",
            "Entities and instances with a turn to take.",
            len(kernel.queue.waiting),
        ),
        ("durio_hub_answers_awaited", "gauge", "Requests that wait for an answer.", len(runtime.answers)),
        ("durio_hub_ends_awaited", "gauge", "Instances whose end is waited for.", len(runtime.endings)),
        ("durio_hub_intake_waiting", "gauge", "Requests that wait to be taken in.", runtime.intake.waiting),
        ("durio_hub_intake_bytes", "gauge", "Bytes taken in, not yet on disk.", runtime.intake.held_bytes),
        ("durio_hub_disk_full", "gauge", "1 while the disk is full.", int(runtime.disk_full)),
    )
    for name, kind, what, figure in figures:
        yield from _head(name, kind, what)
        yield f"{name} {figure}"
    yield from _head("durio_hub_events_total", "counter", "What was dropped, refused or parked, since it was opened.")
    for event, count in sorted(kernel.counters.items()):
        yield f"durio_hub_events_total{_labels(event=event)} {count}"


class MetricsPage:
    """Answers `/metrics`. It needs a key like the API: names of routes say nothing, but how much is done does."""

    def __init__(self, metrics: Metrics, client: DurableOrchestrationClient, access: Access) -> None:
        self._metrics = metrics
        self._link = client._link
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = self._answer(Request(scope, receive))
        await response(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        refusal = self._access.lacks_key(request.scope)
        if refusal is not None:
            return problem(BadRequest(refusal, 401), 401)
        lines = [*self._metrics.lines()]
        if isinstance(self._link, Runtime):  # else the hub is somebody else's: its owner knows
            lines += hub_lines(self._link)
        return PlainTextResponse("\n".join(lines) + "\n", media_type=CONTENT_TYPE)


def _head(name: str, kind: str, what: str) -> Iterable[str]:
    return (f"# HELP {name} {what}", f"# TYPE {name} {kind}")


def _labels(**labels: str) -> str:
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
