"""Function chaining: the output of one activity is the input of the next, with compensation when a link breaks.

Every `await` is a checkpoint: after a crash the orchestration goes on behind the last one that had finished.
"""

from __future__ import annotations

import sys
import tempfile

import attrs
import trio

from durio.orchestration import (
    App,
    NonRetriableError,
    OrchestrationContext,
    RetryOptions,
    TaskFailedError,
    open_hub,
)

app = App()


@attrs.frozen
class Order:
    item: str
    price: int
    done: list[str] = attrs.Factory(list)

    def after(self, step: str) -> Order:
        return attrs.evolve(self, done=[*self.done, step])


@app.activity
async def reserve(order: Order) -> Order:
    return order.after("reserved")


@app.activity
async def charge(order: Order) -> Order:
    if order.price > 1000:
        raise NonRetriableError(f"no card pays {order.price}")
    return order.after("charged")


@app.activity
async def ship(order: Order) -> Order:
    return order.after("shipped")


@app.activity
async def release(order: Order) -> Order:
    return order.after("released")


@app.orchestration
async def process_order(ctx: OrchestrationContext, order: Order) -> Order:
    reserved = await ctx.call_activity(reserve, order)
    try:
        three_attempts = RetryOptions(100, 3)
        charged = await ctx.call_activity_with_retry(charge, three_attempts, reserved)
    except TaskFailedError:
        return await ctx.call_activity(release, reserved)  # compensation: undo what was done
    return await ctx.call_activity(ship, charged)


async def main(hub: str) -> None:
    async with open_hub(hub, app) as client:
        print("Each order goes through a chain of activities:")
        outputs = []
        for order in (Order("book", 30), Order("yacht", 2_000_000)):
            started = await client.start_new(process_order, f"order-{order.item}", order)
            status = await client.wait_for_completion(started)
            outputs.append(status.output)
            print(f"  {order.item}: {' -> '.join(status.output.done)}")
    assert [order.done for order in outputs] == [["reserved", "charged", "shipped"], ["reserved", "released"]]
    print("The chain ran in order, and what could not be paid was undone.")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        trio.run(main, sys.argv[1] if len(sys.argv) > 1 else temporary)
