"""What tests see of an open hub that its users do not."""

from __future__ import annotations

from durio.entities import Runtime
from durio.orchestration import Client


def runtime_of(client: Client) -> Runtime:
    """The runtime behind a client of an open hub."""
    runtime = client._link
    assert isinstance(runtime, Runtime)
    return runtime
