"""Links: the URLs by which an instance is managed, as Azure's clients and people with curl know them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

import attrs
from starlette.requests import Request

WEBHOOKS: Final = "/runtime/webhooks/durabletask"
"""The path of the management API that links name."""


def checked_base_url(url: str) -> str:
    """Give a base URL back. Raises `ValueError` for what is none: links made from it would lead nowhere."""
    try:
        found = urlsplit(url)
        good = not url or (found.scheme in ("http", "https") and bool(found.hostname) and url == url.strip())
    except ValueError:
        good = False
    if not good or "?" in url or "#" in url:
        raise ValueError(f"base_url={url!r} is no URL in front of paths, such as https://shop.example/durio")
    return url


@attrs.frozen
class Links:
    """Makes links.

    `base_url`: scheme, host and path in front of the API, as others see it; empty: as the request at hand says.
    `task_hub` and `connection` are parts of every link, since clients expect them; durio ignores them. `code`: a key.
    """

    base_url: str = attrs.field(default="", converter=checked_base_url)
    task_hub: str = "durio"
    connection: str = "Storage"
    code: str = attrs.field(default="", repr=False)
    trust_forwarded: bool = False
    """Whether `X-Forwarded-Proto` and `X-Forwarded-Host` are believed: only behind a proxy that sets them."""

    def origin(self, request: Request | None) -> str:
        """What is in front of the API's own paths. Raises `ValueError` without a request and without a `base_url`."""
        if self.base_url:
            return self.base_url.rstrip("/")
        if request is None:
            raise ValueError("links need a base_url where there is no request: pass it to http_api or serve")
        scheme, host = request.url.scheme, request.url.netloc
        if self.trust_forwarded:
            scheme = request.headers.get("x-forwarded-proto", scheme).split(",")[0].strip()
            host = request.headers.get("x-forwarded-host", host).split(",")[0].strip()
        return f"{scheme}://{host}{request.scope.get('app_root_path', request.scope.get('root_path', ''))}"

    def here(self, request: Request) -> str:
        """The URL of a request, as others see it."""
        root: str = request.scope.get("app_root_path", request.scope.get("root_path", ""))
        raw: bytes = request.scope.get("raw_path") or quote(request.scope["path"]).encode()
        path = raw.decode("latin-1").partition("?")[0].removeprefix(root)
        query: bytes = request.scope["query_string"]
        return f"{self.origin(request)}{path}" + (f"?{query.decode('latin-1')}" if query else "")

    def of(self, instance_id: str, request: Request | None = None) -> dict[str, str]:
        """All links of an instance: the management payload of Azure Durable Functions."""
        instance = f"{self.origin(request)}{WEBHOOKS}/instances/{quote(instance_id, safe='')}"
        return {
            "id": instance_id,
            "statusQueryGetUri": f"{instance}?{self._query()}",
            "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}?{self._query()}",
            "terminatePostUri": f"{instance}/terminate?reason={{text}}&{self._query()}",
            "rewindPostUri": f"{instance}/rewind?reason={{text}}&{self._query()}",
            "purgeHistoryDeleteUri": f"{instance}?{self._query()}",
            "restartPostUri": f"{instance}/restart?{self._query()}",
            "suspendPostUri": f"{instance}/suspend?reason={{text}}&{self._query()}",
            "resumePostUri": f"{instance}/resume?reason={{text}}&{self._query()}",
        }

    def binding(self, origin: str) -> dict[str, object]:
        """What Azure's client libraries are made from: `DurableOrchestrationClient(json.dumps(...))`."""
        links = Links(origin, self.task_hub, self.connection, self.code)
        creation = f"{origin}{WEBHOOKS}/orchestrators/{{functionName}}[/{{instanceId}}]"
        wait = "timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}"
        managed: Mapping[str, str] = links.of("INSTANCEID")
        return {
            "taskHubName": self.task_hub,
            "creationUrls": {
                "createNewInstancePostUri": f"{creation}?{self._query()}",
                "createAndWaitOnNewInstancePostUri": f"{creation}?{wait}&{self._query()}",
            },
            "managementUrls": dict(managed),
            "rpcBaseUrl": f"{origin}/durabletask/",
            "baseUrl": f"{origin}{WEBHOOKS}",
            # The JavaScript client takes an empty text for a host that is too old.
            "requiredQueryStringParameters": urlencode({"code": self.code}) if self.code else self._query(),
        }

    def _query(self) -> str:
        query = {"taskHub": self.task_hub, "connection": self.connection}
        return urlencode(query | {"code": self.code} if self.code else query)
