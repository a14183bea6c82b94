"""Ways into a hub from outside: the HTTP API and the command line."""

from durio.hosting.http import http_api
from durio.hosting.http_client import DurableOrchestrationClient
from durio.hosting.links import Links
from durio.hosting.serving import serve

__all__ = [
    "DurableOrchestrationClient",
    "Links",
    "http_api",
    "serve",
]
