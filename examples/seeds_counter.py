"""Azure's Python sample "aggregator" (a function entity and its client) as it is, run by durio.

Changed are the imports, the registration and the annotations (the sample called the entity's context an orchestration
context), and the HTTP request and response around the client.
"""

from __future__ import annotations

import sys
import tempfile

import trio

import durio.entities as entities
import durio.orchestration as df

app = df.App()


@app.entity(name="Counter")
def entity_function(context: entities.EntityContext) -> None:

    current_value = context.get_state(lambda: 0)
    operation = context.operation_name
    if operation == "add":
        amount = context.get_input()
        current_value += amount
        context.set_result(current_value)
    elif operation == "reset":
        current_value = 0
    elif operation == "get":
        context.set_result(current_value)

    context.set_state(current_value)


async def signal(client: df.Client) -> None:
    entity_id = entities.EntityId("Counter", "myCounter")
    await client.signal_entity(entity_id, "add", 1)


async def main(hub: str) -> None:
    entity_id = entities.EntityId("Counter", "myCounter")
    async with df.open_hub(hub, app) as client:
        await client.signal_entity(entity_id, "reset")
        async with trio.open_nursery() as nursery:
            for _ in range(100):
                nursery.start_soon(signal, client)
        value = await client.call_entity(entity_id, "get")
        print(f"100 tasks signalled 'add' at once; 'get' answers {value}.")
        after = await client.call_entity(entity_id, "add", 11)
        print(f"A call brings the result along: 'add' of 11 answers {after}.")
        await client.call_entity(entity_id, "reset")
        state = await client.read_entity_state(entity_id)
        print(f"After 'reset' the state is {state.entity_state}: 0 is a state, not nothing.")
    assert (value, after, state.entity_exists, state.entity_state) == (100, 111, True, 0)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        trio.run(main, sys.argv[1] if len(sys.argv) > 1 else temporary)
