"""Where things lie. One table a letter; everything of an actor lies together, its mailbox in a table of its own."""

from __future__ import annotations

from typing import Final

from durio.storage import after, text, u32, u64

ACTOR: Final = b"a"
MAIL: Final = b"m"
TIMER: Final = b"t"
JOB: Final = b"j"
REQUEST: Final = b"d"
REQUEST_TIME: Final = b"e"
TOMBSTONE: Final = b"x"
LOCK: Final = b"l"
POISON: Final = b"p"
LETTER: Final = b"u"
TAKEN: Final = b"i"
WATCH: Final = b"w"
BLOB: Final = b"b"
HOLDER: Final = b"h"
INDEX: Final = b"q"


def actor(address: str) -> bytes:
    """The prefix of all that an actor is."""
    return ACTOR + text(address)


def mailbox(address: str) -> bytes:
    """The prefix of the unread messages of an actor."""
    return MAIL + text(address)


def mail(prefix: bytes, lane: int, arrival: int, sub: int = 0) -> bytes:
    """One unread message; `prefix` is that of its mailbox. `sub` orders messages that arrived as one."""
    key = prefix + bytes((lane,)) + u64(arrival)
    return key + u32(sub) if sub else key


def mail_lane(key: bytes) -> int:
    """The lane of an unread message."""
    return key[key.index(b"\0") + 1]


def mail_arrival(key: bytes) -> tuple[int, int]:
    """The arrival number of an unread message, and its number among those that arrived as one."""
    end = key.index(b"\0") + 2
    return int.from_bytes(key[end : end + 8], "big"), int.from_bytes(key[end + 8 :], "big")


def address_of(key: bytes) -> str:
    """Whose a row of the actor, the mail or the job table is."""
    return key[1 : key.index(b"\0")].decode()


def timer(due_us: int, arrival: int) -> bytes:
    """A timer: ordered by due time, then by the order of scheduling (G4)."""
    return TIMER + u64(max(due_us, 0)) + u64(arrival)


def timer_due_us(key: bytes) -> int:
    """When a timer is due."""
    return int.from_bytes(key[1:9], "big")


def job(address: str, execution: str, action: int) -> bytes:
    """A job: the execution and the action that it belongs to."""
    return JOB + text(address) + text(execution) + u64(action)


def lock(address: str) -> bytes:
    """The lock of an entity: in a table of its own, so that all locks can be listed (G12)."""
    return LOCK + text(address)


def job_group(key: bytes) -> bytes:
    """The prefix of all jobs of the actor that the job under `key` belongs to."""
    return key[: key.index(b"\0") + 1]


def request(request_id: str) -> bytes:
    """A request id."""
    return REQUEST + text(request_id)


def request_time(at_us: int, request_id: str) -> bytes:
    """A request id in the order of time, for forgetting the old ones."""
    return REQUEST_TIME + u64(at_us) + text(request_id)


def poison(key: bytes) -> bytes:
    """At how many unclean ends the message, job or actor under `key` was running."""
    return POISON + key


def letter(number: int) -> bytes:
    """A dead letter."""
    return LETTER + u64(number)


def index(where: bytes) -> bytes:
    """A row by which an actor is found; `where` is up to its kind."""
    return INDEX + where


def watch(address: str, life: str, own_id: str) -> bytes:
    """A client in another process that waits for the end of a life."""
    return WATCH + text(address) + text(life) + text(own_id)


def parts_of_watch(key: bytes) -> tuple[str, str, str]:
    """Address, life and request id of such a row."""
    address, life, own_id, _ = key[1:].decode().split("\0")
    return address, life, own_id


def blob(blob_id: bytes) -> bytes:
    """The prefix of the rows of a blob."""
    return BLOB + blob_id


def stop_of(prefix: bytes) -> bytes:
    """The first key behind all keys that start with `prefix`."""
    stop = after(prefix)
    assert stop is not None, "a table letter is never 0xff"
    return stop
