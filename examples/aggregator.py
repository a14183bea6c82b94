"""Aggregator: entities collect what many sources send, without locks and without losing anything.

An entity has one turn at a time, so its operations need no lock. Signals go one way, calls bring an answer, and an
entity may signal others: here every page adds its views to the whole site as well.
"""

from __future__ import annotations

import sys
import tempfile

import attrs
import trio

from durio.entities import EntityContext, EntityId
from durio.orchestration import App, Client, open_hub

app = App()


@app.entity
@attrs.define
class Site:
    """All views of a site, added up by its pages."""

    views: int = 0

    def add(self, views: int) -> None:
        self.views += views

    def get(self) -> int:
        return self.views


@app.entity
@attrs.define
class Page:
    """The views of one page. The fields are the durable state, the public methods are the operations."""

    views: int = 0

    def visit(self, times: int) -> None:
        self.views += times
        EntityContext.current().signal_entity(SITE, Site.add, times)

    def get(self) -> int:
        return self.views


SITE = EntityId("Site", "example.com")
PAGES = [EntityId("Page", path) for path in ("/", "/news", "/about")]


async def visitor(client: Client) -> None:
    """One of many that visit all pages at the same time."""
    for page in PAGES:
        for _ in range(10):
            await client.signal_entity(page, Page.visit, 1)  # returns when the signal is on disk


async def main(hub: str) -> None:
    async with open_hub(hub, app) as client:
        before = [await client.call_entity(page, Page.get) for page in PAGES]  # 0, but in a hub of an earlier run
        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(visitor, client)
        # A call is one more message in the mailbox: it comes after all those signals, so its answer counts them.
        views = [await client.call_entity(page, Page.get) for page in PAGES]
        total = await client.call_entity(SITE, Site.get)
    print("50 visitors at once, each 10 times on each of 3 pages:")
    for page, number in zip(PAGES, views, strict=True):
        print(f"  {page.key:<7} {number} views")
    print(f"The pages told the site of every one of them: {total} views.")
    assert views == [number + 500 for number in before]
    assert total == sum(views)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        trio.run(main, sys.argv[1] if len(sys.argv) > 1 else temporary)
