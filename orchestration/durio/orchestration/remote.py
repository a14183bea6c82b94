"""What the links to another process share, whether they wait with Trio, with asyncio, or block."""

from __future__ import annotations

import os
import sys

import msgspec

from durio.entities import Answer, EntityKind, Env, Message, Vault
from durio.orchestration.app import App
from durio.orchestration.client import Client
from durio.orchestration.directory import HubDirectory
from durio.orchestration.link import Link
from durio.orchestration.names import OpenApp
from durio.orchestration.records import Snapshot
from durio.orchestration.refusals import rebuild
from durio.orchestration.session import Session, Wait
from durio.storage import HubReader


class RemoteLink:
    """The half of a `Link` to another process that does not wait."""

    def __init__(self, session: Session, env: Env, open_names: bool) -> None:
        self._session = session
        self._env = env
        self._open_names = open_names

    @property
    def env(self) -> Env:
        """The clock, and fresh ids."""
        return self._env

    @property
    def store(self) -> HubReader:
        """What is durable, for reading."""
        return self._session.store

    def request_id(self, given: str | None) -> str | None:
        """Every request has an id: its answer is a row that may outlive this process."""
        return self._session.own_id() if given is None else given

    def token(self, request_id: str | None) -> str:
        """The reply token of a request id."""
        return self._session.token(request_id)

    def _asked(
        self, address: str, message: Message, token: str, lane: int, tell: bool, digest: bytes, due_us: int | None
    ) -> Wait:
        return self._session.ask(
            address,
            message,
            token,
            lane=lane,
            tell=tell,
            digest=digest,
            due_us=due_us,
            open_names=self._open_names,
        )


def outcome_of(wait: Wait) -> Answer:
    """What came of something asked; raises what went wrong."""
    if wait.error is not None:
        raise wait.error
    assert wait.answer is not None, "it is done"
    return wait.answer


def snapshot_in(answer: Answer) -> Snapshot:
    """The end of a life that was watched. Raises why there is none."""
    if answer.refusal and answer.failure is not None:
        raise rebuild(answer.failure)
    assert answer.value is not None, "a snapshot"
    return msgspec.msgpack.decode(answer.value, type=Snapshot)


def checked_app(app: App | None) -> App | None:
    """Give `app` back if it is one. Raises `TypeError`."""
    if app is not None and not isinstance(app, App):
        raise TypeError(f"app is an App object, not {app!r}")
    return app


def client_over(link: Link, app: App | None, env: Env, payload_bytes_max: int) -> Client:
    """The client for a link to another process."""
    app = OpenApp() if app is None else app
    payloads = app.payloads.of_hub(Vault(link.store), bytes_max=payload_bytes_max, blob_bytes_min=sys.maxsize)
    entities = EntityKind(app.registry.entities, payloads, HubDirectory(app.registry, env))
    return Client(link, app, entities, payloads)


Hub = str | os.PathLike[str]
"""A path of a hub."""
