"""G17: queries read the index, which changes in the same commits as the instances."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durio.entities import CONTROL_LANE, from_us
from durio.entities import keys as entity_keys
from durio.orchestration import App, DurableOrchestrationStatus, OrchestrationContext
from durio.orchestration.index import STATUSES, facts_of, rows_of
from durio.orchestration.instance import Decoders
from durio.orchestration.messages import Purge, Resume, Suspend
from durio.orchestration.queries import Finder, Wanted
from tests.orchestration.helpers import Stepper, hub
from tests.orchestration.helpers import rows_of as keys_of
from tests.orchestration.links import Opened

app = App()


@app.orchestration
async def waits(ctx: OrchestrationContext, value: Any = None) -> Any:
    return await ctx.wait_for_external_event("go")


@app.orchestration
async def ends(ctx: OrchestrationContext, value: Any = None) -> Any:
    if value == "badly":
        raise ValueError(value)
    return value


@app.orchestration
async def rounds(ctx: OrchestrationContext, left: int) -> None:
    await ctx.wait_for_external_event("go")
    if left:
        ctx.continue_as_new(left - 1)


def ids(statuses: list[DurableOrchestrationStatus]) -> list[str]:
    return [status.instance_id for status in statuses]


async def test_all_and_by_filter(opened: Opened, tmp_path: Path) -> None:
    """G17: every filter, alone and together, over every kind of client; in the order of creation."""
    async with opened(tmp_path, app) as client:
        await client.start_new("waits", "b1", tags={"of": "ann", "for": "bob"})
        await client.start_new("ends", "a2", "well", tags={"of": "ann"})
        await client.wait_for_completion("a2")
        await client.start_new("ends", "a3", "badly")
        await client.wait_for_completion("a3")
        await client.start_new("waits", "a4")
        await client.suspend("a4")
        assert ids(await client.get_status_all()) == ["b1", "a2", "a3", "a4"]
        by: Callable[..., Any] = client.get_status_by
        assert ids(await by(runtime_status="running")) == ["b1"]
        assert ids(await by(runtime_status=["Failed", "COMPLETED"])) == ["a2", "a3"]
        assert ids(await by(runtime_status="Suspended")) == ["a4"]
        assert ids(await by(runtime_status="ContinuedAsNew")) == []
        assert ids(await by(name="waits")) == ["b1", "a4"]
        assert ids(await by(name="waits", runtime_status=["Running", "Completed"])) == ["b1"]
        assert ids(await by(instance_id_prefix="a")) == ["a2", "a3", "a4"]
        assert ids(await by(instance_id_prefix="a", name="ends", runtime_status="Failed")) == ["a3"]
        assert ids(await by(tags={"of": "ann"})) == ["b1", "a2"]
        assert ids(await by(tags={"of": "ann", "for": "bob"})) == ["b1"]
        assert ids(await by(tags={"of": "nobody"})) == []
        created = (await client.get_status("a3")).created_time
        assert created is not None
        assert ids(await by(created)) == ["a3", "a4"]
        assert ids(await by(None, created)) == ["b1", "a2", "a3"]
        assert ids(await by(created, created, "Failed", name="ends", instance_id_prefix="a")) == ["a3"]
        updated = (await client.get_status("a3")).last_updated_time
        assert "a3" in ids(await by(updated_time_from=updated, updated_time_to=updated))
        assert ids(await by(updated_time_to=datetime(2000, 1, 1, tzinfo=UTC))) == []
        page = await client.get_status_page(3, show_input=True)
        assert [status.input_ for status in page.statuses] == [None, "well", "badly"]
        rest = await client.get_status_page(3, page.continuation_token)
        assert (ids(rest.statuses), rest.continuation_token) == (["a4"], None)
        assert (await client.purge_instance_history_by(runtime_status=["Failed", "Running"])).instances_deleted == 1
        assert (await client.purge_instance_history_by()).instances_deleted == 1
        assert ids(await client.get_status_all()) == ["b1", "a4"]


async def test_wrong_questions_are_refused(tmp_path: Path, autojump_clock: object) -> None:
    """G31: an unknown status, a naive time, a size or a token that is none: each says what was wrong."""
    async with hub(tmp_path, app) as client:
        for number in range(3):
            await client.start_new(waits, f"{number}")
        page = await client.get_status_page(2)
        token = page.continuation_token
        assert token is not None
        wrong: list[tuple[partial[Any], str]] = [
            (partial(client.get_status_by, runtime_status="Sleeping"), "'Sleeping' is none of Pending"),
            (partial(client.get_status_by, datetime(2026, 1, 1)), "is naive"),  # noqa: DTZ001
            (partial(client.get_status_page, 0), "page_size=0"),
            (partial(client.get_status_page, 10_001), "10,000"),
            (partial(client.get_status_page, 2, "!"), "is no continuation token"),
            (partial(client.get_status_page, 2, token + "A" * 2000), "is no continuation token"),
            (partial(client.get_status_page, 2, token, name="waits"), "of another query"),
        ]
        for ask, words in wrong:
            with pytest.raises(ValueError, match=words):
                await ask()
        assert ids(await client.get_status_by(instance_id_prefix="x" * 5000)) == []
        assert ids(await client.get_status_by(instance_id_prefix="@")) == []
        assert ids((await client.get_status_page(2, token)).statuses) == ["2"]


async def test_pages_are_full_and_what_stays_comes_once(tmp_path: Path, autojump_clock: object) -> None:
    """G17: while instances end, begin, are suspended and purged, those that match all the time come once, in order."""
    async with hub(tmp_path, app) as client:
        for number in range(40):
            await client.start_new(waits, f"{number:02}", tags={"kind": "even" if number % 2 == 0 else "odd"})
        seen: list[str] = []
        token: str | None = None
        turns = 0
        while turns == 0 or token is not None:
            page = await client.get_status_page(7, token)
            seen += ids(page.statuses)
            assert len(page.statuses) == 7 or page.continuation_token is None
            token = page.continuation_token
            await client.terminate(f"{5 * turns + 1:02}")
            await client.suspend(f"{5 * turns + 2:02}")
            await client.purge_instance_history_by(instance_id_prefix=f"{5 * turns + 1:02}")
            turns += 1
        assert len(set(seen)) == len(seen)
        assert seen == sorted(seen)
        stayed = set(ids(await client.get_status_all()))
        assert stayed <= set(seen)


def checked(stepper: Stepper) -> None:
    """The index is that which follows from the instances, row by row."""
    expected: set[bytes] = set()
    decoders = Decoders()
    for address in {entity_keys.address_of(key) for key in keys_of(stepper.disk, entity_keys.ACTOR)}:
        instance = stepper.instance(address)
        expected |= {entity_keys.index(row) for row in rows_of(address, facts_of(instance.head, instance.origin))}
    assert set(keys_of(stepper.disk, entity_keys.INDEX)) == expected
    del decoders


ACTS = st.lists(
    st.tuples(
        st.sampled_from(
            ["start", "end", "fail", "event", "terminate", "suspend", "resume", "cancel", "purge", "replace"]
        ),
        st.sampled_from(["a", "ab", "b"]),
        st.integers(0, 200),
    ),
    max_size=30,
)


@given(ACTS, st.booleans(), st.booleans())
@settings(max_examples=150, deadline=None)
def test_the_index_is_what_the_instances_are(acts: list[tuple[str, str, int]], evict: bool, each: bool) -> None:
    """G2, G17: after every commit the rows of the index are exactly those that follow from the instances."""
    stepper = Stepper(app, evict=evict)
    for act, address, later_s in acts:
        stepper.now_us += later_s * 1_000_000
        if act in ("start", "replace"):
            options = {"if_running": "replace"} if act == "replace" else {}
            stepper.start("rounds", address, 3, tags={"of": address, "n": str(later_s % 3)}, **options)
        elif act in ("end", "fail"):
            stepper.start("ends", address, "well" if act == "end" else "badly")
        elif act == "event":
            stepper.raise_event(address, "go")
        elif act == "terminate":
            stepper.terminate(address)
        elif act == "cancel":
            stepper.cancel(address)
        elif act == "purge":
            stepper.submit(address, Purge, CONTROL_LANE)
        else:
            stepper.submit(address, Suspend if act == "suspend" else Resume, CONTROL_LANE)
        if each:
            stepper.settle()
            checked(stepper)
    stepper.settle()
    checked(stepper)


FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "runtime_status": st.lists(st.sampled_from(list(STATUSES)), max_size=3),
        "name": st.sampled_from(["waits", "ends"]),
        "instance_id_prefix": st.sampled_from(["", "a", "ab", "c"]),
        "tags": st.dictionaries(st.sampled_from(["of", "n"]), st.sampled_from(["a", "0", "1"]), max_size=2),
        "created_time_from": st.integers(0, 300),
        "created_time_to": st.integers(0, 300),
        "updated_time_from": st.integers(0, 600),
        "updated_time_to": st.integers(0, 600),
    },
)
PEOPLE = st.lists(
    st.tuples(
        st.sampled_from(["waits", "ends"]),
        st.sampled_from(["a", "ab", "abc", "b", "ba", "ü"]),
        st.integers(0, 60),
        st.booleans(),
    ),
    max_size=12,
)


@given(PEOPLE, FILTERS, st.integers(1, 4))
@settings(max_examples=200, deadline=None)
def test_a_query_finds_what_a_plain_search_finds(
    people: list[tuple[str, str, int, bool]], wanted: dict[str, Any], size: int
) -> None:
    """G17: whatever is asked for, the pages hold exactly the instances that match, and are full but for the last."""
    stepper = Stepper(app)
    begun_us = stepper.now_us
    for number, (name, address, later_s, suspend) in enumerate(people):
        stepper.start(name, address, number, tags={"of": address, "n": str(number % 2)})
        if suspend:
            stepper.submit(address, Suspend, CONTROL_LANE)
        stepper.settle()
        stepper.now_us += later_s * 1_000_000
    for bound in ("created_time_from", "created_time_to", "updated_time_from", "updated_time_to"):
        if bound in wanted:
            wanted[bound] = from_us(begun_us) + timedelta(seconds=wanted[bound])
    filter_ = Wanted.of(wanted.pop("name", None), **wanted)
    found: list[str] = []
    token: str | None = None
    while True:
        pages = [page for page in Finder(stepper.store, filter_, Decoders()).pages(size, token) if page is not None]
        assert len(pages) == 1
        found += [address for address, _ in pages[0].found]
        token = pages[0].token
        if token is None:
            break
        assert len(pages[0].found) == size
    expected = []
    for address in {address for _, address, _, _ in people}:
        instance = stepper.instance(address)
        head, origin = instance.head, instance.origin
        assert head is not None
        assert origin is not None
        status = stepper.status(address)
        created, updated = from_us(head.created_us), from_us(head.updated_us)
        if (
            (
                (not wanted.get("runtime_status") and "runtime_status" not in wanted)
                or status in wanted.get("runtime_status", ())
            )
            and (filter_.name is None or origin.name == filter_.name)
            and address.startswith(wanted.get("instance_id_prefix", ""))
            and all((origin.tags or {}).get(tag) == value for tag, value in wanted.get("tags", {}).items())
            and wanted.get("created_time_from", created) <= created <= wanted.get("created_time_to", created)
            and wanted.get("updated_time_from", updated) <= updated <= wanted.get("updated_time_to", updated)
        ):
            expected.append(address)
    assert sorted(found) == sorted(expected)


class Counted:
    """Reads of a store, with the rows counted."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.rows = 0

    path = "counted"

    def get(self, key: bytes) -> bytes | None:
        self.rows += 1
        found: bytes | None = self._store.get(key)
        return found

    def scan(self, start: bytes, stop: bytes | None = None, *, limit: int | None = None) -> list[tuple[bytes, bytes]]:
        found: list[tuple[bytes, bytes]] = self._store.scan(start, stop, limit=limit)
        self.rows += len(found)
        return found

    def merge(self, prefixes: Any, start: bytes, stop: bytes | None, *, limit: int) -> list[tuple[bytes, bytes]]:
        found: list[tuple[bytes, bytes]] = self._store.merge(prefixes, start, stop, limit=limit)
        self.rows += len(found)
        return found


def crowd(count: int) -> Stepper:
    """A hub with many instances: two of a hundred are wanted in any way."""
    stepper = Stepper(app)
    for number in range(count):
        rare = number % 100 == 50
        name = "waits" if rare else "ends"
        stepper.start(name, f"{'rare' if rare else 'many'}-{number}", number, tags={"of": "rare" if rare else "many"})
        if number % 500 == 0:
            stepper.settle()
            stepper.now_us += 1_000_000
    stepper.settle()
    return stepper


def rows_read(stepper: Stepper, **wanted: Any) -> tuple[int, int]:
    """How many instances the first page of 20 has, and how many rows were read for it."""
    store = Counted(stepper.store)
    finder = Finder(store, Wanted.of(wanted.pop("name", None), **wanted), Decoders())
    (page,) = [page for page in finder.pages(20, None) if page is not None]
    return len(page.found), store.rows


def check_costs(count: int) -> None:
    stepper = crowd(count)
    began = from_us(stepper.now_us - 1_000_000)
    for wanted in (
        {},
        {"name": "waits"},
        {"runtime_status": "Running"},
        {"runtime_status": ["Running", "Failed"], "name": "waits"},
        {"tags": {"of": "rare"}},
        {"tags": {"of": "rare"}, "runtime_status": "Running"},
        {"instance_id_prefix": "rare"},
        {"created_time_from": began - timedelta(seconds=1), "created_time_to": began},
        {"updated_time_from": began - timedelta(hours=1), "updated_time_to": began + timedelta(hours=1)},
        {"runtime_status": "Terminated"},
    ):
        found, rows = rows_read(stepper, **wanted)
        assert found == (0 if wanted.get("runtime_status") == "Terminated" else 20)
        # One of the index (or the one that is looked at to skip behind it), and the two or three that are the status.
        assert rows <= 5 * (found + 1), f"{rows} rows for {found} instances: {wanted}"


def test_a_query_reads_as_many_rows_as_it_returns() -> None:
    """G17: what a page costs is a matter of its size, not of the hub's."""
    check_costs(3_000)


@pytest.mark.heavy
def test_a_query_of_100_000_reads_as_many_rows_as_it_returns() -> None:
    """G17: the same with a hundred thousand."""
    check_costs(100_000)
