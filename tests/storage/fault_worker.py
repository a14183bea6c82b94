"""Owns one hub after the other for test_storage_faults: a command a line, an answer a line."""

from __future__ import annotations

import sys

from durio.storage import LmdbStore, StorageError, WriteSet, u64


class Owner:
    """Commits numbered records; the number of a commit that failed is given again."""

    def __init__(self) -> None:
        self.store: LmdbStore | None = None
        self.number = 0

    def answer(self, command: str, *path: str) -> object:
        """Do what one line says."""
        if command == "open":
            self.store = LmdbStore.open(path[0])
            self.number = self.store.last_commit
            return "open"
        assert self.store is not None, "open first"
        key = u64(self.number + 1)
        match command:
            case "close":
                store, self.store = self.store, None
                store.close()
                return "closed"
            case "small":
                self.store.commit(WriteSet(((b"k" + key, key),)))
                self.number += 1
                return self.number
            case "large":
                self.store.commit(WriteSet(((b"k" + key, key * 5000), (b"l" + key, b"x"))))
                self.number += 1
                return self.number
            case "count":
                return len(self.store.scan(b"k", b"l"))
            case "ballast":
                return self.store.restore_ballast()
            case _:
                return self.store.last_commit


def main() -> None:
    """Answer every line until there is none."""
    owner = Owner()
    for line in sys.stdin:
        try:
            said = owner.answer(*line.strip().split(maxsplit=1))
        except StorageError as error:
            said = type(error).__name__
        sys.stdout.write(f"{said}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
