"""DurableOrchestrationClient: the client with the methods that answer HTTP requests, named as in Azure's Python."""

from __future__ import annotations

import json
from typing import Any, Final

import trio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from durio.hosting.links import Links
from durio.hosting.wire import status_object
from durio.orchestration import (
    Client,
    DurableOrchestrationStatus,
    InstanceNotFound,
    OrchestrationRuntimeStatus,
    Started,
)

RETRY_AFTER_S: Final = "10"


class DurableOrchestrationClient(Client):
    """A client that also makes responses and links for those who started an instance over HTTP."""

    def __init__(self, client: Client, links: Links | None = None) -> None:
        """`client`: one of an open hub; this one uses the same. `links`: how links are made."""
        super().__init__(client._link, client._app, client._entities, client._payloads)
        self._links = links or Links()

    def get_client_response_links(self, request: Request | None, instance_id: str | Started) -> dict[str, str]:
        """The links by which an instance is managed; their scheme and host are those of the request.

        Raises `ValueError` without a request and without a `base_url`.
        """
        return self._links.of(str(instance_id), request)

    def url_of(self, request: Request) -> str:
        """The URL of a request, as others see it: for a `Location` that says to ask again."""
        return self._links.here(request)

    def create_http_management_payload(self, instance_id: str | Started) -> dict[str, str]:
        """The links without a request, e.g. in an activity, for others to use later. Needs a `base_url`."""
        return self.get_client_response_links(None, instance_id)

    def create_check_status_response(
        self, request: Request | None, instance_id: str | Started, *, status_code: int = 202
    ) -> Response:
        """202 with the links, the `Location` of the status and `Retry-After`: for who has just started an instance."""
        links = self.get_client_response_links(request, instance_id)
        headers = {"Location": links["statusQueryGetUri"], "Retry-After": RETRY_AFTER_S}
        return JSONResponse(links, status_code, headers)

    async def wait_for_completion_or_create_check_status_response(
        self,
        request: Request | None,
        instance_id: str | Started,
        timeout_in_milliseconds: float = 10_000,
        retry_interval_in_milliseconds: float = 1_000,
    ) -> Response:
        """Wait for the end of an instance: 200 and its output; after the time-out the answer of
        `create_check_status_response`.

        Terminated or Canceled: 200 and the status; Failed: 500 and the status. The end is told at once; the retry
        interval is there for those who pass it. Raises `ValueError` if it is longer than the time-out, and
        `InstanceNotFound`.
        """
        if retry_interval_in_milliseconds > timeout_in_milliseconds:
            raise ValueError(
                f"retry_interval_in_milliseconds={retry_interval_in_milliseconds:g} is longer than "
                f"timeout_in_milliseconds={timeout_in_milliseconds:g}"
            )
        status = await self.ended_within(instance_id, timeout_in_milliseconds / 1000)
        if status is None:
            return self.create_check_status_response(request, instance_id)
        if status.runtime_status == OrchestrationRuntimeStatus.Completed:
            return JSONResponse(self.plain(status.output))
        failed = status.runtime_status == OrchestrationRuntimeStatus.Failed
        return JSONResponse(status_object(status, self.plain), 500 if failed else 200)

    async def ended_within(self, instance_id: str | Started, timeout_s: float) -> DurableOrchestrationStatus | None:
        """The last status of an instance, if it ends in that time. Raises `InstanceNotFound`."""
        status = await self.get_status(instance_id)
        if not status:
            raise InstanceNotFound(str(instance_id))
        if status.is_finished:
            return status
        with trio.move_on_after(timeout_s):
            return await self.wait_for_completion(instance_id)
        return None

    def plain(self, value: Any) -> Any:
        """What JSON can hold of a value."""
        if value is None or isinstance(value, bool | int | float | str):
            return value
        return json.loads(self._payloads.encode(value, "a value"))
