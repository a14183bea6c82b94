"""The commands `dead-letters`: messages that were parked; list, retry, drop."""

from __future__ import annotations

from typing import Annotated, Final

from cyclopts import Parameter

from durio.hosting.cli_errors import UsageError
from durio.hosting.cli_output import Out, clean, local, table, value_text
from durio.hosting.cli_session import changing, reading
from durio.hosting.cli_settings import Common
from durio.orchestration import Client, DeadLetter

LetterId = Annotated[str, Parameter(help="Id of the dead letter.")]
INPUT_CHARS_MAX: Final = 80
PAGE: Final = 500


async def list_letters(
    *,
    after: Annotated[str | None, Parameter(help="Those behind this id.")] = None,
    limit: Annotated[int, Parameter(help="Show at most so many; 0: all.")] = 1000,
    common: Common = Common(),
) -> None:
    """List the messages that were parked, the oldest first."""
    out = Out(common)
    if limit < 0:
        raise UsageError(f"--limit {limit} is below 0")
    async with reading(common) as client:
        found = await _found(client, after, limit + 1 if limit else 0)
    if limit and len(found) > limit:
        found = found[:limit]
        out.note(f"the first {limit:,}; there are more: --limit 0 shows all")
    if out.json:
        out.document(
            [
                {
                    "id": letter.id,
                    "address": letter.address,
                    "what": letter.what,
                    "input": letter.input_,
                    "why": letter.why,
                    "times": letter.times,
                    "parkedAt": letter.parked_at,
                }
                for letter in found
            ]
        )
        return
    rows = table("id", "for", "what", "input", "parked", "why", wide=("what", "input", "why"))
    for letter in found:
        given = "" if letter.input_ is None else value_text(letter.input_, INPUT_CHARS_MAX)
        what, why = clean(letter.what), clean(letter.why)
        rows.add_row(letter.id, letter.address, what, given, local(letter.parked_at), why)
    out.show(rows if found else "no dead letters")


async def _found(client: Client, after: str | None, limit: int) -> list[DeadLetter]:
    found: list[DeadLetter] = []
    while True:
        size = min(PAGE, limit - len(found)) if limit else PAGE
        try:
            page = await client.list_dead_letters(after=after, limit=size)
        except ValueError as error:
            raise UsageError(f"--after {after} is no id of a dead letter") from error
        found += page
        if len(page) < size or len(found) == limit:
            return found
        after = page[-1].id


async def retry(letter_id: LetterId, /, *, common: Common = Common()) -> None:
    """Put the message back as a new one.

    Repair the code first.
    """
    async with changing(common) as client:
        await client.retry_dead_letter(letter_id)
    _done(common, letter_id, f"{letter_id} is tried again")


async def drop(letter_id: LetterId, /, *, common: Common = Common()) -> None:
    """Forget the message: it is never done."""
    async with changing(common) as client:
        await client.drop_dead_letter(letter_id)
    _done(common, letter_id, f"{letter_id} dropped")


def _done(common: Common, letter_id: str, told: str) -> None:
    out = Out(common)
    if out.json:
        out.document({"id": letter_id, "done": True})
    else:
        out.note(told)
