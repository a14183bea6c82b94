"""Metrics: what was asked, how long it took, and what the hub is at."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.hosting.helpers import Web, web
from tests.hosting.town import app

BASE = "/runtime/webhooks/durabletask"
SAMPLE = re.compile(r'([a-z_]+)(\{(?:[a-z]+="(?:[^"\\\n]|\\.)*",?)*\})? ([0-9.e+-]+)')


async def read(api: Web) -> dict[str, float]:
    """The samples, each line of them well-formed, and each announced by its type."""
    found = await api.get("/metrics")
    assert found.status == 200
    assert found.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert found.text.endswith("\n")
    return dict(samples(found.text))


def samples(text: str) -> Iterator[tuple[str, float]]:
    announced: set[str] = set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split(" ")[2:]
            announced |= {name} if kind != "histogram" else {f"{name}_{part}" for part in ("bucket", "sum", "count")}
        elif not line.startswith("# HELP "):
            match = SAMPLE.fullmatch(line)
            assert match is not None, line
            assert match[1] in announced, line
            yield match[1] + (match[2] or ""), float(match[3])


async def test_requests_are_counted_by_route(autojump_clock: object) -> None:
    """By the path of the route, whatever the ids; what is no route has one label; times are a histogram."""
    async with web(app) as api:
        for number in range(3):
            await api.post(f"{BASE}/orchestrators/Echo/i{number}", 1)
            await api.get(f"/durabletask/instances/nobody{number}")
        await api.get(f"{BASE}/made/up{{}}")
        await api.ask("BREW", f"{BASE}/instances")
        await api.post("/api/orchestrators/Approval/wait?timeout=7&retryInterval=1")
        told = await read(api)
    total = "durio_http_requests_total"
    assert told[total + '{route="orchestrators/{name}/{id}",method="POST",status="202"}'] == 3
    assert told[total + '{route="instances/{id}",method="GET",status="404"}'] == 3
    assert told[total + '{route="",method="GET",status="404"}'] == 1
    assert told[total + '{route="",method="other",status="404"}'] == 1
    span = 'durio_http_request_duration_seconds{}{{route="api/orchestrators/{{name}}/wait",method="POST"{}}}'
    assert told[span.format("_bucket", ',le="5"')] == 0
    assert told[span.format("_bucket", ',le="10"')] == told[span.format("_bucket", ',le="+Inf"')] == 1
    assert told[span.format("_count", "")] == 1
    assert 7 <= told[span.format("_sum", "")] < 7.1
    assert told["durio_http_requests_in_flight"] == 0


async def test_the_hub_says_what_it_is_at(autojump_clock: object) -> None:
    """Commits, activations and those who wait; nothing of it looks into the data."""
    async with web(app) as api:
        before = await read(api)
        await api.post(f"{BASE}/orchestrators/Approval/one")
        await api.client.get_status("one")
        after = await read(api)
    assert before["durio_hub_epoch"] == after["durio_hub_epoch"] == 1
    assert after["durio_hub_commits_total"] > before["durio_hub_commits_total"]
    assert after["durio_hub_activations"] == 1
    assert after["durio_hub_disk_full"] == 0


async def test_metrics_need_a_key(autojump_clock: object) -> None:
    """How much is done is nobody's business."""
    async with web(app, keys=["s3cret"]) as api:
        refused = await api.get("/metrics")
        assert refused.status == 401
        assert refused.json["ExceptionMessage"]
        assert (await api.get("/metrics?code=s3cret")).status == 200
