"""The seam between everything above and the bytes below."""

from collections.abc import Sequence
from typing import Protocol

from durio.storage.notes import Notes
from durio.storage.writes import WriteSet


class Reads(Protocol):
    """What can be read of a hub, by its owner or by somebody else."""

    @property
    def path(self) -> str:
        """A label for messages: where the data is."""
        ...

    def get(self, key: bytes) -> bytes | None:
        """The value of `key`, or None. Raises `CorruptRecord`."""
        ...

    def scan(self, start: bytes, stop: bytes | None = None, *, limit: int | None = None) -> list[tuple[bytes, bytes]]:
        """Keys in [start, stop) with their values, in key order; all from `start` on if `stop` is None.

        `limit` is the most pairs to return. Raises `CorruptRecord`, and `ValueError` for a negative limit.
        """
        ...

    def merge(
        self, prefixes: Sequence[bytes], start: bytes, stop: bytes | None, *, limit: int
    ) -> list[tuple[bytes, bytes]]:
        """Pairs under any of `prefixes` whose rest of the key is in [start, stop), in the order of that rest.

        One snapshot for all prefixes; at most `limit` pairs are returned, and at most one more is read for each
        prefix. The prefixes have one length. Raises as `scan`.
        """
        ...


class Store(Reads, Protocol):
    """Ordered keys with atomic, durable, numbered commits, for one owner at a time.

    - A commit is there as a whole or not at all, after any crash; what `commit` returned for stays.
    - Every owner has an epoch of its own; a commit of an owner that has been followed by another is refused
      (`Fenced`).
    - Reads show the last commit, one consistent snapshot per call, and never data that does not fit its
      checksum.
    - `commit` is called from one thread at a time, `get` and `scan` may run in another one meanwhile. `close`
      waits for a commit in flight, and is called from the thread that reads.

    Any call may raise `HubClosed`, `UsedAfterFork`, and `HubBroken` (every call does after `HubBroken` or
    `Ambiguous`).
    """

    @property
    def epoch(self) -> int:
        """This owner's number; the first owner of a hub has 1."""
        ...

    @property
    def last_commit(self) -> int:
        """Number of the last commit this handle knows to be durable; 0 in a new hub."""
        ...

    @property
    def notes(self) -> Notes:
        """What user code is running: survives the process, not the machine. `close` clears them."""
        ...

    def commit(self, writes: WriteSet) -> int:
        """Make `writes` durable and return their commit number: `last_commit` + 1.

        An empty write set is a commit too. Nothing was written after `Fenced`, `NoSpace`, `KeyTooLong`,
        `ReservedKey` and `HubBroken`; the handle can be used on after `NoSpace` and after refused keys.
        `Ambiguous`: open again and ask `has_commit`.
        """
        ...

    def has_commit(self, number: int) -> bool:
        """Whether commit `number` is on disk: read there, not remembered. Raises `Fenced`, `CorruptRecord`.

        Ask right after opening, before the next commit: a number whose commit was lost is given again.
        """
        ...

    def has_room(self) -> bool:
        """Whether there is room for more, as far as the system says: a cheap question, no promise."""
        ...

    def release_ballast(self) -> bool:
        """Give back the room that was kept for a full disk; whether there was any. `NoSpace` has done it already."""
        ...

    def restore_ballast(self) -> bool:
        """Keep that room back again if there is enough of it; whether it is kept now: the sign to take new work."""
        ...

    def close(self) -> None:
        """Let go of the hub. May be called again."""
        ...
