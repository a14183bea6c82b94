"""Fan-out/fan-in: many activities run at the same time, then their results are brought together.

An activity starts when it is *called*; `task_all` waits for all of them and gives the results in the order of the
calls. What had finished before a crash is not run again.
"""

from __future__ import annotations

import sys
import tempfile

import attrs
import trio

from durio.orchestration import App, OrchestrationContext, open_hub

app = App()


@attrs.define
class Meter:
    """How many activities run now, and how many ran at once at most."""

    running: int = 0
    most: int = 0


meter = Meter()


@app.activity
async def list_pages(book: str) -> list[int]:
    return list(range(1, 51))


@app.activity
async def count_words(page: int) -> int:
    meter.running += 1
    meter.most = max(meter.most, meter.running)
    await trio.sleep(0.1)  # an activity may do whatever takes time: read files, ask other services
    meter.running -= 1
    return page * 10


@app.orchestration
async def count_book(ctx: OrchestrationContext, book: str) -> int:
    pages = await ctx.call_activity(list_pages, book)
    counts = await ctx.task_all([ctx.call_activity(count_words, page) for page in pages])
    return sum(counts)


async def main(hub: str) -> None:
    async with open_hub(hub, app) as client:
        began = trio.current_time()
        status = await client.wait_for_completion(await client.start_new(count_book, "moby-dick", "Moby Dick"))
        took_s = trio.current_time() - began
    print(f"50 pages of 0.1 s each took {took_s:.2f} s: up to {meter.most} activities ran at once.")
    print(f"Their results were added up to {status.output:,} words.")
    assert meter.most == 50
    assert status.output == 12_750


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        trio.run(main, sys.argv[1] if len(sys.argv) > 1 else temporary)
