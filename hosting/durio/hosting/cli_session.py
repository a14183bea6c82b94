"""How a command reaches a hub: through its owner if there is one, else as its owner for a moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from durio.hosting.cli_errors import CliError, Exit
from durio.hosting.cli_program import load_app
from durio.hosting.cli_settings import Common, settings_of
from durio.orchestration import Client, connect, open_hub
from durio.storage import HubFolder, HubInUse, OwnerLock


def owner_of(hub: str) -> int | None:
    """The pid of the owner of a hub; 0 if that is not known, None if nobody owns it."""
    return OwnerLock.holder(HubFolder.at(hub).owner_lock)


@asynccontextmanager
async def reading(common: Common) -> AsyncIterator[Client]:
    """A client that only reads, of a hub with or without an owner."""
    async with connect(existing(settings_of(common).require_hub())) as client:
        yield client


def existing(hub: str) -> str:
    """The path of a hub, if one is there. Raises `CliError`."""
    folder = HubFolder.at(hub)
    folder.check()
    if not folder.exists:
        raise CliError(f"there is no hub at {hub!r}; durio run makes one", Exit.HUB)
    return hub


@asynccontextmanager
async def changing(common: Common, *, make: bool = False) -> AsyncIterator[Client]:
    """A client that changes something.

    The owner does it; without one this process is the owner while the block runs, with the user's app. Never without
    it: an owner that does not know a name refuses what other programs have queued for that name. `make`: there may be
    no hub yet.
    """
    settings = settings_of(common)
    hub = settings.require_hub() if make else existing(settings.require_hub())
    async with AsyncExitStack() as stack:
        if owner_of(hub) is None:
            if settings.app is None:
                raise CliError(
                    f"no process owns the hub {hub!r}; with --app MODULE:APP this command opens it itself "
                    "(or start an owner: durio run)",
                    Exit.NO_OWNER,
                )
            with suppress(HubInUse):  # somebody was faster, and is asked
                await stack.enter_async_context(open_hub(hub, load_app(settings)))
        yield await stack.enter_async_context(connect(hub))
