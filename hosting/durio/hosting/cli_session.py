"""How a command reaches a hub: through its owner if there is one, else as its owner for a moment."""

from __future__ import annotations

import errno
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager, suppress
from typing import Final

from durio.hosting.cli_errors import CliError, Exit, single_error
from durio.hosting.cli_program import load_app, start_logging
from durio.hosting.cli_settings import Common, settings_of
from durio.orchestration import App, Client, connect, open_hub
from durio.orchestration.looking import look_at
from durio.storage import HubFolder, HubInUse, HubReadOnly, OwnerLock

FORBIDDEN: Final = (errno.EACCES, errno.EPERM, errno.EROFS)


def owner_of(hub: str) -> int | None:
    """The pid of the owner of a hub; 0 if that is not known, None if nobody owns it."""
    return OwnerLock.holder(HubFolder.at(hub).owner_lock)


@asynccontextmanager
async def reading(common: Common) -> AsyncIterator[Client]:
    """A client that only reads, of a hub with or without an owner."""
    async with reader_of(existing(settings_of(common).require_hub())) as client:
        yield client


def reader_of(hub: str, app: App | None = None) -> AbstractAsyncContextManager[Client]:
    """The same, of the hub at a path. One that may not be written to is read while nobody owns it."""
    return connect(hub, app=app) if HubFolder.at(hub).may_be_written else look_at(hub, app=app)


@contextmanager
def writing(hub: str) -> Iterator[None]:
    """A hub that is there, and may not be written to, is told apart from all else that may not be touched."""
    folder = HubFolder.at(hub)
    try:
        yield
    except (OSError, BaseExceptionGroup) as raised:
        error = single_error(raised)
        if isinstance(error, OSError) and error.errno in FORBIDDEN and folder.exists:
            if str(error.filename).startswith(folder.path + os.sep):
                raise HubReadOnly(hub, f"that is needed ({error.strerror})") from raised
        raise


def existing(hub: str) -> str:
    """The path of a hub, if one is there. Raises `CliError`."""
    HubFolder.at(hub).check()
    return present(hub)


def present(hub: str) -> str:
    """The same for a hub of any format."""
    if not HubFolder.at(hub).exists:
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
            stack.enter_context(writing(hub))
            start_logging("warning")  # the program runs meanwhile
            with suppress(HubInUse):  # somebody was faster, and is asked
                await stack.enter_async_context(open_hub(hub, load_app(settings)))
        yield await stack.enter_async_context(connect(hub))
